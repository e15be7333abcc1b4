// The closed loop over the data channel: each connection has one request under way, and sends the next when it is
// answered.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "dots-bench/poller.h"
#include "dots-bench/web_lane.h"

namespace dots::bench {

struct WebRequest {
  std::string method;
  std::string target;
  std::string body = {};
  std::string more = {};  // header lines, each with its end
};

struct WebWorkload {
  std::function<WebRequest(std::uint64_t number)> make;
  // What is wrong with the answer to that number; nothing when it is right.
  std::function<std::optional<std::string>(std::uint64_t number, const WebAnswer&)> check;
};

struct WebResult {
  std::vector<base::Duration> latencies;
  double wall_s = 0;
  double request_bytes = 0, answer_bytes = 0;  // means, with header sections
};

class WebLoad {
 public:
  static base::Result<WebLoad> open(const model::SocketAddress& server, const ClientCredentials& credentials,
                                    std::size_t connections);
  // Fails when an answer is wrong or does not come within `patience`.
  base::Result<WebResult> run(const WebWorkload& workload, std::uint64_t requests,
                              base::Duration patience = std::chrono::seconds{30});

 private:
  struct Slot {
    WebLane lane;
    std::optional<std::uint64_t> number;  // of the request that is under way
    base::SteadyTime sent{};
  };
  base::Result<void> issue(Slot& slot, std::uint64_t number, const WebWorkload& workload, WebResult& result);

  std::vector<Slot> slots_;
  std::unique_ptr<Poller> poller_ = std::make_unique<Poller>();
};

}  // namespace dots::bench
