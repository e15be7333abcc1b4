#include "adapters/mitigators/nftables_mitigator.h"

#include <unistd.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <filesystem>
#include <functional>

#include "adapters/mitigators/filter_protocol.h"
#include "adapters/mitigators/helper_process.h"
#include "adapters/mitigators/helper_protocol.h"

namespace dots::adapters::mitigators {

namespace json = boost::json;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::size_t kMostRequestBytes = 8u << 20;

base::Error no_capability(const std::string& helper) {
  return base::Error{
      "the helper " + helper + " lacks the capability CAP_NET_ADMIN; as root, run: setcap cap_net_admin+ep " + helper +
      " (or start the daemon with AmbientCapabilities=CAP_NET_ADMIN in its systemd unit; on a file system "
      "mounted nosuid only the latter works)"};
}

}  // namespace

struct NftablesMitigator::State {
  explicit State(NftablesOptions wanted) : options(std::move(wanted)), process(command(options), through(options)) {}

  static std::vector<std::string> command(const NftablesOptions& options) {
    std::vector<std::string> words = options.helper_command;
    if (words.empty()) words.push_back(options.helper);
    words.insert(words.end(), {"--table", options.table});
    return words;
  }
  static HelperProcess::Through through(const NftablesOptions& options) {
    return options.helper_command.empty() ? HelperProcess::Through::descriptor
                                          : HelperProcess::Through::standard_streams;
  }

  NftablesOptions options;
  HelperProcess process;
  std::int64_t last_id = 0;

  // Sends one request and gives every line of its answer to `take`, the last one included.
  base::Result<void> ask(json::object request,
                         const std::function<base::Result<void>(const json::object&)>& take = {}) {
    const Clock::time_point deadline = Clock::now() + options.timeout;
    const std::int64_t id = ++last_id;
    request["id"] = id;
    const std::string text = json::serialize(request);
    if (text.size() > kMostRequestBytes) return base::Error{"the request is too large for the helper: fewer at once"};
    if (auto sent = process.send(text, deadline); !sent) return sent;
    for (;;) {
      auto line = process.receive(deadline);
      if (!line) return line.error();
      boost::system::error_code code;
      const json::value value = json::parse(*line, code);
      const json::object* answer = code ? nullptr : value.if_object();
      if (answer == nullptr || !has_id(*answer, id)) {
        process.stop();
        return base::Error{"the helper's answer makes no sense"};
      }
      const bool more = is_true(*answer, "more");
      if (!more && !is_true(*answer, "ok")) return base::Error{text_of(*answer, "error")};
      if (take) {
        if (auto taken = take(*answer); !taken) {
          process.stop();
          return taken;
        }
      }
      if (!more) return {};
    }
  }

  base::Result<void> start() {
    if (process.running()) {
      if (ask({{"op", "ping"}})) return {};
    }
    if (auto started = process.start(); !started) {
      return base::Error{started.error().message +
                         "; install the package that holds it, or set `helper` of this mitigator to its path"};
    }
    bool may = false;
    auto asked = ask({{"op", "ping"}}, [&](const json::object& answer) -> base::Result<void> {
      may = is_true(answer, "net_admin");
      return {};
    });
    if (!asked) return asked;
    if (!may) {
      process.stop();
      return no_capability(options.helper_command.empty() ? options.helper : options.helper_command.back());
    }
    return {};
  }
};

NftablesMitigator::NftablesMitigator(NftablesOptions options) : state_(std::make_unique<State>(std::move(options))) {}
NftablesMitigator::~NftablesMitigator() = default;

ports::MitigatorAbilities NftablesMitigator::abilities() const {
  return {.name = "nftables", .counts = true, .limits = true, .drops_really = true, .filters = true};
}

base::Result<void> NftablesMitigator::open() {
  if (auto started = state_->start(); !started) return started;
  if (state_->options.only_look) return {};
  return state_->ask({{"op", "open"}});
}

namespace {
ports::Applied applied(const base::Result<void>& outcome) {
  if (!outcome) return ports::MitigatorFault{outcome.error().message};
  return {};
}
}  // namespace

ports::Applied NftablesMitigator::apply(const std::vector<ports::RuleChange>& changes) {
  if (changes.empty()) return {};
  json::array rows;
  rows.reserve(changes.size());
  for (const auto& change : changes) rows.push_back(row_of(change));
  json::object request{{"op", "apply"}};
  request["changes"] = std::move(rows);
  return applied(state_->ask(std::move(request)));
}

ports::Applied NftablesMitigator::apply_filters(const std::vector<ports::FilterChange>& changes) {
  if (changes.empty()) return {};
  auto rows = rows_of(changes);
  if (!rows) return ports::MitigatorFault{rows.error().message, model::RefusalReason::function};
  json::object request{{"op", "filters"}};
  request["changes"] = std::move(*rows);
  return applied(state_->ask(std::move(request)));
}

base::Result<void> NftablesMitigator::exempt(const std::vector<ports::SignalExemption>& exemptions) {
  json::array rows;
  for (const auto& exemption : exemptions) {
    if (exemption.server.family != exemption.peer.address.family) continue;  // they can never meet
    rows.push_back(json::array{model::to_string(exemption.server), std::int64_t{exemption.server_port},
                               model::to_string(exemption.peer.masked())});
  }
  json::object request{{"op", "exempt"}, {"pps", static_cast<std::int64_t>(state_->options.exemption_rate_pps)}};
  request["list"] = std::move(rows);
  return state_->ask(std::move(request));
}

base::Result<ports::Mitigator::Listing> NftablesMitigator::list() {
  Listing listing;
  auto asked = state_->ask({{"op", "list"}}, [&](const json::object& answer) { return read_listing(answer, listing); });
  if (!asked) return asked.error();
  return listing;
}

base::Result<std::vector<std::string>> NftablesMitigator::remove_foreign() {
  std::vector<std::string> removed;
  auto asked = state_->ask({{"op", "remove-foreign"}}, [&](const json::object& answer) {
    removed = texts_of(answer, "removed");
    return base::Result<void>{};
  });
  if (!asked) return asked.error();
  return removed;
}

base::Result<void> NftablesMitigator::clear() { return state_->ask({{"op", "clear"}}); }

base::Result<void> NftablesMitigator::probe() { return state_->ask({{"op", "probe"}}); }

int NftablesMitigator::helper_pid() const { return state_->process.running() ? state_->process.pid() : 0; }

base::Result<void> check(const NftablesOptions& options) {
  NftablesOptions look = options;
  look.only_look = true;
  NftablesMitigator mitigator(look);
  if (auto opened = mitigator.open(); !opened) return opened;
  if (auto probed = mitigator.probe(); !probed) {
    return base::Error{"the kernel refuses changes of the packet filter (" + probed.error().message +
                       "); is nf_tables there (modprobe nf_tables), and is this the right network namespace?"};
  }
  return {};
}

std::string default_helper() {
  constexpr const char* kInstalled = "/usr/lib/tidewall/dots-nft-helper";
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error) {
    const std::filesystem::path beside = self.parent_path() / "dots-nft-helper";
    if (::access(beside.c_str(), F_OK) == 0) return beside.string();
  }
  return kInstalled;
}

}  // namespace dots::adapters::mitigators
