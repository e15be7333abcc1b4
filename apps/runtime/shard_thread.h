// One shard at work: its event loop, its sockets, and the pure machine that decides.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <thread>
#include <vector>

#include "adapters/net/event_loop.h"
#include "adapters/net/udp_socket.h"
#include "agent/server/shard.h"
#include "apps/runtime/losses.h"
#include "ops/facts/messages.h"

namespace dots::runtime {

// What a shard needs from the rest of the server. Called on the shard's thread; nothing in here may block.
struct ShardWorld {
  std::function<bool(std::uint32_t to, agent::server::ToDomain)> to_domain;  // false: the queue is full
  std::function<void(std::uint32_t to, std::vector<agent::server::ToSession>)> to_session;
  // False: the queue of the commit thread is full, and no answer comes.
  std::function<bool(std::uint32_t from, std::vector<ports::Change>, base::Now)> commit;
  std::function<bool(std::uint32_t from, const base::DomainId&)> read;
  std::function<void(std::vector<signal::server::DesiredRules>, std::vector<mitigation::DomainFilters>)> want;
  std::function<void(const base::DomainId&, const std::string& name)> resolve;
  std::function<void(const signal::server::OperatorAnswer&)> operator_answer;
  std::function<void(std::uint64_t ticket, ports::HttpAnswer)> data_answer;
  std::function<void(const std::vector<model::Path>& opened, const std::vector<model::Path>& closed)> peers;
  std::function<void(std::uint32_t from, const signal::server::ClientCounts&, base::Now)> clients;
  std::function<void(base::Now)> stalled;  // the shard did not run for a while
  std::function<LossVerdict()> losses;
  std::function<void(base::Now)> tick;  // by the first shard, about once a second and after each round
};

class ShardThread {
 public:
  ShardThread(std::uint32_t index, std::unique_ptr<agent::server::Shard> shard, ShardWorld world,
              ops::facts::Sink& sink);
  ~ShardThread();
  ShardThread(const ShardThread&) = delete;
  ShardThread& operator=(const ShardThread&) = delete;

  // Before start().
  void add_socket(adapters::net::UdpSocket socket);
  // A session that came over TCP, with its connection. False when the queue is full.
  bool adopt(agent::Admitted admitted, adapters::net::TcpStream stream);
  void start(ports::Snapshot snapshot);
  // Closes the sessions, waits for the commit that is out, and ends the thread. Posts are refused from then on.
  void stop();

  // Runs `step` on the shard's thread as part of a round. False when the queue is full; reserved tasks have room of
  // their own.
  using Step = std::function<void(agent::server::Shard&, base::Now, agent::server::ShardOutput&)>;
  bool post(Step step, adapters::net::Priority priority);
  // Waits for room: for threads that no shard waits for, and steps that must arrive.
  void post_surely(Step step);
  // A domain that could not be read from the store: asked for again a second later. Not from a shard's thread.
  void read_later(const base::DomainId& domain);

 private:
  void finish_round();
  void perform(agent::server::ShardOutput out);
  void count(const agent::server::ShardCounts& counts);
  void watch_clock(base::Now now);
  void read_again(base::Now now);

  const std::uint32_t index_;
  std::unique_ptr<agent::server::Shard> shard_;
  ShardWorld world_;
  ops::facts::Sink& sink_;
  adapters::net::EventLoop loop_;
  agent::server::ShardOutput round_;  // of the round that runs
  std::optional<base::Now> last_;
  LossVerdict losses_;           // as the shard knows it
  bool commit_refused_ = false;  // the shard hears of it in the next round
  std::set<base::DomainId> unread_;
  base::SteadyTime read_again_at_{};
  bool stopping_ = false;  // the loop's thread
  std::atomic<bool> stopped_{false};
  std::atomic<bool> ended_{false};  // nobody runs steps any more
  std::thread thread_;
};

}  // namespace dots::runtime
