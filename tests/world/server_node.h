// A server process under virtual time: admission, shards, commit thread and back ends, as apps/runtime wires them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/peers/admission_table.h"
#include "agent/server/back_ends.h"
#include "agent/server/shard.h"
#include "tests/world/back_end.h"
#include "tests/world/commit_thread.h"
#include "tests/world/timeline.h"

namespace dots::world {

struct ServerParts {
  std::vector<policy::DomainPolicy> domains;
  std::uint32_t shards = 1;
  agent::server::ShardSettings shard;  // index and shards are filled in
  std::uint64_t seed = 1;
  bool two_part_flights = false;
  std::shared_ptr<adapters::store::MemoryDisk> disk = std::make_shared<adapters::store::MemoryDisk>();
  BackEnd* back_end = nullptr;  // outlives the process
  WallClock* clock = nullptr;   // likewise
};

struct ServerHooks {
  std::function<void(const model::Datagram&)> send = [](const auto&) {};
  std::function<void(std::string_view id, const std::string& details)> line = [](auto, const auto&) {};
  std::function<void(const base::DomainId&, const std::string& name)> resolve = [](const auto&, const auto&) {};
  std::function<void(const signal::server::OperatorAnswer&)> operator_answer = [](const auto&) {};
  // How long what one thread hands to another is on its way; nothing: the queue is full.
  std::function<std::optional<base::Duration>()> hand_over = [] { return base::Duration::zero(); };
  std::function<void(const signal::server::DesiredRules&)> want = [](const auto&) {};
  CommitHooks commit;
  RunnerHooks runner;
};

inline const std::string kBackEnd = "back end";

class ServerNode : public Timeline::Machine {
 public:
  ServerNode(Timeline& timeline, ServerParts parts, ServerHooks hooks);
  ~ServerNode() override;

  // From the network; the kernel's steering is in here.
  void on_datagram(const model::Datagram& datagram);
  void on_deadline() override;
  // The process dies at once. `running_commit_comes_through`: of a commit that runs, the disk's part is done.
  void crash(bool running_commit_comes_through);
  // A clean stop: sessions are closed, commits and rules are finished by the caller's waiting.
  void close_all(const std::string& reason);
  // The wall clock stepped: what an idle shard notices within a second.
  void notice_clock_step();
  void operator_withdraw(const base::DomainId& domain, const base::Cuid& cuid, base::Mid mid, std::uint64_t ticket);
  void resolved(const base::DomainId& domain, const ports::Resolution& resolution);
  // What a domain is told by somebody else: a back end that knows more of the attack, a data channel.
  void tell_domain(const base::DomainId& domain, signal::server::Event event) { to_domain({domain, std::move(event)}); }
  // A request on the data channel, as HTTPS hands it over.
  using DataDone = std::function<void(const ports::HttpAnswer&)>;
  void ask_data(const base::DomainId& domain, const base::ClientId& client, ports::HttpRequest request, DataDone done);
  void set_redirects(const std::shared_ptr<const agent::server::Redirects>& redirects);
  void set_session_bounds(const std::shared_ptr<const policy::SessionBounds>& bounds);

  const agent::server::Shard& shard(std::size_t index) const { return *shards_[index]; }
  std::vector<signal::server::MitigationView> mitigations() const;
  std::vector<agent::server::SessionView> sessions() const;
  std::size_t handshakes() const { return admission_->size(); }
  const Runner& runner() const { return *runner_; }
  bool busy() const;  // a commit is out
  base::Now now() const { return parts_.clock->at(timeline_.now()); }
  const ServerParts& parts() const { return parts_; }

 private:
  using Output = agent::server::ShardOutput;
  template <class Step>
  void step(std::size_t shard, Step&& step);
  // A step of another thread's making: later, when the process still lives.
  template <class Step>
  void post(std::size_t shard, base::Duration delay, Step step);
  void finish(std::size_t shard, Output& out);
  void perform(std::size_t shard, Output out, Output& more);
  void admit(agent::AdmissionEffects& effects);
  void reload(std::size_t shard, const base::DomainId& domain);
  void to_domain(agent::server::ToDomain message);
  void arm();

  Timeline& timeline_;
  ServerParts parts_;
  ServerHooks hooks_;
  std::unique_ptr<agent::AdmissionTable> admission_;
  std::vector<std::unique_ptr<agent::server::Shard>> shards_;
  std::map<std::size_t, base::SteadyTime> queue_ends_;  // of each shard
  std::unique_ptr<CommitThread> commits_;
  std::unique_ptr<Runner> runner_;
  agent::server::BackEnds back_ends_{{kBackEnd}};
  std::map<std::uint64_t, DataDone> data_asked_;  // by ticket
  std::uint64_t data_tickets_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace dots::world
