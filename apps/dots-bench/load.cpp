#include "dots-bench/load.h"

#include <algorithm>

#include "dots-bench/exchange.h"

namespace dots::bench {
Load::Load(std::vector<Lane> lanes) : lanes_(std::move(lanes)) {
  for (std::size_t i = 0; i < lanes_.size(); ++i) poller_.add(lanes_[i].fd(), i);
}

void Load::spread_over(base::Duration period) {
  const base::SteadyTime first = steady_now() - period;
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    Lane& lane = lanes_[(next_lane_ + i) % lanes_.size()];
    lane.last_send = first + period * static_cast<std::int64_t>(i) / static_cast<std::int64_t>(lanes_.size());
  }
}

base::Duration Load::pause(base::SteadyTime now, base::Duration spacing) const {
  // Lanes take turns, so the next one is the one that has waited for the longest time.
  const base::SteadyTime may = lanes_[next_lane_].last_send + spacing;
  return may <= now ? base::Duration::zero() : may - now;
}

base::Result<void> Load::issue(const Workload& workload, LoadResult& result) {
  Lane& lane = lanes_[next_lane_];
  const std::uint32_t token = next_token_++;
  const Outgoing outgoing = workload.make(next_lane_, lane.next_message_id++, token_of_number(token));
  lane.last_send = steady_now();
  const std::size_t datagram_bytes = lane.send(outgoing.message);
  if (datagram_bytes == 0) return base::Error{"a request could not be sent"};
  pending_[token] = {lane.last_send, outgoing.tag};
  ++result.sent;
  result.request_bytes += static_cast<double>(outgoing.message.size());
  result.request_datagram_bytes += static_cast<double>(datagram_bytes);
  next_lane_ = (next_lane_ + 1) % lanes_.size();
  return {};
}

base::Result<void> Load::take(std::size_t lane, base::ByteView message, const Workload& workload, LoadResult& result) {
  if (is_request(message)) {
    ++result.peer_requests;
    if (const base::Bytes answer = answer_to_heartbeat(message, lanes_[lane].next_message_id++); !answer.empty()) {
      lanes_[lane].send(answer);
    }
    return {};
  }
  const auto token = number_of_token(message);
  const auto found = token ? pending_.find(*token) : pending_.end();
  if (found == pending_.end()) return base::Error{"something came that answers nothing: " + base::to_hex(message)};
  if (const auto wrong = workload.check(message, found->second.tag)) return base::Error{*wrong};
  result.latencies.push_back(steady_now() - found->second.sent);
  result.answer_bytes += static_cast<double>(message.size());
  pending_.erase(found);
  return {};
}

base::Result<LoadResult> Load::run(const Workload& workload, const LoadOptions& options) {
  LoadResult result;
  result.latencies.reserve(options.requests);
  std::uint64_t datagrams = 0;
  std::uint64_t datagram_bytes = 0;
  const base::SteadyTime begin = steady_now();
  base::SteadyTime last_answer = begin;
  while (result.latencies.size() < options.requests) {
    base::Duration wait = std::chrono::milliseconds{100};
    while (pending_.size() < options.in_flight && result.sent < options.requests) {
      const base::Duration until = pause(steady_now(), options.spacing);
      if (until > base::Duration::zero()) {
        wait = std::min(wait, until);
        break;
      }
      if (auto issued = issue(workload, result); !issued) return issued.error();
    }
    const std::size_t answered = result.latencies.size();
    for (const std::size_t i : poller_.wait(wait)) {
      Lane& lane = lanes_[i];
      const std::uint64_t bytes_before = lane.received_bytes();
      if (!lane.receive(plaintexts_)) return base::Error{"a session ended: " + lane.reason()};
      const std::size_t before = result.latencies.size();
      for (const auto& plaintext : plaintexts_) {
        if (auto taken = take(i, plaintext, workload, result); !taken) return taken.error();
      }
      plaintexts_.clear();
      if (result.latencies.size() == before) continue;
      ++datagrams;
      datagram_bytes += lane.received_bytes() - bytes_before;
    }
    if (result.latencies.size() > answered) last_answer = steady_now();
    if (steady_now() - last_answer > options.patience) {
      return base::Error{std::to_string(pending_.size()) + " requests were not answered"};
    }
  }
  result.wall_s = std::chrono::duration<double>(steady_now() - begin).count();
  const auto count = static_cast<double>(options.requests);
  result.request_bytes /= count;
  result.request_datagram_bytes /= count;
  result.answer_bytes /= count;
  result.answer_datagram_bytes =
      static_cast<double>(datagram_bytes) / static_cast<double>(std::max<std::uint64_t>(1, datagrams));
  return result;
}

}  // namespace dots::bench
