#include "dots-bench/web_load.h"

#include <algorithm>
#include <utility>

namespace dots::bench {
namespace {

constexpr base::Duration kConnectTime = std::chrono::seconds{20};

std::string text_of(const WebRequest& request) {
  std::string text = request.method + " " + request.target + " HTTP/1.1\r\nHost: localhost\r\n" + request.more;
  if (!request.body.empty()) {
    text +=
        "Content-Type: application/yang-data+json\r\nContent-Length: " + std::to_string(request.body.size()) + "\r\n";
  }
  return text + "\r\n" + request.body;
}

}  // namespace

base::Result<WebLoad> WebLoad::open(const model::SocketAddress& server, const ClientCredentials& credentials,
                                    std::size_t connections) {
  WebLoad load;
  for (std::size_t i = 0; i < connections; ++i) {
    auto lane = WebLane::open(server, credentials);
    if (!lane) return lane.error();
    if (!load.poller_->add(lane->fd(), i)) return base::Error{"the connections cannot be watched"};
    load.slots_.push_back({std::move(*lane), std::nullopt});
  }
  const base::SteadyTime give_up = steady_now() + kConnectTime;
  const auto is_open = [](const Slot& slot) { return slot.lane.is_open(); };
  while (!std::ranges::all_of(load.slots_, is_open)) {
    if (steady_now() > give_up) return base::Error{"the connections take too long"};
    for (Slot& slot : load.slots_) {
      if (auto done = slot.lane.flush(); !done) return done.error();
    }
    for (const std::size_t i : load.poller_->wait(std::chrono::milliseconds{1})) {
      if (auto got = load.slots_[i].lane.receive(); !got) return got.error();
    }
  }
  return load;
}

base::Result<void> WebLoad::issue(Slot& slot, std::uint64_t number, const WebWorkload& workload, WebResult& result) {
  const std::string text = text_of(workload.make(number));
  result.request_bytes += static_cast<double>(text.size());
  slot.number = number;
  slot.sent = steady_now();
  return slot.lane.send(text);
}

base::Result<WebResult> WebLoad::run(const WebWorkload& workload, std::uint64_t requests, base::Duration patience) {
  WebResult result;
  result.latencies.reserve(requests);
  const base::SteadyTime begin = steady_now();
  base::SteadyTime last_answer = begin;
  std::uint64_t issued = 0;
  for (Slot& slot : slots_) {
    if (issued == requests) break;
    if (auto done = issue(slot, issued++, workload, result); !done) return done.error();
  }
  while (result.latencies.size() < requests) {
    const bool writing = std::ranges::any_of(slots_, [](const Slot& slot) { return slot.lane.wants_write(); });
    for (const std::size_t i : poller_->wait(std::chrono::milliseconds{writing ? 1 : 100})) {
      Slot& slot = slots_[i];
      auto answer = slot.lane.receive();
      if (!answer) return answer.error();
      if (!*answer) continue;
      if (!slot.number) return base::Error{"an answer came that nobody asked for"};
      last_answer = steady_now();
      result.latencies.push_back(last_answer - slot.sent);
      result.answer_bytes += static_cast<double>((*answer)->bytes);
      if (auto wrong = workload.check(*slot.number, **answer)) return base::Error{*wrong};
      slot.number.reset();
      if (issued == requests) continue;
      if (auto done = issue(slot, issued++, workload, result); !done) return done.error();
    }
    for (Slot& slot : slots_) {
      if (!slot.lane.wants_write()) continue;
      if (auto done = slot.lane.flush(); !done) return done.error();
    }
    if (steady_now() - last_answer > patience) return base::Error{"requests were not answered"};
  }
  result.wall_s = std::chrono::duration<double>(steady_now() - begin).count();
  result.request_bytes /= static_cast<double>(requests);
  result.answer_bytes /= static_cast<double>(requests);
  return result;
}

}  // namespace dots::bench
