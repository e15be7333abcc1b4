#include "tests/world/server_node.h"

#include <algorithm>
#include <utility>

#include "agent/peers/dtls_record.h"
#include "agent/server/mitigation_planner.h"
#include "tests/support/scripted_channel.h"

namespace dots::world {

using agent::server::Shard;
using agent::server::ToDomain;

ServerNode::ServerNode(Timeline& timeline, ServerParts parts, ServerHooks hooks)
    : Machine(timeline), timeline_(timeline), parts_(std::move(parts)), hooks_(std::move(hooks)) {
  auto admission = std::make_shared<test::ScriptedAdmission>();
  admission->two_part_flights = parts_.two_part_flights;
  admission_ = std::make_unique<agent::AdmissionTable>(admission, agent::AdmissionLimits{});
  commits_ = std::make_unique<CommitThread>(timeline_, parts_.disk, parts_.seed, hooks_.commit);
  RunnerHooks runner = hooks_.runner;
  runner.reported = [this, told = hooks_.runner.reported](const std::vector<mitigation::OwnerReport>& reports) {
    told(reports);
    for (auto& message : back_ends_.reported(0, reports)) to_domain(std::move(message));
  };
  runner_ = std::make_unique<Runner>(timeline_, *parts_.back_end, *parts_.clock, std::move(runner));

  auto identities = std::make_shared<const policy::Identities>(*policy::Identities::build(parts_.domains));
  std::vector<std::shared_ptr<const policy::DomainRules>> rules;
  for (const auto& domain : parts_.domains) rules.push_back(std::make_shared<const policy::DomainRules>(domain));
  const auto planner =
      std::make_shared<agent::server::MitigationPlanner>(std::vector<agent::server::PlannedBackEnd>{{kBackEnd}});
  for (std::uint32_t index = 0; index < parts_.shards; ++index) {
    agent::server::ShardSettings settings = parts_.shard;
    settings.index = index;
    settings.shards = parts_.shards;
    shards_.push_back(std::make_unique<Shard>(settings, identities, rules, planner, parts_.seed * 31 + index));
  }
  const auto snapshot = commits_->store().load();
  for (std::size_t index = 0; index < shards_.size(); ++index) {
    step(index, [&](Shard& shard, base::Now at, Output& out) { shard.load(*snapshot, at, out); });
  }
}

ServerNode::~ServerNode() { *alive_ = false; }

void ServerNode::crash(bool running_commit_comes_through) {
  *alive_ = false;
  commits_->crash(running_commit_comes_through);
  wake_at(std::nullopt);
}

template <class Step>
void ServerNode::step(std::size_t shard, Step&& step) {
  Output out;
  step(*shards_[shard], now(), out);
  finish(shard, out);
}

template <class Step>
void ServerNode::post(std::size_t shard, base::Duration delay, Step step) {
  // A queue keeps its order, however long one message takes.
  base::SteadyTime& last = queue_ends_[shard];
  last = std::max(last, timeline_.now() + delay);
  timeline_.after(last - timeline_.now(), [this, alive = alive_, shard, step = std::move(step)]() mutable {
    if (*alive) this->step(shard, std::move(step));
  });
}

void ServerNode::finish(std::size_t shard, Output& out) {
  shards_[shard]->end_of_round(now(), out);
  Output more;
  perform(shard, std::move(out), more);
  if (!more.send.empty()) {
    Output none;
    perform(shard, std::move(more), none);
  }
  arm();
}

void ServerNode::perform(std::size_t shard, Output out, Output& more) {
  for (const auto& datagram : out.send) hooks_.send(datagram);
  if (out.commit) {
    commits_->submit(now().wall, std::move(*out.commit), [this, shard](const ports::CommitResult& result) {
      step(shard, [&](Shard& one, base::Now at, Output& o) { one.committed(result, at, o); });
    });
  }
  for (const auto& domain : out.reload) reload(shard, domain);
  for (auto& rules : out.wants) {
    hooks_.want(rules);
    std::vector<mitigation::Reconciler::Want> wants;
    for (auto& want : rules.wants) {
      const auto route = back_ends_.want(want.owner, want.parts);
      if (route.told) to_domain(*route.told);
      if (route.hear.empty()) continue;
      mitigation::Reconciler::Want mine{want.owner, {}, want.reason, want.until};
      if (!want.parts.empty()) mine.rules = std::move(want.parts.front().rules);
      wants.push_back(std::move(mine));
    }
    runner_->want(wants);
  }
  for (const auto& [domain, name] : out.resolve) hooks_.resolve(domain, name);
  for (const auto& answer : out.operator_answers) hooks_.operator_answer(answer);
  for (const auto& [ticket, answer] : out.data_answers) {
    if (const auto asked = data_asked_.extract(ticket)) asked.mapped()(answer);
  }
  for (auto& [to, messages] : out.to_domain) {
    for (auto& message : messages) {
      const auto delay = hooks_.hand_over();
      if (delay || agent::server::is_release(message)) {
        post(to, delay.value_or(base::Duration::zero()),
             [message = std::move(message)](Shard& one, base::Now at, Output& o) mutable {
               one.on_message(std::move(message), at, o);
             });
      } else {
        hooks_.line("HAND_OVER_FULL", "");
        shards_[shard]->on_undelivered(message, now(), more);
      }
    }
  }
  for (auto& [to, messages] : out.to_session) {
    post(to, hooks_.hand_over().value_or(base::Duration::zero()),
         [messages = std::move(messages)](Shard& one, base::Now at, Output& o) {
           for (const auto& message : messages) one.on_message(message, at, o);
         });
  }
  for (const auto& line : out.lines) hooks_.line(line.id, line.details);
}

void ServerNode::ask_data(const base::DomainId& domain, const base::ClientId& client, ports::HttpRequest request,
                          DataDone done) {
  const std::uint64_t ticket = ++data_tickets_;
  data_asked_[ticket] = std::move(done);
  const std::uint32_t to = agent::server::owner_of(domain, parts_.shards);
  post(to, base::Duration::zero(),
       [asked = agent::server::DataRequest{domain, client, std::move(request), ticket}](
           Shard& one, base::Now at, Output& o) { one.on_data(asked, at, o); });
}

void ServerNode::reload(std::size_t shard, const base::DomainId& domain) {
  commits_->load(domain, [this, shard, domain](base::Result<ports::Snapshot> snapshot) {
    if (!snapshot) {
      timeline_.after(std::chrono::milliseconds{200}, [this, alive = alive_, shard, domain] {
        if (*alive) reload(shard, domain);
      });
      return;
    }
    step(shard, [&](Shard& one, base::Now at, Output& o) { one.reloaded(domain, *snapshot, at, o); });
  });
}

void ServerNode::to_domain(ToDomain message) {
  const auto delay = hooks_.hand_over();
  const bool may_drop = std::holds_alternative<signal::server::CountersReport>(message.event);
  if (!delay && may_drop) return;
  const std::uint32_t to = agent::server::owner_of(message.domain, parts_.shards);
  post(to, delay.value_or(base::Duration::zero()),
       [message = std::move(message)](Shard& one, base::Now at, Output& o) mutable {
         one.on_message(std::move(message), at, o);
       });
}

void ServerNode::on_datagram(const model::Datagram& datagram) {
  const auto record = agent::first_record(datagram.bytes);
  const bool handshake =
      !record || record->epoch == 0 || record->type == agent::kHandshake || record->type == agent::kChangeCipherSpec;
  if (handshake) {
    agent::AdmissionEffects effects;
    admission_->on_datagram(datagram, now(), effects);
    admit(effects);
  } else {
    step(model::shard_of(datagram.path.peer, parts_.shards),
         [&](Shard& one, base::Now at, Output& o) { one.on_datagram(datagram, at, o); });
  }
}

void ServerNode::admit(agent::AdmissionEffects& effects) {
  for (const auto& datagram : effects.send) hooks_.send(datagram);
  for (auto& admitted : effects.admitted) {
    auto shared = std::make_shared<agent::Admitted>(std::move(admitted));
    post(model::shard_of(shared->path.peer, parts_.shards), base::Duration::zero(),
         [shared](Shard& one, base::Now at, Output& o) { one.on_admitted(std::move(*shared), at, o); });
  }
  for (auto& datagram : effects.forward) {
    post(model::shard_of(datagram.path.peer, parts_.shards), base::Duration::zero(),
         [datagram = std::move(datagram)](Shard& one, base::Now at, Output& o) { one.on_datagram(datagram, at, o); });
  }
  arm();
}

void ServerNode::on_deadline() {
  if (const auto at = admission_->next_deadline(); at && *at <= timeline_.now()) {
    agent::AdmissionEffects effects;
    admission_->on_timer(now(), effects);
    admit(effects);
  }
  for (std::size_t index = 0; index < shards_.size(); ++index) {
    const auto at = shards_[index]->next_deadline();
    if (at && *at <= timeline_.now()) {
      step(index, [](Shard& one, base::Now when, Output& o) { one.on_timer(when, o); });
    }
  }
  arm();
}

void ServerNode::arm() {
  std::optional<base::SteadyTime> next = admission_->next_deadline();
  for (const auto& shard : shards_) {
    const auto at = shard->next_deadline();
    if (at && (!next || *at < *next)) next = at;
  }
  wake_at(*alive_ ? next : std::nullopt);
}

void ServerNode::close_all(const std::string& reason) {
  for (std::size_t index = 0; index < shards_.size(); ++index) {
    step(index, [&](Shard& one, base::Now at, Output& o) { one.close_all(reason, at, o); });
  }
}

void ServerNode::notice_clock_step() {
  for (std::size_t index = 0; index < shards_.size(); ++index) {
    step(index, [](Shard& one, base::Now at, Output& o) { one.on_clock_step(at, o); });
  }
}

void ServerNode::operator_withdraw(const base::DomainId& domain, const base::Cuid& cuid, base::Mid mid,
                                   std::uint64_t ticket) {
  signal::server::OperatorWithdraw withdraw;
  withdraw.ticket = ticket;
  withdraw.cuid = cuid;
  withdraw.mid = mid;
  withdraw.author = "operator";
  to_domain({domain, withdraw});
}

void ServerNode::resolved(const base::DomainId& domain, const ports::Resolution& resolution) {
  to_domain({domain, signal::server::NameResolved{resolution}});
}

void ServerNode::set_redirects(const std::shared_ptr<const agent::server::Redirects>& redirects) {
  for (std::size_t index = 0; index < shards_.size(); ++index) {
    step(index, [&](Shard& one, base::Now at, Output& o) { one.set_redirects(redirects, at, o); });
  }
}

void ServerNode::set_session_bounds(const std::shared_ptr<const policy::SessionBounds>& bounds) {
  parts_.shard.bounds = bounds;
  for (std::size_t index = 0; index < shards_.size(); ++index) {
    step(index, [&](Shard& one, base::Now at, Output& o) { one.set_session_bounds(bounds, at, o); });
  }
}

std::vector<signal::server::MitigationView> ServerNode::mitigations() const {
  std::vector<signal::server::MitigationView> all;
  for (const auto& shard : shards_) {
    auto some = shard->mitigations(now());
    std::move(some.begin(), some.end(), std::back_inserter(all));
  }
  return all;
}

std::vector<agent::server::SessionView> ServerNode::sessions() const {
  std::vector<agent::server::SessionView> all;
  for (const auto& shard : shards_) {
    auto some = shard->sessions(now());
    std::move(some.begin(), some.end(), std::back_inserter(all));
  }
  return all;
}

bool ServerNode::busy() const {
  return std::any_of(shards_.begin(), shards_.end(), [](const auto& shard) { return shard->busy(); });
}

}  // namespace dots::world
