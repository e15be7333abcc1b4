// What operators ask of a server (docs/api.md). Answers are gathered from all shards without waiting on any thread.
#include <algorithm>
#include <iterator>
#include <utility>

#include "adapters/net/event_loop.h"
#include "agent/operators/answers.h"
#include "agent/server/render.h"
#include "agent/server/render_filters.h"
#include "agent/server/rules_view.h"
#include "apps/runtime/gather.h"
#include "apps/runtime/reload.h"
#include "apps/runtime/server_state.h"
#include "apps/version.h"
#include "model/text.h"

namespace dots::runtime {

using adapters::net::Priority;
using agent::call_failed;
using agent::call_ok;
using agent::CallAnswer;
using agent::server::Shard;
using agent::server::ShardOutput;

template <class View>
void ServerRuntime::State::gather(std::function<View(const Shard&, base::Now)> take,
                                  std::function<void(std::vector<View>)> done) {
  auto later = [this, done = std::move(done)](std::vector<View> views) {
    const auto all = std::make_shared<std::vector<View>>(std::move(views));
    if (!secretary.post([done, all] { done(std::move(*all)); })) done(std::move(*all));
  };
  auto gathering = std::make_shared<Gather<View>>(shards.size(), std::move(later));
  for (auto& shard : shards) {
    const bool taken = shard->post(
        [gathering, take](Shard& machine, base::Now now, ShardOutput&) { gathering->add(take(machine, now)); },
        Priority::reserved);
    if (!taken) gathering->add(View{});
  }
}

namespace {

struct ShardView {
  std::vector<signal::server::MitigationView> mitigations;
  std::vector<agent::server::SessionView> sessions;
};

ShardView view_of(const Shard& shard, base::Now now) { return {shard.mitigations(now), shard.sessions(now)}; }

std::vector<signal::server::MitigationView> mitigations_of(std::vector<ShardView> views) {
  std::vector<signal::server::MitigationView> all;
  for (auto& view : views) std::move(view.mitigations.begin(), view.mitigations.end(), std::back_inserter(all));
  return all;
}

bool wanted(const signal::server::MitigationView& view, const ServerArguments& arguments) {
  return (!arguments.query.mid || view.record.mid == *arguments.query.mid) &&
         (arguments.query.cuid.empty() || view.record.cuid.value == arguments.query.cuid) &&
         (arguments.domain.empty() || view.record.domain.value == arguments.domain);
}

}  // namespace

std::vector<agent::server::BackEndView> ServerRuntime::State::back_end_views() const {
  std::vector<agent::server::BackEndView> views;
  for (const auto& runner : runners) views.push_back(runner->view());
  return views;
}

void ServerRuntime::State::status(Done done) {
  gather<ShardView>(view_of, [this, done = std::move(done)](std::vector<ShardView> views) {
    agent::server::StatusView status;
    status.version = kVersion;
    status.listen = listening;
    status.uptime = adapters::net::clock_now().steady - started;
    status.domains = running()->domains.size();
    status.shards = shards.size();
    status.handshakes_full =
        admission->handshakes().full() + (stream_admission ? stream_admission->handshakes().full() : 0);
    status.handshakes_resumed =
        admission->handshakes().resumed() + (stream_admission ? stream_admission->handshakes().resumed() : 0);
    for (auto& view : views) std::move(view.sessions.begin(), view.sessions.end(), std::back_inserter(status.sessions));
    status.mitigations = mitigations_of(std::move(views));
    status.back_ends = back_end_views();
    done(call_ok(agent::server::render_status(status)));
  });
}

void ServerRuntime::State::list(Done done) {
  gather<ShardView>(view_of, [done = std::move(done)](std::vector<ShardView> views) {
    done(call_ok(agent::server::render_list(mitigations_of(std::move(views)), adapters::net::clock_now())));
  });
}

void ServerRuntime::State::show(const ServerArguments& arguments, Done done) {
  gather<ShardView>(view_of, [arguments, done = std::move(done)](std::vector<ShardView> views) {
    auto mitigations = mitigations_of(std::move(views));
    std::erase_if(mitigations, [&](const auto& view) { return !wanted(view, arguments); });
    if (mitigations.empty()) {
      done(call_failed(CallAnswer::Outcome::not_found, "no such mitigation", "dotsctl list shows all of them"));
      return;
    }
    done(call_ok(agent::server::render_list(mitigations, adapters::net::clock_now())));
  });
}

void ServerRuntime::State::explain(const ServerArguments& arguments, Done done) {
  gather<ShardView>(view_of, [this, arguments, done = std::move(done)](std::vector<ShardView> views) {
    agent::server::ExplainWorld world{running()->domains, {}};
    {
      const std::lock_guard lock(running_mutex);
      world.safe_targets = planner->settings().safety.targets;
    }
    done(call_ok(agent::server::render_explain(back_end_views(), mitigations_of(std::move(views)), arguments.query,
                                               adapters::net::clock_now(), world)));
  });
}

void ServerRuntime::State::rules(const ServerArguments& arguments, Done done) {
  gather<ShardView>(view_of, [this, arguments, done = std::move(done)](std::vector<ShardView> views) {
    const agent::server::RulesQuery query{arguments.domain, arguments.back_end, arguments.query.prefix,
                                          arguments.only_differences, arguments.audit.limit};
    done(call_ok(agent::server::render_rules(back_end_views(), mitigations_of(std::move(views)), query)));
  });
}

void ServerRuntime::State::filters(const ServerArguments& arguments, Done done) {
  using Lists = std::vector<agent::server::FilterListView>;
  gather<Lists>(
      [](const Shard& shard, base::Now now) { return shard.filters(now); },
      [this, arguments, done = std::move(done)](std::vector<Lists> parts) {
        Lists all;
        for (auto& part : parts) std::move(part.begin(), part.end(), std::back_inserter(all));
        const agent::server::FilterQuery query{arguments.domain, arguments.query.cuid, arguments.query.prefix};
        done(call_ok(
            agent::server::render_filters(back_end_views(), std::move(all), query, adapters::net::clock_now())));
      });
}

void ServerRuntime::State::audit(const ServerArguments& arguments, Done done) {
  const bool taken = committer->read([arguments, done](ports::Store& store) {
    ports::AuditQuery query = arguments.audit;
    if (!arguments.domain.empty()) query.domain = base::DomainId{arguments.domain};
    auto records = store.audit(query);
    if (!records) {
      done(call_failed(CallAnswer::Outcome::unavailable, records.error().message));
      return;
    }
    done(call_ok(agent::render_audit(*records)));
  });
  if (!taken) done(call_failed(CallAnswer::Outcome::unavailable, "the store takes no more work now", "try again"));
}

template <class Event>
void ServerRuntime::State::ask_domain(const base::DomainId& domain, Event event, std::optional<base::Mid> mid,
                                      Done done) {
  const auto ticket = tickets.take(done, mid);
  if (!ticket)
    return done(call_failed(CallAnswer::Outcome::unavailable, "too many operator changes wait", "try again"));
  event.ticket = *ticket;
  if (!to_domain({domain, std::move(event)})) tickets.answer({*ticket, false, "the server is busy: try again"});
}

// Finds the one mitigation that is meant, then asks its domain.
template <class Event>
void ServerRuntime::State::about_one(const ServerArguments& arguments, Event event, Done done) {
  if (!arguments.query.mid) {
    done(call_failed(CallAnswer::Outcome::bad_request, "mid is missing", "dotsctl list shows the mids"));
    return;
  }
  gather<ShardView>(view_of, [this, arguments, event, done = std::move(done)](std::vector<ShardView> views) mutable {
    auto mitigations = mitigations_of(std::move(views));
    std::erase_if(mitigations, [&](const auto& view) { return !wanted(view, arguments); });
    if (mitigations.empty()) {
      done(call_failed(CallAnswer::Outcome::not_found, "no such mitigation", "dotsctl list shows all of them"));
      return;
    }
    if (mitigations.size() > 1) {
      done(call_failed(CallAnswer::Outcome::conflict, "several mitigations have this mid",
                       "name the client as well: --cuid, --domain"));
      return;
    }
    const ports::MitigationRecord& record = mitigations.front().record;
    event.cuid = record.cuid;
    event.mid = record.mid;
    ask_domain(record.domain, std::move(event), record.mid, done);
  });
}

void ServerRuntime::State::release_cuid(const ServerArguments& arguments, const agent::Caller& caller, Done done) {
  if (arguments.query.cuid.empty()) {
    return done(call_failed(CallAnswer::Outcome::bad_request, "cuid is missing", "the audit log names it"));
  }
  base::DomainId domain{arguments.domain};
  const auto now = running();
  const auto& domains = now->domains;
  if (domain.value.empty() && domains.size() == 1) domain = domains.front().id;
  if (std::none_of(domains.begin(), domains.end(), [&](const auto& known) { return known.id == domain; })) {
    return done(call_failed(CallAnswer::Outcome::not_found,
                            domain.value.empty() ? "which domain?" : "there is no domain '" + domain.value + "'",
                            "name it: --domain"));
  }
  ask_domain(domain,
             signal::server::OperatorReleaseCuid{0, base::Cuid{arguments.query.cuid}, caller.name, arguments.note,
                                                 caller.credential()},
             std::nullopt, std::move(done));
}

void ServerRuntime::State::release_armed(const agent::Caller& caller, Done done) {
  if (losses->release(caller.name, adapters::net::clock_now())) {
    return done(call_ok(boost::json::object{{"text", "preconfigured requests of silent clients start now"}}));
  }
  done(call_failed(CallAnswer::Outcome::conflict, "nothing is held back that could be released",
                   "dotsctl status tells what is wrong"));
}

void ServerRuntime::State::redirects(Done done) {
  using Clients = std::vector<agent::server::RedirectedClient>;
  gather<Clients>([](const Shard& shard, base::Now now) { return shard.redirected(now); },
                  [this, done = std::move(done)](std::vector<Clients> parts) {
                    Clients all;
                    for (auto& part : parts) std::move(part.begin(), part.end(), std::back_inserter(all));
                    done(call_ok(agent::server::render_redirects(*desk.current(), all, running()->domains)));
                  });
}

void ServerRuntime::call(agent::Call call, std::function<void(CallAnswer)> done) {
  const auto forbidden = [] {
    return call_failed(CallAnswer::Outcome::forbidden, "you may look but not change",
                       "ask for membership in api.operator_group");
  };
  if (call.operation == "reload") {
    const auto dry_run = parse_reload_arguments(call.arguments);
    if (!dry_run) return done(call_failed(CallAnswer::Outcome::bad_request, dry_run.error().message));
    if (!call.caller.may_write) return done(forbidden());
    return state_->reload_config(*dry_run, call.caller, std::move(done));
  }
  if (call.operation == "redirect") {
    if (!call.caller.may_write) return done(forbidden());
    return state_->redirect(call.arguments, call.caller, std::move(done));
  }
  if (call.operation == "what-if") return state_->what_if(call.arguments, done);
  const auto arguments = parse_arguments(call.arguments);
  if (!arguments) return done(call_failed(CallAnswer::Outcome::bad_request, arguments.error().message));
  if (call.operation == "status") return state_->status(std::move(done));
  if (call.operation == "list") return state_->list(std::move(done));
  if (call.operation == "show") return state_->show(*arguments, std::move(done));
  if (call.operation == "filters") return state_->filters(*arguments, std::move(done));
  if (call.operation == "explain") return state_->explain(*arguments, std::move(done));
  if (call.operation == "rules") return state_->rules(*arguments, std::move(done));
  if (call.operation == "audit") return state_->audit(*arguments, std::move(done));
  if (call.operation == "withdraw" || call.operation == "approve" || call.operation == "refuse") {
    if (!call.caller.may_write) return done(forbidden());
    const agent::Caller& caller = call.caller;
    using namespace signal::server;
    if (call.operation != "withdraw" && (!model::is_plain_text(arguments->note) || arguments->note.size() > 500)) {
      return done(call_failed(CallAnswer::Outcome::bad_request, "note is longer than 500 bytes or no plain text"));
    }
    if (call.operation == "approve") {
      return state_->about_one(
          *arguments, OperatorApprove{0, {}, {}, caller.name, arguments->note, caller.credential()}, std::move(done));
    }
    if (call.operation == "refuse") {
      if (arguments->note.empty())
        return done(call_failed(CallAnswer::Outcome::bad_request, "note is missing: who is refused must learn why"));
      return state_->about_one(*arguments, OperatorRefuse{0, {}, {}, caller.name, arguments->note, caller.credential()},
                               std::move(done));
    }
    return state_->about_one(*arguments, OperatorWithdraw{0, {}, {}, caller.name, arguments->note, caller.credential()},
                             std::move(done));
  }
  if (call.operation == "cuid-release" || call.operation == "release-armed") {
    if (!call.caller.may_write) return done(forbidden());
    if (call.operation == "release-armed") return state_->release_armed(call.caller, std::move(done));
    return state_->release_cuid(*arguments, call.caller, std::move(done));
  }
  if (call.operation == "policy") return state_->show_policy(done);
  if (call.operation == "freeze" || call.operation == "unfreeze") {
    if (!call.caller.may_write) return done(forbidden());
    if (call.operation == "unfreeze") return state_->unfreeze(call.caller, std::move(done));
    return state_->freeze(arguments->note, call.caller, std::move(done));
  }
  if (call.operation == "redirects") return state_->redirects(std::move(done));
  if (call.operation == "mitigate") {
    return done(call_failed(CallAnswer::Outcome::bad_request, "a server does not ask for mitigation",
                            "run this against the dotsd of the client"));
  }
  done(call_failed(CallAnswer::Outcome::not_found, "unknown operation '" + call.operation + "'"));
}

}  // namespace dots::runtime
