// What changes while the server runs: its configuration, whom it trusts, and where it sends clients. One thing after
// the other, on the housekeeper's thread; a shard never waits for any of it.
#include <algorithm>
#include <chrono>
#include <latch>
#include <thread>
#include <utility>

#include "agent/operators/answers.h"
#include "apps/runtime/open_credentials.h"
#include "apps/runtime/reload.h"
#include "apps/runtime/server_state.h"
#include "apps/runtime/ticket_files.h"

namespace dots::runtime {

using adapters::net::Priority;
using agent::call_failed;
using agent::call_ok;
using agent::CallAnswer;
using agent::server::Shard;
using agent::server::ShardOutput;

namespace {

// Back ends that cannot be reached for so long are taken for down.
constexpr base::Duration kMitigatorsDown = std::chrono::seconds{10};

CallAnswer busy() {
  return call_failed(CallAnswer::Outcome::unavailable, "too many orders wait, or the server stops", "try again");
}

}  // namespace

base::Result<Beliefs> load_beliefs(const ops::Config& config, ops::facts::Sink& sink) {
  Beliefs out;
  auto credentials = open_credentials(config, adapters::net::Side::server, sink);
  if (!credentials) return credentials.error();
  out.credentials = std::move(*credentials);
  auto identities = policy::Identities::build(config.domains);
  if (!identities) return identities.error();
  out.identities = std::make_shared<const policy::Identities>(std::move(*identities));
  for (const auto& domain : config.domains) out.domains.push_back(std::make_shared<const policy::DomainRules>(domain));
  return out;
}

std::shared_ptr<const ops::Config> ServerRuntime::State::running() const {
  const std::lock_guard lock(running_mutex);
  return running_config;
}

// Few tasks, and they must arrive: no shard is without the change when this returns.
void ServerRuntime::State::on_all_shards(const ShardThread::Step& step) {
  auto done = std::make_shared<std::latch>(static_cast<std::ptrdiff_t>(shards.size()));
  for (auto& shard : shards) {
    shard->post_surely([step, done](Shard& machine, base::Now now, ShardOutput& out) {
      step(machine, now, out);
      done->count_down();
    });
  }
  done->wait();
}

void ServerRuntime::State::audit_line(const agent::Caller& caller, const std::string& action,
                                      const std::string& subject, const std::string& text, std::function<void()> then) {
  ports::Batch batch;
  batch.at = adapters::net::clock_now().wall;
  ports::AuditRecord record;
  record.at = batch.at;
  record.actor = "operator " + caller.name;
  record.action = action;
  record.subject = subject;
  record.verdict = "done";
  record.text = text;
  record.credential = caller.credential();
  batch.changes.push_back(ports::AppendAudit{std::move(record)});
  // It is in force whatever the store says of the audit line.
  if (!committer->submit(std::move(batch), [then](const ports::CommitResult&) { then(); })) then();
}

// ---- redirected signaling -------------------------------------------------------------------------------------------

// What is in force when the shard takes it, so that no older word overtakes a newer one.
void ServerRuntime::State::set_redirects() {
  on_all_shards(
      [this](Shard& shard, base::Now now, ShardOutput& out) { shard.set_redirects(desk.current(), now, out); });
}

void ServerRuntime::State::redirect(boost::json::object arguments, const agent::Caller& caller, Done done) {
  if (!housekeeper.post([=, this] { redirect_now(arguments, caller, done); })) done(busy());
}

// Stored first, then in force, then answered: a drain must survive a restart.
void ServerRuntime::State::redirect_now(const boost::json::object& arguments, const agent::Caller& caller,
                                        const Done& done) {
  auto plan = desk.plan(arguments, caller, running()->domains, adapters::net::clock_now().wall);
  if (!plan) return done(std::move(plan).error());
  if (const auto stored = desk.store(*plan); !stored) {
    return done(call_failed(CallAnswer::Outcome::unavailable,
                            "the order could not be stored: " + stored.error().message,
                            "look at the state directory, then ask again"));
  }
  const std::string line = plan->line;
  desk.adopt(std::move(*plan));
  set_redirects();
  sink.message("REDIRECTS_CHANGED", "by " + caller.name + ": " + line);
  audit_line(caller, "redirect", "", line, [this, done] { redirects(done); });
}

// RFC 8811 3.2.2: a mitigator outage is a reason to send clients elsewhere.
void ServerRuntime::State::watch_mitigators() {
  const base::Now now = adapters::net::clock_now();
  const bool reachable = std::any_of(runners.begin(), runners.end(), [](const auto& r) { return r->available(); });
  if (reachable) {
    mitigators_down_since.reset();
  } else if (!mitigators_down_since) {
    mitigators_down_since = now.steady;
  }
  const bool down = mitigators_down_since && now.steady - *mitigators_down_since >= kMitigatorsDown;
  const auto value = desk.set_mitigators_down(down, now.wall);
  if (!value) return;
  sink.message("REDIRECTS_CHANGED", down ? "no back end can be reached: clients without a running mitigation go to " +
                                               (*value)->orders.back()->to.alt_server
                                         : "back ends can be reached again");
  set_redirects();
}

// ---- credentials ----------------------------------------------------------------------------------------------------

void ServerRuntime::State::believe(std::shared_ptr<const adapters::net::Credentials> next) {
  adapters::net::Credentials::succeed(credentials, next);
  credentials = next;
  const auto again = [] { std::this_thread::sleep_for(std::chrono::milliseconds{1}); };
  while (!admission->post([this, next] { dtls_admission->replace_credentials(next); })) again();
  while (stream_admission && !stream_admission->post([this, next] { tls_acceptor->replace_credentials(next); }))
    again();
  if (data_channel) data_channel->believe(next);
}

void ServerRuntime::State::recheck_sessions() {
  on_all_shards([](Shard& shard, base::Now now, ShardOutput&) { shard.recheck_credentials(now); });
  if (data_channel) data_channel->recheck();
}

// A new revocation list counts without anybody asking: who was revoked at night must not wait for a reload.
void ServerRuntime::State::watch_revocations() {
  const auto now = running();
  const std::string stamp = file_stamp(now->credentials.crl_file);
  if (stamp == crl_stamp || stamp == crl_refused) return;
  auto next = open_credentials(*now, adapters::net::Side::server, sink);
  if (!next) {
    crl_refused = stamp;
    sink.message("REVOCATIONS_REFUSED", next.error().message);
    return;
  }
  believe(std::move(*next));
  crl_stamp = stamp;
  recheck_sessions();
  sink.message("REVOCATIONS_RELOADED", now->credentials.crl_file);
}

// ---- reload ---------------------------------------------------------------------------------------------------------

void ServerRuntime::State::reload_config(bool dry_run, const agent::Caller& caller, Done done) {
  const bool taken = housekeeper.post([=, this] {
    const auto refuse = [&](CallAnswer answer) {
      sink.message("CONFIG_RELOAD_REFUSED", "asked by " + caller.name + ": " + answer.message);
      done(std::move(answer));
    };
    auto reload = read_reload(*running());
    if (!reload) return refuse(std::move(reload).error());
    const auto believed = load_beliefs(reload->next, sink);
    if (!believed) return refuse(refused_reload(believed.error()));
    if (dry_run || reload->changes.empty()) return done(call_ok(render_reload(*reload, false)));
    apply(*reload, *believed);
    const std::string line = reload_line(*reload);
    sink.message("CONFIG_RELOADED", "asked by " + caller.name + ": " + line);
    audit_line(caller, "reload", reload->next.file, line,
               [answer = call_ok(render_reload(*reload, true)), done] { done(answer); });
  });
  if (!taken) done(busy());
}

// Who is trusted comes last: sessions of who is somebody else now are closed when the domains know it already.
void ServerRuntime::State::apply(const Reload& reload, const Beliefs& next) {
  believe(next.credentials);
  crl_stamp = file_stamp(reload.next.credentials.crl_file);
  // After this nobody is admitted by a key that was replaced, and sessions that were are closed below.
  if (ticket_keys) rebind_ticket_keys(*ticket_keys, reload.next, sink);
  const auto bounds = std::make_shared<const policy::SessionBounds>(ops::session_bounds(reload.next));
  const auto domains_before = owners;  // changed on this thread alone
  set_owners(next.domains);
  on_all_shards([bounds, domains = next.domains](Shard& shard, base::Now now, ShardOutput& out) {
    shard.set_session_bounds(bounds, now, out);
    shard.set_domains(domains, now, out);
  });
  const auto plans = make_planner(planner_settings(reload.next));
  on_all_shards([plans](Shard& shard, base::Now now, ShardOutput&) { shard.set_planner(plans, now); });
  tell_safe_lists(*domains_before);
  on_all_shards([identities = next.identities](Shard& shard, base::Now now, ShardOutput& out) {
    shard.set_identities(identities, now, out);
  });
  if (data_channel) data_channel->identify(next.identities);
  recheck_sessions();
  {
    const std::lock_guard lock(running_mutex);
    running_config = std::make_shared<const ops::Config>(reload.next);
  }
  desk.set_config(reload.next.redirect);
  set_redirects();
}

}  // namespace dots::runtime
