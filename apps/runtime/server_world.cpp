// What the shards ask of the rest of the server, and what it tells them. On the shards' threads, so nothing waits here.
#include <algorithm>
#include <chrono>
#include <utility>

#include "apps/runtime/server_state.h"

namespace dots::runtime {

using adapters::net::Priority;
using agent::server::Shard;
using agent::server::ShardOutput;
using agent::server::ToDomain;

ShardWorld ServerRuntime::State::world() {
  return {
      [this](std::uint32_t, ToDomain message) { return to_domain(std::move(message)); },
      [this](std::uint32_t to, std::vector<agent::server::ToSession> messages) {
        hand_over(
            to, "answers",
            [messages = std::move(messages)](Shard& shard, base::Now now, ShardOutput& out) {
              for (const auto& message : messages) shard.on_message(message, now, out);
            },
            Priority::reserved);
      },
      [this](std::uint32_t from, std::vector<ports::Change> changes, base::Now now) {
        return commit(from, std::move(changes), now);
      },
      [this](std::uint32_t from, const base::DomainId& domain) { return read(from, domain); },
      [this](std::vector<signal::server::DesiredRules> rules, std::vector<mitigation::DomainFilters> filters) {
        want(std::move(rules), std::move(filters));
      },
      [this](const base::DomainId& domain, const std::string& name) { resolve(domain, name); },
      [this](const signal::server::OperatorAnswer& answer) { tickets.answer(answer); },
      [this](std::uint64_t ticket, ports::HttpAnswer answer) {
        if (data_channel) data_channel->answer(ticket, std::move(answer));
      },
      [this](const std::vector<model::Path>& opened, const std::vector<model::Path>& closed) { peers(opened, closed); },
      [this](std::uint32_t from, const signal::server::ClientCounts& counts, base::Now now) {
        losses->counted(from, counts, now);
      },
      [this](base::Now now) { losses->stalled(now); },
      [this] { return losses->verdict(); },
      [this](base::Now now) {
        watch_clock(now);
        tell_able();
        losses->tick(bound, now);
      },
  };
}

bool ServerRuntime::State::to_domain(ToDomain message) {
  const std::uint32_t to = agent::server::owner_of(message.domain, static_cast<std::uint32_t>(shards.size()));
  const Priority priority = agent::server::is_release(message) ? Priority::reserved : Priority::normal;
  return shards[to]->post([message = std::move(message)](Shard& shard, base::Now now,
                                                         ShardOutput& out) { shard.on_message(message, now, out); },
                          priority);
}

// On the thread of the data channel.
bool ServerRuntime::State::to_data(agent::server::DataRequest asked) {
  const std::uint32_t to = agent::server::owner_of(asked.domain, static_cast<std::uint32_t>(shards.size()));
  const bool taken =
      shards[to]->post([asked = std::make_shared<const agent::server::DataRequest>(std::move(asked))](
                           Shard& shard, base::Now now, ShardOutput& out) { shard.on_data(*asked, now, out); },
                       Priority::patient);
  if (!taken) sink.count("dots_hand_over_refused_total", "data", 1);
  return taken;
}

// Reports of back ends: when a queue is full the next report says it again. REQUIRES: back_ends_mutex is held, so that
// two threads cannot change the order of what is said of one mitigation.
void ServerRuntime::State::to_domains(const std::vector<ToDomain>& messages) {
  for (const auto& message : messages) {
    if (to_domain(message)) continue;
    sink.count("dots_hand_over_refused_total", "reports", 1);
    if (const auto* report = std::get_if<signal::server::RulesReport>(&message.event)) {
      back_ends.undelivered({message.domain, report->cuid, report->mid});
    }
  }
}

// False: not taken, and nobody is told of it later.
bool ServerRuntime::State::commit(std::uint32_t from, std::vector<ports::Change> changes, base::Now now) {
  ports::Batch batch;
  batch.at = now.wall;
  batch.changes = std::move(changes);
  return committer->submit(std::move(batch), [this, from, wall = now.wall](const ports::CommitResult& result) {
    if (result.outcome == ports::CommitOutcome::committed) newest_commit = wall;
    // The gate holds one batch at a time, so this is one of few tasks; it must arrive.
    shards[from]->post_surely(
        [result](Shard& shard, base::Now at, ShardOutput& out) { shard.committed(result, at, out); });
  });
}

bool ServerRuntime::State::read(std::uint32_t from, const base::DomainId& domain) {
  return committer->load_domain(domain, [this, from, domain](base::Result<ports::Snapshot> snapshot) {
    if (!snapshot) {
      sink.message("RELOAD_FAILED", "domain " + domain.value + ": " + snapshot.error().message);
      shards[from]->read_later(domain);
      return;
    }
    shards[from]->post_surely(
        [domain, snapshot = std::make_shared<ports::Snapshot>(std::move(*snapshot))](
            Shard& shard, base::Now now, ShardOutput& out) { shard.reloaded(domain, *snapshot, now, out); });
  });
}

void ServerRuntime::State::hand_over(std::uint32_t to, const char* what, ShardThread::Step step, Priority priority) {
  if (!shards[to]->post(std::move(step), priority)) sink.count("dots_hand_over_refused_total", what, 1);
}

// What one round made durable goes to the back ends together: rules, and the filters that come and go with them.
void ServerRuntime::State::want(std::vector<signal::server::DesiredRules> rules,
                                std::vector<mitigation::DomainFilters> filters) {
  add_safe_lists(filters);
  // A later wish of the same owner takes the place of an earlier one.
  std::vector<std::map<model::RuleOwner, mitigation::Reconciler::Want>> wants(runners.size());
  for (auto& one : rules) {
    for (auto& want : one.wants) {
      withhold_unowned(want);
      const std::lock_guard lock(back_ends_mutex);
      const auto route = back_ends.want(want.owner, want.parts);
      if (route.told) to_domains({*route.told});
      for (const std::size_t index : route.hear) {
        const auto part = std::find_if(want.parts.begin(), want.parts.end(),
                                       [&](const auto& p) { return p.back_end == config.mitigators[index].name; });
        mitigation::Reconciler::Want mine{want.owner, {}, want.reason, want.until, want.asked_at};
        if (part != want.parts.end()) mine.rules = std::move(part->rules);
        wants[index].insert_or_assign(want.owner, std::move(mine));
      }
    }
  }
  for (std::size_t index = 0; index < runners.size(); ++index) {
    if (wants[index].empty() && filters.empty()) continue;
    std::vector<mitigation::Reconciler::Want> list;
    list.reserve(wants[index].size());
    for (auto& [owner, want] : wants[index]) list.push_back(std::move(want));
    runners[index]->want(std::move(list), filters);
  }
}

// On a runner's thread. What finds no room in a queue stays and goes with the next.
void ServerRuntime::State::filters_counted(std::vector<mitigation::FilterCounts> counts) {
  const std::lock_guard lock(back_ends_mutex);
  for (const auto& one : counts) {
    auto& entries = uncounted[one.key];
    for (const auto& [entry, more] : one.counters) {
      model::RuleCounters& sum = entries[entry];
      sum.packets += more.packets;
      sum.bytes += more.bytes;
    }
  }
  std::map<std::uint32_t, std::vector<mitigation::FilterCounts>> by_shard;
  for (const auto& [key, entries] : uncounted) {
    auto& list = by_shard[agent::server::owner_of(key.domain, static_cast<std::uint32_t>(shards.size()))];
    list.push_back({key, {}});
    for (const auto& [entry, more] : entries) list.back().counters.push_back({entry, more});
  }
  for (auto& [to, list] : by_shard) {
    const auto shared = std::make_shared<const std::vector<mitigation::FilterCounts>>(std::move(list));
    const bool taken =
        shards[to]->post([shared](Shard& shard, base::Now now, ShardOutput&) { shard.on_filter_counts(*shared, now); },
                         Priority::normal);
    if (!taken) {
      sink.count("dots_hand_over_refused_total", "reports", 1);
      continue;
    }
    for (const auto& one : *shared) uncounted.erase(one.key);
  }
}

void ServerRuntime::State::resolve(const base::DomainId& domain, const std::string& name) {
  resolver->resolve(name, [this, domain](ports::Resolution resolution) {
    if (resolution.outcome != ports::Resolution::Outcome::answered) {
      sink.message("NAME_FAILED", "'" + resolution.name + "' for domain " + domain.value + ": " + resolution.reason);
    }
    if (!to_domain({domain, signal::server::NameResolved{std::move(resolution)}})) {
      sink.count("dots_hand_over_refused_total", "names", 1);
    }
  });
}

void ServerRuntime::State::peers(const std::vector<model::Path>& opened, const std::vector<model::Path>& closed) {
  std::vector<ports::SignalExemption> list;
  {
    const std::lock_guard lock(exemptions_mutex);
    for (const auto& path : opened) exemptions.opened(path);
    for (const auto& path : closed) exemptions.closed(path);
    if (!exemptions.changed()) return;
    list = exemptions.list();
    for (auto& runner : runners) runner->exempt(list);
  }
}

// Behind what is stored, deadlines that have passed cannot be told from those that have not (load.cpp of
// signal/server).
void ServerRuntime::State::watch_clock(base::Now now) {
  const base::Duration behind = newest_commit.load() - now.wall;
  if ((behind > std::chrono::seconds{5}) == clock_is_behind) return;
  clock_is_behind = !clock_is_behind;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(behind).count();
  sink.health("WALL_CLOCK_WRONG", "", clock_is_behind, clock_is_behind ? "by " + std::to_string(seconds) + " s" : "");
}

// At the first shard's tick, until every shard had room for it.
void ServerRuntime::State::tell_able() {
  const std::lock_guard lock(back_ends_mutex);
  for (std::size_t i = 0; i < shards_to_tell.size(); ++i) {
    if (!shards_to_tell[i]) continue;
    const bool taken =
        shards[i]->post([report = able_report](Shard& shard, base::Now, ShardOutput&) { shard.on_back_ends(report); },
                        Priority::reserved);
    if (taken) shards_to_tell[i] = false;
  }
}

}  // namespace dots::runtime
