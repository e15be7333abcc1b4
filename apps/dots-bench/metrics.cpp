#include "dots-bench/metrics.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "dots-bench/descriptor.h"

namespace dots::bench {
namespace {

base::Error failed(const std::string& socket) {
  return base::Error{"the API of dotsd on '" + socket + "' cannot be used: " + std::strerror(errno)};
}

}  // namespace

Metrics Metrics::parse(std::string_view text) {
  Metrics metrics;
  while (!text.empty()) {
    const auto end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    const auto gap = line.rfind(' ');
    if (line.empty() || line.front() == '#' || gap == std::string_view::npos) continue;
    const std::string_view series = line.substr(0, gap);
    const auto brace = series.find('{');
    std::string label;
    if (brace != std::string_view::npos) {
      const auto open = series.find('"', brace);
      const auto close = series.rfind('"');
      if (open == std::string_view::npos || close <= open) continue;
      label = series.substr(open + 1, close - open - 1);
    }
    const std::string number{line.substr(gap + 1)};
    char* rest = nullptr;
    const double value = std::strtod(number.c_str(), &rest);
    if (rest == number.c_str()) continue;
    metrics.values_[std::string{series.substr(0, brace)}][label] = value;
  }
  return metrics;
}

double Metrics::sum(std::string_view name) const {
  const auto family = values_.find(name);
  double total = 0;
  if (family != values_.end())
    for (const auto& [label, value] : family->second) total += value;
  return total;
}

double Metrics::of(std::string_view name, std::string_view label_value) const {
  const auto family = values_.find(name);
  if (family == values_.end()) return 0;
  const auto series = family->second.find(std::string{label_value});
  return series == family->second.end() ? 0 : series->second;
}

const std::vector<Spoiler>& spoilers() {
  static const std::vector<Spoiler> all = {
      {"dots_duplicates_total", "", "datagrams were answered from the cache of duplicates"},
      {"dots_repeats_total", "", "requests were answered from the cache of repeats"},
      {"dots_limit_drops_total", "", "a limit of the CoAP endpoint dropped something"},
      {"dots_requests_refused_total", "", "requests were refused"},
      {"dots_malformed_total", "", "datagrams were no CoAP"},
      {"dots_hand_over_refused_total", "", "a queue between threads was full"},
      {"dots_handshakes_total", "limited", "a limit of handshakes was reached"},
      {"dots_handshakes_total", "timed_out", "handshakes timed out"},
      {"dots_handshakes_total", "failed", "handshakes failed"},
      {"dots_store_batches_total", "refused", "the store refused changes"},
      {"dots_store_batches_total", "unknown", "the fate of changes in the store is unknown"},
      {"dots_store_batches_total", "queue_full", "the queue of the store was full"},
      {"dots_mitigator_failures_total", "", "the back end failed"},
  };
  return all;
}

std::vector<std::string> spoiled(const Metrics& before, const Metrics& after) {
  std::vector<std::string> reasons;
  for (const Spoiler& spoiler : spoilers()) {
    const auto value = [&](const Metrics& metrics) {
      return spoiler.label.empty() ? metrics.sum(spoiler.metric) : metrics.of(spoiler.metric, spoiler.label);
    };
    const double grown = value(after) - value(before);
    if (grown <= 0) continue;
    reasons.push_back(std::string{spoiler.meaning} + ": " + std::string{spoiler.metric} +
                      (spoiler.label.empty() ? "" : "{" + std::string{spoiler.label} + "}") + " grew by " +
                      std::to_string(static_cast<long long>(grown)));
  }
  return reasons;
}

base::Result<Metrics> read_metrics(const std::string& socket) {
  const Descriptor stream{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket.size() >= sizeof address.sun_path) return base::Error{"the path '" + socket + "' is too long"};
  std::memcpy(address.sun_path, socket.c_str(), socket.size() + 1);
  const timeval patience{10, 0};
  ::setsockopt(stream.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  const std::string request = "GET /metrics HTTP/1.1\r\nHost: dotsd\r\nConnection: close\r\n\r\n";
  if (!stream.ok() || ::connect(stream.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::send(stream.get(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) {
    return failed(socket);
  }
  std::string answer;
  for (;;) {
    char buffer[16384];
    const ssize_t count = ::recv(stream.get(), buffer, sizeof buffer, 0);
    if (count < 0) return failed(socket);
    if (count == 0) break;
    answer.append(buffer, static_cast<std::size_t>(count));
  }
  const auto body = answer.find("\r\n\r\n");
  if (!answer.starts_with("HTTP/1.1 200") || body == std::string::npos) {
    return base::Error{"dotsd does not give its metrics: " + answer.substr(0, answer.find('\r'))};
  }
  return Metrics::parse(std::string_view{answer}.substr(body + 4));
}

}  // namespace dots::bench
