#include "apps/runtime/ticket_files.h"

#include <sys/stat.h>

#include <chrono>
#include <fstream>
#include <iterator>
#include <utility>

#include "adapters/net/event_loop.h"
#include "adapters/store/state_dir.h"

namespace dots::runtime {
namespace {

using adapters::net::TicketCache;
using adapters::net::TicketKeys;

bool persistent(const ops::Config& config) { return config.store.kind != "memory"; }

// Empty when there is none, and when somebody else could have read it: whoever has these keys can read what was sent.
std::string read_secret(const ops::Config& config, const char* name) {
  if (!persistent(config)) return {};
  const std::string path = config.store.state_dir + "/" + name;
  struct stat facts {};
  if (::stat(path.c_str(), &facts) != 0 || (facts.st_mode & 077) != 0) return {};
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

}  // namespace

std::vector<adapters::net::Psk> psks_of(const ops::Config& config) {
  std::vector<adapters::net::Psk> out;
  for (const auto& psk : config.credentials.psk) out.push_back({psk.identity, psk.key});
  return out;
}

base::Result<std::shared_ptr<TicketKeys>> open_ticket_keys(const ops::Config& config, ops::facts::Sink& sink) {
  if (config.limits.resume_h == 0) return std::shared_ptr<TicketKeys>{};
  const base::Duration period = std::chrono::hours{config.limits.resume_h};
  const auto now = adapters::net::clock_now().wall;
  if (!persistent(config)) return TicketKeys::open({}, psks_of(config), period, now, {});
  auto keys = TicketKeys::open(read_secret(config, kTicketKeysFile), psks_of(config), period, now,
                               [dir = config.store.state_dir](const std::string& text) {
                                 return adapters::store::write_durably(dir, kTicketKeysFile, text);
                               });
  if (keys) return keys;
  sink.message("TICKETS_NOT_KEPT", keys.error().message);
  return TicketKeys::open({}, psks_of(config), period, now, {});
}

void turn_ticket_keys(TicketKeys& keys, ops::facts::Sink& sink) {
  const auto turned = keys.turn(adapters::net::clock_now().wall);
  if (!turned) {
    sink.message("TICKETS_NOT_KEPT", turned.error().message);
  } else if (*turned) {
    sink.message("TICKET_KEYS_CHANGED", "the one before opens tickets for one period more");
  }
}

void rebind_ticket_keys(TicketKeys& keys, const ops::Config& config, ops::facts::Sink& sink) {
  const auto voided = keys.rebind(psks_of(config), adapters::net::clock_now().wall);
  if (!voided) {
    sink.message("TICKETS_NOT_KEPT", voided.error().message);
  } else if (*voided) {
    sink.message("TICKET_KEYS_CHANGED", "a pre-shared key was replaced: all earlier tickets are void");
  }
}

std::shared_ptr<TicketCache> open_ticket_cache(const ops::Config& config, ops::facts::Sink& sink,
                                               std::function<void(std::function<void()>)> write_later) {
  if (config.limits.resume_h == 0) return nullptr;
  if (!persistent(config)) return std::make_shared<TicketCache>();
  return std::make_shared<TicketCache>(
      read_secret(config, kTicketsFile),
      [dir = config.store.state_dir, &sink, write_later = std::move(write_later)](std::string text) {
        write_later([dir, &sink, text = std::move(text)] {
          const auto written = adapters::store::write_durably(dir, kTicketsFile, text);
          if (!written) sink.message("TICKETS_NOT_KEPT", written.error().message);
        });
      });
}

std::string file_stamp(const std::string& path) {
  struct stat facts {};
  if (path.empty() || ::stat(path.c_str(), &facts) != 0) return {};
  return std::to_string(facts.st_dev) + ":" + std::to_string(facts.st_ino) + ":" + std::to_string(facts.st_size) + ":" +
         std::to_string(facts.st_mtim.tv_sec) + "." + std::to_string(facts.st_mtim.tv_nsec);
}

}  // namespace dots::runtime
