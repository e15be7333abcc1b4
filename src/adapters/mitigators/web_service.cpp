#include "adapters/mitigators/web_service.h"

#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include "adapters/http/web_call.h"
#include "adapters/mitigators/rule_json.h"
#include "adapters/net/digest.h"
#include "adapters/net/event_loop.h"
#include "adapters/resolver/ares_resolver.h"

namespace dots::adapters::mitigators {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr std::size_t kLeastSecret = 16;
constexpr int kMostTries = 4;
constexpr auto kFirstPause = 200ms;  // doubled with each try

std::string status_text(int status) {
  return "answers " + std::to_string(status) + " " + std::string(ports::reason_phrase(status));
}

// The service, or what stands before it, is not well at the moment; it did nothing, or knows the key.
bool passes(int status) { return status == 408 || status == 429 || status >= 500; }

}  // namespace

std::string signature_of(const std::string& secret, const std::string& timestamp, const std::string& target,
                         const std::string& body) {
  return "v1=" + net::hmac_sha256_hex(secret, timestamp + "\nPOST\n" + target + "\n" + body);
}

base::Result<std::string> read_secret(const std::string& file) {
  struct stat info {};
  std::ifstream in(file);
  std::string line;
  if (!in || ::stat(file.c_str(), &info) != 0) return base::Error{"cannot read the secret in " + file};
  if ((info.st_mode & S_IRWXO) != 0)
    return base::Error{"every user may read or write the secret in " + file + ": run chmod o-rwx " + file};
  std::getline(in, line);
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t')) line.pop_back();
  if (line.size() < kLeastSecret) {
    return base::Error{"the secret in the first line of " + file + " has less than " + std::to_string(kLeastSecret) +
                       " characters"};
  }
  return line;
}

ports::HttpOutcome WebService::try_once(const std::string& body, const std::string& key,
                                        std::chrono::milliseconds timeout) {
  const auto failed = [](std::string why) { return ports::HttpFailure{std::move(why), false}; };
  const auto address = http::parse_web_address(options_.url);
  if (!address) return failed(address.error().message);
  if (!resolver_ && !model::parse_ip_address(address->host)) {
    resolver::ResolverOptions names;
    names.servers = options_.dns_servers;
    auto started = resolver::AresResolver::start(std::move(names), nullptr);
    if (!started) return failed(started.error().message);
    resolver_ = std::move(*started);
  }
  http::WebCall web;
  web.to = *address;
  web.ca_file = options_.ca_file;
  web.timeout = timeout;
  web.resolver = resolver_.get();
  web.request = {"POST",
                 address->target,
                 {{"Accept", "application/json"}, {"User-Agent", "tidewall"}, {"Content-Type", "application/json"}},
                 body};
  ports::HttpHeaders& headers = web.request.headers;
  if (!key.empty()) headers.add("Idempotency-Key", "\"" + key + "\"");
  if (!options_.secret_file.empty()) {
    const auto secret = read_secret(options_.secret_file);
    if (!secret) return failed(secret.error().message);
    const auto now = std::chrono::duration_cast<std::chrono::seconds>(net::clock_now().wall.time_since_epoch()).count();
    const std::string timestamp = std::to_string(now);
    headers.add("Tidewall-Timestamp", timestamp);
    headers.add("Tidewall-Signature", signature_of(*secret, timestamp, address->target, body));
  }
  return http::make_web_call(web);
}

base::Result<ports::HttpAnswer> WebService::call(const std::string& body, const std::string& key) {
  const auto deadline = Clock::now() + options_.timeout;
  auto pause = std::chrono::milliseconds{kFirstPause};
  for (int tries = 1;; ++tries) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    auto outcome = try_once(body, key, std::max(left, 1ms));
    const bool over = tries == kMostTries || Clock::now() + pause >= deadline;
    if (outcome && (!passes(outcome->status) || over)) {
      // A signed change is never taken to where somebody else points.
      if (outcome->status >= 300 && outcome->status < 400)
        return base::Error{options_.url + " " + status_text(outcome->status) + ": redirections are not followed"};
      return std::move(*outcome);
    }
    if (!outcome && over) {
      const std::string count = tries > 1 ? " (after " + std::to_string(tries) + " tries)" : "";
      return base::Error{options_.url + ": " + outcome.error().reason + count};
    }
    std::this_thread::sleep_for(pause);
    pause *= 2;
  }
}

base::Result<void> WebService::tell(const std::string& body, const std::string& key) {
  const auto answer = call(body, key);
  if (!answer) return answer.error();
  if (answer->status >= 200 && answer->status < 300) return {};
  return base::Error{options_.url + " " + status_text(answer->status)};
}

base::Result<boost::json::object> WebService::post(const std::string& body, const std::string& key) {
  const auto answer = call(body, key);
  if (!answer) return answer.error();
  auto object = parse_object(answer->body);
  const bool fine = answer->status >= 200 && answer->status < 300;
  // What stands between us and the service speaks for itself.
  if (!fine && (!object || !object->contains("ok")))
    return base::Error{options_.url + " " + status_text(answer->status)};
  if (!object) return base::Error{options_.url + ": " + object.error().message};
  return object;
}

}  // namespace dots::adapters::mitigators
