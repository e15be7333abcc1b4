#include "apps/runtime/server_runtime.h"

#include <sys/random.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "adapters/mitigators/dry_run.h"
#include "adapters/mitigators/nftables_mitigator.h"
#include "adapters/net/dtls_admission.h"
#include "adapters/net/steering.h"
#include "adapters/net/tls_channel.h"
#include "adapters/store/committer.h"
#include "adapters/store/emergency_marker.h"
#include "agent/operators/answers.h"
#include "agent/server/back_ends.h"
#include "agent/server/render.h"
#include "apps/runtime/admission_thread.h"
#include "apps/runtime/gather.h"
#include "apps/runtime/housekeeper.h"
#include "apps/runtime/losses.h"
#include "apps/runtime/mitigator_runner.h"
#include "apps/runtime/open_credentials.h"
#include "apps/runtime/open_store.h"
#include "apps/runtime/operator_calls.h"
#include "apps/runtime/redirect_desk.h"
#include "apps/runtime/reload.h"
#include "apps/runtime/shard_thread.h"
#include "apps/runtime/stream_admission_thread.h"
#include "apps/runtime/ticket_files.h"
#include "apps/version.h"
#include "base/time_text.h"
#include "mitigation/plan.h"

namespace dots::runtime {
namespace {

using adapters::net::Priority;
using agent::call_failed;
using agent::call_ok;
using agent::CallAnswer;
using agent::server::Shard;
using agent::server::ShardOutput;
using agent::server::ToDomain;

constexpr std::size_t kMostLiveExemptions = 1000;
constexpr std::size_t kMostTickets = 256;
// Back ends that cannot be reached for so long are taken for down.
constexpr base::Duration kMitigatorsDown = std::chrono::seconds{10};
constexpr std::uint32_t kMostShardsByDefault = 16;
constexpr base::Duration kHousekeeping = std::chrono::seconds{5};

std::uint64_t random_seed() {
  std::uint64_t seed = 0;
  if (getrandom(&seed, sizeof seed, 0) != sizeof seed) seed = 0x9e3779b97f4a7c15ULL;
  return seed;
}

std::uint32_t shard_count(const ops::Config& config) {
  if (config.listen.shards > 0) return config.listen.shards;
  return std::clamp(std::thread::hardware_concurrency(), 1U, kMostShardsByDefault);
}

// What a configuration says about who is trusted and who may ask for what: made as a whole before any of it counts.
struct Beliefs {
  std::shared_ptr<const adapters::net::Credentials> credentials;
  std::shared_ptr<const policy::Identities> identities;
  std::vector<std::shared_ptr<const policy::DomainRules>> domains;
};

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

// Identities whose pre-shared key is gone or another one.
std::set<std::string> stale_psks(const ops::Config& before, const ops::Config& after) {
  std::set<std::string> stale;
  for (const auto& old : before.credentials.psk) {
    const auto& now = after.credentials.psk;
    const bool kept = std::any_of(now.begin(), now.end(), [&](const ops::PskEntry& entry) {
      return entry.identity == old.identity && entry.key == old.key;
    });
    if (!kept) stale.insert(old.identity);
  }
  return stale;
}

}  // namespace

struct ServerRuntime::State {
  explicit State(ops::Config c, ops::facts::Sink& s)
      : config(std::move(c)),
        running(config),
        sink(s),
        desk(config.redirect, config.store.kind == "memory" ? std::string{} : config.store.state_dir),
        back_ends(config.mitigators.size()),
        exemptions({}, kMostLiveExemptions) {}

  base::Result<void> open();
  void watch_revocations();
  // REQUIRES: reload_mutex is held.
  void believe(std::shared_ptr<const adapters::net::Credentials> next);
  void recheck_sessions();
  ShardWorld world();
  void commit(std::uint32_t from, std::vector<ports::Change> changes, base::Now now);
  void reload(std::uint32_t from, const base::DomainId& domain);
  void want(signal::server::DesiredRules rules);
  void resolve(const base::DomainId& domain, const std::string& name);
  void peers(const std::vector<model::Path>& opened, const std::vector<model::Path>& closed);
  void watch_clock(base::Now now);
  void tell_able();
  void to_domains(const std::vector<ToDomain>& messages);
  void watch_mitigators(base::Now now);
  bool to_domain(ToDomain message);
  void stop();

  void status(std::function<void(CallAnswer)> done);
  void list(std::function<void(CallAnswer)> done);
  void show(const ServerArguments& arguments, std::function<void(CallAnswer)> done);
  void explain(const ServerArguments& arguments, std::function<void(CallAnswer)> done);
  void audit(const ServerArguments& arguments, std::function<void(CallAnswer)> done);
  void withdraw(const ServerArguments& arguments, const agent::Caller& caller, std::function<void(CallAnswer)> done);
  template <class Event>
  void ask_domain(const base::DomainId& domain, Event event, std::optional<base::Mid> mid,
                  std::function<void(CallAnswer)> done);
  void release_cuid(const ServerArguments& arguments, const agent::Caller& caller,
                    std::function<void(CallAnswer)> done);
  void release_armed(const agent::Caller& caller, std::function<void(CallAnswer)> done);
  void redirect(const boost::json::object& arguments, const agent::Caller& caller,
                std::function<void(CallAnswer)> done);
  void redirects(std::function<void(CallAnswer)> done);
  void set_redirects(const RedirectDesk::Value& value, std::function<void()> then);
  void audit_line(const agent::Caller& caller, const std::string& action, const std::string& subject,
                  const std::string& text, std::function<void()> then);
  void operator_answer(const signal::server::OperatorAnswer& answer);
  void reload_config(bool dry_run, const agent::Caller& caller, std::function<void(CallAnswer)> done);
  void on_all_shards(const ShardThread::Step& step, std::function<void()> then);
  void reloaded(std::shared_ptr<const Reload> reload, const agent::Caller& caller,
                std::function<void(CallAnswer)> done);
  std::vector<agent::server::BackEndView> back_end_views() const;

  template <class View>
  void gather(std::function<View(const Shard&, base::Now)> take, std::function<void(std::vector<View>)> done);

  const ops::Config config;  // as it was at the start
  std::mutex reload_mutex;   // guards running and reloading
  ops::Config running;       // as the last reload left it
  bool reloading = false;
  ops::facts::Sink& sink;
  const base::SteadyTime started = adapters::net::clock_now().steady;
  RedirectDesk desk;
  std::atomic<bool> redirecting{false};  // an operator's order is being stored
  std::vector<std::string> listening;
  std::vector<model::SocketAddress> bound;
  std::unique_ptr<Losses> losses;

  std::unique_ptr<adapters::store::Committer> committer;
  std::unique_ptr<adapters::resolver::AresResolver> resolver;
  std::vector<std::unique_ptr<MitigatorRunner>> runners;
  std::vector<std::unique_ptr<ShardThread>> shards;
  std::shared_ptr<adapters::net::DtlsAdmission> dtls_admission;  // the admission thread's, once it runs
  std::unique_ptr<AdmissionThread> admission;
  std::shared_ptr<adapters::net::TlsAcceptor> tls_acceptor;  // the stream admission's thread's, once it runs
  std::unique_ptr<StreamAdmissionThread> stream_admission;
  std::shared_ptr<adapters::net::TicketKeys> ticket_keys;  // empty: sessions are not resumed

  std::shared_ptr<const adapters::net::Credentials> credentials;  // in force; guarded by reload_mutex
  std::string crl_stamp;                                          // of the list in force; guarded by reload_mutex
  std::string crl_refused;                                        // stamp of the list that could not be used, told once
  Housekeeper housekeeper{kHousekeeping};

  std::mutex back_ends_mutex;  // guards back_ends: reported by the runners' threads
  agent::server::BackEnds back_ends;
  signal::server::BackEndsReport able_report;  // guarded by back_ends_mutex
  std::vector<bool> shards_to_tell;            // guarded by back_ends_mutex: who has not heard able_report
  std::mutex exemptions_mutex;                 // guards exemptions: changed by the shards' threads
  agent::server::Exemptions exemptions;
  std::mutex tickets_mutex;  // guards tickets and next_ticket
  struct Ticket {
    std::function<void(CallAnswer)> done;
    std::optional<base::Mid> mid;
  };
  std::map<std::uint64_t, Ticket> tickets;
  std::uint64_t next_ticket = 1;
  bool stopped = false;

  std::atomic<base::WallTime> newest_commit{base::WallTime{}};  // what is stored, by the wall clock of then
  bool clock_is_behind = false;                                 // the first shard's thread
  std::optional<base::SteadyTime> mitigators_down_since;        // the same
  base::SteadyTime mitigators_watched{};                        // the same
  bool redirects_to_tell = false;                               // the same
};

// ---- start and stop -------------------------------------------------------------------------------------------------

// Of one shard: its part, with room for addresses that are spread unevenly.
static std::size_t sessions_per_domain(std::size_t limit, std::size_t shards) {
  return shards == 1 ? limit : std::min(limit, (limit + shards - 1) / shards + 8);
}

base::Result<void> ServerRuntime::State::open() {
  auto believed = load_beliefs(config, sink);
  if (!believed) return believed.error();

  auto opened = open_store(config, sink);
  if (!opened) return opened.error();
  auto snapshot = opened->store->load();
  if (!snapshot) return snapshot.error();
  if (const auto orders = desk.load(); !orders) sink.message("REDIRECTS_UNREADABLE", orders.error().message);

  // All sockets are bound before the first read, so that no datagram meets half a server.
  const std::uint32_t count = shard_count(config);
  std::vector<adapters::net::ListenGroup> groups;
  for (const auto& address : config.listen.addresses) {
    auto group = adapters::net::open_listen_group(address, count, config.listen.receive_buffer_bytes);
    if (!group) return group.error();
    bound.push_back(group->bound);
    listening.push_back(model::to_string(group->bound));
    groups.push_back(std::move(*group));
  }
  std::vector<adapters::net::TcpListener> listeners;
  adapters::net::TcpOptions tcp;
  tcp.unsent_bytes = config.limits.unsent_bytes;
  for (const auto& address : config.listen.tcp ? bound : std::vector<model::SocketAddress>{}) {
    auto listener = adapters::net::TcpListener::listen(address, tcp);
    if (!listener) return listener.error();
    listening.push_back(model::to_string(listener->bound()) + " over TCP");
    listeners.push_back(std::move(*listener));
  }
  exemptions = agent::server::Exemptions(bound, kMostLiveExemptions);

  auto marker = adapters::store::read_emergency_marker(config.store.state_dir);
  if (!marker) return marker.error();
  const bool hold = marker->has_value();
  if (hold) {
    sink.message("EMERGENCY_HOLD",
                 "rules were removed by " + (*marker)->author + " at " + base::utc_text((*marker)->at));
    sink.health("EMERGENCY_MARKER", "", true, "by " + (*marker)->author);
  }
  const auto& back = config.mitigators;
  if (std::all_of(back.begin(), back.end(), [](const auto& m) { return m.kind == "dry-run"; }))
    sink.health("MITIGATOR_DRY", "", true, "");

  committer = std::make_unique<adapters::store::Committer>(std::move(opened->store), random_seed(),
                                                           opened->fencing_token, committer_options(config), &sink);
  auto names = adapters::resolver::AresResolver::start(resolver_options(config), &sink);
  if (!names) return names.error();
  resolver = std::move(*names);

  for (std::size_t i = 0; i < config.mitigators.size(); ++i) {
    auto runner = make_runner(config.mitigators[i], hold, sink,
                              {[this, i](const std::vector<mitigation::OwnerReport>& reports) {
                                 const std::lock_guard lock(back_ends_mutex);
                                 to_domains(back_ends.reported(i, reports));
                               },
                               [this, i](const std::vector<mitigation::OwnerCounters>& counters) {
                                 const std::lock_guard lock(back_ends_mutex);
                                 to_domains(back_ends.counted(i, counters));
                               },
                               [this, i](bool able, const std::string& reason) {
                                 const std::lock_guard lock(back_ends_mutex);
                                 auto report = back_ends.able(i, able, reason);
                                 if (!report) return;
                                 sink.message(able ? "MITIGATION_ABLE" : "MITIGATION_UNABLE", report->reason);
                                 able_report = std::move(*report);
                                 shards_to_tell.assign(shards.size(), true);
                               }});
    if (!runner) return runner.error();
    runners.push_back(std::move(*runner));
  }
  peers({}, {});

  auto session = std::make_shared<agent::server::SessionSettings>();
  const auto bounds = std::make_shared<const policy::SessionBounds>(ops::session_bounds(config));
  const model::ParameterSet defaults = model::in_force({}, bounds->defaults);
  session->parameters = std::make_shared<const signal::server::SessionParameters>(
      signal::server::SessionParameters{std::nullopt, {defaults, defaults}, false});
  session->endpoint.message_bytes = config.limits.message_bytes;
  session->rate = {config.limits.session_requests_per_s, config.limits.session_requests_burst};
  agent::server::LossGuardSettings guard{config.limits.hold_share_percent, config.limits.hold_at_least};
  if (config.heartbeat_interval > base::Duration::zero()) {
    guard.loss_threshold = config.heartbeat_interval * config.missing_hb_allowed;
  }
  losses = std::make_unique<Losses>(guard, count, sink);
  for (std::uint32_t index = 0; index < count; ++index) {
    agent::server::ShardSettings settings;
    settings.domain.loss_threshold = guard.loss_threshold;
    settings.index = index;
    settings.shards = count;
    settings.session = session;
    settings.bounds = bounds;
    settings.sessions.sessions = std::max<std::size_t>(1, config.limits.sessions / count);
    settings.sessions_per_domain = sessions_per_domain(config.limits.sessions_per_domain, count);
    auto shard =
        std::make_unique<Shard>(settings, believed->identities, believed->domains, mitigation::plan, random_seed());
    ShardOutput none;  // there are no sessions yet
    shard->set_redirects(desk.current(), adapters::net::clock_now(), none);
    shards.push_back(std::make_unique<ShardThread>(index, std::move(shard), world(), sink));
  }
  adapters::net::DtlsOptions dtls;
  dtls.path_mtu_bytes = config.listen.path_mtu_bytes;
  dtls.handshake_time = std::chrono::seconds{config.limits.handshake_time_s};
  agent::AdmissionLimits limits;
  limits.handshakes = config.limits.handshakes;
  limits.handshakes_per_prefix = config.limits.handshakes_per_prefix;
  limits.handshake_time = std::chrono::seconds{config.limits.handshake_time_s};
  auto keys = open_ticket_keys(config, sink);
  if (!keys) return keys.error();
  ticket_keys = std::move(*keys);
  dtls.resumption.keys = ticket_keys;
  credentials = believed->credentials;
  crl_stamp = file_stamp(config.credentials.crl_file);
  if (ticket_keys) housekeeper.add([this] { turn_ticket_keys(*ticket_keys, sink); });
  housekeeper.add([this] { watch_revocations(); });
  dtls_admission = std::make_shared<adapters::net::DtlsAdmission>(believed->credentials, dtls);
  admission = std::make_unique<AdmissionThread>(
      dtls_admission, limits,
      [this](agent::Admitted admitted) {
        const std::uint32_t to = model::shard_of(admitted.path.peer, static_cast<std::uint32_t>(shards.size()));
        auto shared = std::make_shared<agent::Admitted>(std::move(admitted));
        shards[to]->post(
            [shared](Shard& shard, base::Now at, ShardOutput& out) { shard.on_admitted(std::move(*shared), at, out); },
            Priority::normal);
      },
      [this](model::Datagram datagram) {
        const std::uint32_t to = model::shard_of(datagram.path.peer, static_cast<std::uint32_t>(shards.size()));
        auto shared = std::make_shared<model::Datagram>(std::move(datagram));
        shards[to]->post(
            [shared](Shard& shard, base::Now at, ShardOutput& out) { shard.on_datagram(*shared, at, out); },
            Priority::normal);
      },
      sink);
  for (auto& group : groups) {
    for (std::uint32_t index = 0; index < count; ++index) shards[index]->add_socket(std::move(group.shards[index]));
    admission->add_socket(std::move(group.admission.at(0)));
  }
  if (!listeners.empty()) {
    adapters::net::raise_descriptor_limit();
    tls_acceptor = std::make_shared<adapters::net::TlsAcceptor>(believed->credentials, dtls.resumption);
    stream_admission = std::make_unique<StreamAdmissionThread>(
        tls_acceptor, limits,
        [this](agent::Admitted admitted, adapters::net::TcpStream stream) {
          const std::uint32_t to = model::shard_of(admitted.path.peer, static_cast<std::uint32_t>(shards.size()));
          if (!shards[to]->adopt(std::move(admitted), std::move(stream)))
            sink.count("dots_hand_over_refused_total", std::to_string(to), 1);
        },
        sink);
    for (auto& listener : listeners) stream_admission->add_listener(std::move(listener));
  }
  newest_commit = snapshot->last_commit;
  for (auto& runner : runners) runner->start();
  for (auto& shard : shards) shard->start(*snapshot);
  admission->start();
  if (stream_admission) stream_admission->start();
  housekeeper.start();
  return {};
}

void ServerRuntime::State::stop() {
  if (std::exchange(stopped, true)) return;
  housekeeper.stop();
  if (admission) admission->stop();
  if (stream_admission) stream_admission->stop();
  for (auto& shard : shards) shard->stop();
  if (committer) committer->stop();
  for (auto& runner : runners) runner->stop();
  resolver.reset();
}

// ---- what shards ask for --------------------------------------------------------------------------------------------

ShardWorld ServerRuntime::State::world() {
  return {
      [this](std::uint32_t, ToDomain message) { return to_domain(std::move(message)); },
      [this](std::uint32_t to, std::vector<agent::server::ToSession> messages) {
        shards[to]->post(
            [messages = std::move(messages)](Shard& shard, base::Now now, ShardOutput& out) {
              for (const auto& message : messages) shard.on_message(message, now, out);
            },
            Priority::reserved);
      },
      [this](std::uint32_t from, std::vector<ports::Change> changes, base::Now now) {
        commit(from, std::move(changes), now);
      },
      [this](std::uint32_t from, const base::DomainId& domain) { reload(from, domain); },
      [this](signal::server::DesiredRules rules) { want(std::move(rules)); },
      [this](const base::DomainId& domain, const std::string& name) { resolve(domain, name); },
      [this](const signal::server::OperatorAnswer& answer) { operator_answer(answer); },
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
        watch_mitigators(now);
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

void ServerRuntime::State::commit(std::uint32_t from, std::vector<ports::Change> changes, base::Now now) {
  const auto settled = [this, from, wall = now.wall](const ports::CommitResult& result) {
    if (result.outcome == ports::CommitOutcome::committed) newest_commit = wall;
    // The gate holds one batch at a time, so this is one of few tasks; it must arrive.
    while (!shards[from]->post(
        [result](Shard& shard, base::Now at, ShardOutput& out) { shard.committed(result, at, out); },
        Priority::reserved)) {
      std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
  };
  ports::Batch batch;
  batch.at = now.wall;
  batch.changes = std::move(changes);
  if (!committer->submit(std::move(batch), settled)) {
    settled({ports::CommitOutcome::refused, "the commit queue is full"});
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

// RFC 8811 3.2.2: a mitigator outage is a reason to send clients elsewhere.
void ServerRuntime::State::watch_mitigators(base::Now now) {
  if (now.steady - mitigators_watched >= std::chrono::seconds{1}) {
    mitigators_watched = now.steady;
    const bool reachable = std::any_of(runners.begin(), runners.end(), [](const auto& r) { return r->available(); });
    if (reachable) {
      mitigators_down_since.reset();
    } else if (!mitigators_down_since) {
      mitigators_down_since = now.steady;
    }
    const bool down = mitigators_down_since && now.steady - *mitigators_down_since >= kMitigatorsDown;
    if (const auto value = desk.set_mitigators_down(down, now.wall)) {
      sink.message("REDIRECTS_CHANGED",
                   down ? "no back end can be reached: clients without a running mitigation go to " +
                              (*value)->orders.back()->to.alt_server
                        : "back ends can be reached again");
      redirects_to_tell = true;
    }
  }
  if (!redirects_to_tell) return;
  const auto tell = [value = desk.current()](Shard& shard, base::Now at, ShardOutput& out) {
    shard.set_redirects(value, at, out);
  };
  bool all = true;
  for (auto& shard : shards) all = shard->post(tell, Priority::reserved) && all;
  if (all) redirects_to_tell = false;  // else once more at the next tick: telling twice is harmless
}

void ServerRuntime::State::reload(std::uint32_t from, const base::DomainId& domain) {
  const bool taken = committer->load_domain(domain, [this, from, domain](base::Result<ports::Snapshot> snapshot) {
    if (!snapshot) {
      sink.message("RELOAD_FAILED", "domain " + domain.value + ": " + snapshot.error().message);
      std::this_thread::sleep_for(std::chrono::milliseconds{200});
      reload(from, domain);
      return;
    }
    while (!shards[from]->post(
        [domain, snapshot = std::make_shared<ports::Snapshot>(std::move(*snapshot))](
            Shard& shard, base::Now now, ShardOutput& out) { shard.reloaded(domain, *snapshot, now, out); },
        Priority::reserved)) {
      std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
  });
  if (!taken) sink.message("RELOAD_FAILED", "domain " + domain.value + ": the commit thread takes no more work");
}

void ServerRuntime::State::want(signal::server::DesiredRules rules) {
  std::vector<mitigation::Reconciler::Want> wants;
  for (auto& want : rules.wants) {
    {
      const std::lock_guard lock(back_ends_mutex);
      if (want.rules.empty()) {
        back_ends.forget(want.owner);
      } else if (const auto told = back_ends.wanted(want.owner)) {
        to_domains({*told});
      }
    }
    wants.push_back({std::move(want.owner), std::move(want.rules), std::move(want.reason), want.until});
  }
  for (auto& runner : runners) runner->want(wants);
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

// ---- operators ------------------------------------------------------------------------------------------------------

template <class View>
void ServerRuntime::State::gather(std::function<View(const Shard&, base::Now)> take,
                                  std::function<void(std::vector<View>)> done) {
  auto gathering = std::make_shared<Gather<View>>(shards.size(), std::move(done));
  for (auto& shard : shards) {
    const bool taken = shard->post(
        [gathering, take](Shard& machine, base::Now now, ShardOutput&) { gathering->add(take(machine, now)); },
        Priority::reserved);
    if (!taken) gathering->add(View{});
  }
}

struct ShardView {
  std::vector<signal::server::MitigationView> mitigations;
  std::vector<agent::server::SessionView> sessions;
};

namespace {

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

void ServerRuntime::State::status(std::function<void(CallAnswer)> done) {
  gather<ShardView>(view_of, [this, done = std::move(done)](std::vector<ShardView> views) {
    agent::server::StatusView status;
    status.version = kVersion;
    status.listen = listening;
    status.uptime = adapters::net::clock_now().steady - started;
    {
      const std::lock_guard lock(reload_mutex);
      status.domains = running.domains.size();
    }
    status.shards = shards.size();
    status.handshakes_full = admission->full() + (stream_admission ? stream_admission->full() : 0);
    status.handshakes_resumed = admission->resumed() + (stream_admission ? stream_admission->resumed() : 0);
    for (auto& view : views) std::move(view.sessions.begin(), view.sessions.end(), std::back_inserter(status.sessions));
    status.mitigations = mitigations_of(std::move(views));
    status.back_ends = back_end_views();
    done(call_ok(agent::server::render_status(status)));
  });
}

void ServerRuntime::State::list(std::function<void(CallAnswer)> done) {
  gather<ShardView>(view_of, [done = std::move(done)](std::vector<ShardView> views) {
    done(call_ok(agent::server::render_list(mitigations_of(std::move(views)), adapters::net::clock_now())));
  });
}

void ServerRuntime::State::show(const ServerArguments& arguments, std::function<void(CallAnswer)> done) {
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

void ServerRuntime::State::explain(const ServerArguments& arguments, std::function<void(CallAnswer)> done) {
  gather<ShardView>(view_of, [this, arguments, done = std::move(done)](std::vector<ShardView> views) {
    done(call_ok(agent::server::render_explain(back_end_views(), mitigations_of(std::move(views)), arguments.query,
                                               adapters::net::clock_now())));
  });
}

void ServerRuntime::State::audit(const ServerArguments& arguments, std::function<void(CallAnswer)> done) {
  const bool taken = committer->read([arguments, done](ports::Store& store) {
    std::optional<base::DomainId> domain;
    if (!arguments.domain.empty()) domain = base::DomainId{arguments.domain};
    auto records = store.audit(domain, arguments.limit);
    if (!records) {
      done(call_failed(CallAnswer::Outcome::unavailable, records.error().message));
      return;
    }
    done(call_ok(agent::render_audit(*records)));
  });
  if (!taken) done(call_failed(CallAnswer::Outcome::unavailable, "the store takes no more work now", "try again"));
}

// Finds the one mitigation that is meant, then asks its domain to end it.
void ServerRuntime::State::withdraw(const ServerArguments& arguments, const agent::Caller& caller,
                                    std::function<void(CallAnswer)> done) {
  if (!arguments.query.mid) {
    done(call_failed(CallAnswer::Outcome::bad_request, "mid is missing", "dotsctl list shows the mids"));
    return;
  }
  gather<ShardView>(view_of, [this, arguments, caller, done = std::move(done)](std::vector<ShardView> views) {
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
    signal::server::OperatorWithdraw event{0, record.cuid, record.mid, caller.name, arguments.note};
    ask_domain(record.domain, std::move(event), record.mid, done);
  });
}

template <class Event>
void ServerRuntime::State::ask_domain(const base::DomainId& domain, Event event, std::optional<base::Mid> mid,
                                      std::function<void(CallAnswer)> done) {
  {
    const std::lock_guard lock(tickets_mutex);
    if (tickets.size() >= kMostTickets) {
      done(call_failed(CallAnswer::Outcome::unavailable, "too many operator changes wait", "try again"));
      return;
    }
    event.ticket = next_ticket++;
    tickets[event.ticket] = {std::move(done), mid};
  }
  const std::uint64_t ticket = event.ticket;
  if (!to_domain({domain, std::move(event)})) operator_answer({ticket, false, "the server is busy: try again"});
}

void ServerRuntime::State::release_cuid(const ServerArguments& arguments, const agent::Caller& caller,
                                        std::function<void(CallAnswer)> done) {
  if (arguments.query.cuid.empty()) {
    return done(call_failed(CallAnswer::Outcome::bad_request, "cuid is missing", "the audit log names it"));
  }
  base::DomainId domain{arguments.domain};
  {
    const std::lock_guard lock(reload_mutex);
    const auto& domains = running.domains;
    if (domain.value.empty() && domains.size() == 1) domain = domains.front().id;
    if (std::none_of(domains.begin(), domains.end(), [&](const auto& known) { return known.id == domain; })) {
      return done(call_failed(CallAnswer::Outcome::not_found,
                              domain.value.empty() ? "which domain?" : "there is no domain '" + domain.value + "'",
                              "name it: --domain"));
    }
  }
  ask_domain(domain,
             signal::server::OperatorReleaseCuid{0, base::Cuid{arguments.query.cuid}, caller.name, arguments.note},
             std::nullopt, std::move(done));
}

void ServerRuntime::State::release_armed(const agent::Caller& caller, std::function<void(CallAnswer)> done) {
  if (losses->release(caller.name, adapters::net::clock_now())) {
    return done(call_ok(boost::json::object{{"text", "preconfigured requests of silent clients start now"}}));
  }
  done(call_failed(CallAnswer::Outcome::conflict, "nothing is held back that could be released",
                   "dotsctl status tells what is wrong"));
}

// ---- redirected signaling -------------------------------------------------------------------------------------------

void ServerRuntime::State::set_redirects(const RedirectDesk::Value& value, std::function<void()> then) {
  on_all_shards([value](Shard& shard, base::Now now, ShardOutput& out) { shard.set_redirects(value, now, out); },
                std::move(then));
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
  batch.changes.push_back(ports::AppendAudit{std::move(record)});
  // It is in force whatever the store says of the audit line.
  const auto settled = [then](const ports::CommitResult&) { then(); };
  if (!committer->submit(std::move(batch), settled)) settled({});
}

// Stored first, then in force, then answered: a drain must survive a restart.
void ServerRuntime::State::redirect(const boost::json::object& arguments, const agent::Caller& caller,
                                    std::function<void(CallAnswer)> done) {
  if (redirecting.exchange(true)) {
    done(call_failed(CallAnswer::Outcome::conflict, "another redirection is being stored", "try again"));
    return;
  }
  const auto refuse = [&](CallAnswer answer) {
    redirecting = false;
    done(std::move(answer));
  };
  std::vector<policy::DomainPolicy> domains;
  {
    const std::lock_guard lock(reload_mutex);
    domains = running.domains;
  }
  auto planned = desk.plan(arguments, caller, domains, adapters::net::clock_now().wall);
  if (!planned) return refuse(std::move(planned).error());
  auto plan = std::make_shared<RedirectDesk::Plan>(std::move(*planned));
  const bool taken = committer->read([this, plan, caller, done](ports::Store&) {
    if (const auto stored = desk.store(*plan); !stored) {
      redirecting = false;
      done(call_failed(CallAnswer::Outcome::unavailable, "the order could not be stored: " + stored.error().message,
                       "look at the state directory, then ask again"));
      return;
    }
    const std::string line = plan->line;
    set_redirects(desk.adopt(std::move(*plan)), [this, caller, line, done] {
      redirecting = false;
      sink.message("REDIRECTS_CHANGED", "by " + caller.name + ": " + line);
      audit_line(caller, "redirect", "", line, [this, done] { redirects(done); });
    });
  });
  if (!taken) refuse(call_failed(CallAnswer::Outcome::unavailable, "the store takes no more work now", "try again"));
}

void ServerRuntime::State::redirects(std::function<void(CallAnswer)> done) {
  using Clients = std::vector<agent::server::RedirectedClient>;
  gather<Clients>([](const Shard& shard, base::Now now) { return shard.redirected(now); },
                  [this, done = std::move(done)](std::vector<Clients> parts) {
                    Clients all;
                    for (auto& part : parts) std::move(part.begin(), part.end(), std::back_inserter(all));
                    const std::lock_guard lock(reload_mutex);
                    done(call_ok(agent::server::render_redirects(*desk.current(), all, running.domains)));
                  });
}

void ServerRuntime::State::operator_answer(const signal::server::OperatorAnswer& answer) {
  Ticket ticket;
  {
    const std::lock_guard lock(tickets_mutex);
    const auto it = tickets.find(answer.ticket);
    if (it == tickets.end()) return;
    ticket = std::move(it->second);
    tickets.erase(it);
  }
  if (answer.ok) {
    boost::json::object body{{"text", answer.text}};
    if (ticket.mid) body["mid"] = ticket.mid->value;
    ticket.done(call_ok(std::move(body)));
  } else {
    ticket.done(call_failed(CallAnswer::Outcome::conflict, answer.text));
  }
}

// ---- credentials ----------------------------------------------------------------------------------------------------

void ServerRuntime::State::believe(std::shared_ptr<const adapters::net::Credentials> next) {
  adapters::net::Credentials::succeed(credentials, next);
  credentials = next;
  while (!admission->post([this, next] { dtls_admission->replace_credentials(next); }))
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
  while (stream_admission && !stream_admission->post([this, next] { tls_acceptor->replace_credentials(next); }))
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
}

void ServerRuntime::State::recheck_sessions() {
  for (auto& shard : shards) {
    // A full queue: the next turn of the shard's own clock does it.
    shard->post([](Shard& machine, base::Now now, ShardOutput&) { machine.recheck_credentials(now); },
                Priority::reserved);
  }
}

// A new revocation list counts without anybody asking: who was revoked at night must not wait for a reload.
void ServerRuntime::State::watch_revocations() {
  const std::lock_guard lock(reload_mutex);
  const std::string stamp = file_stamp(running.credentials.crl_file);
  if (reloading || stamp == crl_stamp || stamp == crl_refused) return;
  auto next = open_credentials(running, adapters::net::Side::server, sink);
  if (!next) {
    crl_refused = stamp;
    sink.message("REVOCATIONS_REFUSED", next.error().message);
    return;
  }
  believe(std::move(*next));
  crl_stamp = stamp;
  recheck_sessions();
  sink.message("REVOCATIONS_RELOADED", running.credentials.crl_file);
}

// ---- reload ---------------------------------------------------------------------------------------------------------

// `then` runs on the thread of the last shard.
void ServerRuntime::State::on_all_shards(const ShardThread::Step& step, std::function<void()> then) {
  auto all = std::make_shared<Gather<bool>>(shards.size(), [then = std::move(then)](std::vector<bool>) { then(); });
  for (auto& shard : shards) {
    const auto run = [step, all](Shard& machine, base::Now now, ShardOutput& out) {
      step(machine, now, out);
      all->add(true);
    };
    // One reload at a time: one of few tasks, and it must arrive.
    while (!shard->post(run, Priority::reserved)) std::this_thread::sleep_for(std::chrono::milliseconds{1});
  }
}

void ServerRuntime::State::reload_config(bool dry_run, const agent::Caller& caller,
                                         std::function<void(CallAnswer)> done) {
  const std::lock_guard lock(reload_mutex);
  if (reloading) {
    done(call_failed(CallAnswer::Outcome::conflict, "another reload is under way", "try again"));
    return;
  }
  const auto refuse = [&](CallAnswer answer) {
    sink.message("CONFIG_RELOAD_REFUSED", "asked by " + caller.name + ": " + answer.message);
    done(std::move(answer));
  };
  auto read = read_reload(running);
  if (!read) return refuse(std::move(read).error());
  if (dry_run || read->changes.empty()) return done(call_ok(render_reload(*read, false)));
  auto believed = load_beliefs(read->next, sink);
  if (!believed) {
    return refuse(call_failed(CallAnswer::Outcome::bad_request, believed.error().message + ", so nothing was changed",
                              "correct it and ask again"));
  }
  reloading = true;
  auto reload = std::make_shared<const Reload>(std::move(*read));
  auto next = std::make_shared<const Beliefs>(std::move(*believed));
  auto stale = std::make_shared<const std::set<std::string>>(stale_psks(running, reload->next));
  believe(next->credentials);
  crl_stamp = file_stamp(reload->next.credentials.crl_file);
  // After this nobody is admitted by a key that was replaced, and sessions that were are closed below.
  if (ticket_keys) rebind_ticket_keys(*ticket_keys, reload->next, sink);
  auto bounds = std::make_shared<const policy::SessionBounds>(ops::session_bounds(reload->next));
  on_all_shards(
      [next, bounds](Shard& shard, base::Now now, ShardOutput& out) {
        shard.set_session_bounds(bounds, now, out);
        shard.set_domains(next->domains, now, out);
      },
      [=, this] {
        on_all_shards([next, stale](Shard& shard, base::Now now,
                                    ShardOutput& out) { shard.set_identities(next->identities, *stale, now, out); },
                      [=, this] {
                        recheck_sessions();
                        reloaded(reload, caller, done);
                      });
      });
}

void ServerRuntime::State::reloaded(std::shared_ptr<const Reload> reload, const agent::Caller& caller,
                                    std::function<void(CallAnswer)> done) {
  {
    const std::lock_guard lock(reload_mutex);
    running = reload->next;
    reloading = false;
  }
  const std::string line = reload_line(*reload);
  sink.message("CONFIG_RELOADED", "asked by " + caller.name + ": " + line);
  set_redirects(desk.set_config(reload->next.redirect), [this, caller, line, reload, done] {
    audit_line(caller, "reload", reload->next.file, line,
               [reload, done] { done(call_ok(render_reload(*reload, true))); });
  });
}

// ---- the door -------------------------------------------------------------------------------------------------------

base::Result<std::unique_ptr<ServerRuntime>> ServerRuntime::start(const ops::Config& config, ops::facts::Sink& sink) {
  auto state = std::make_unique<State>(config, sink);
  State* raw = state.get();
  std::unique_ptr<ServerRuntime> runtime{new ServerRuntime(std::move(state))};
  if (auto opened = raw->open(); !opened) return opened.error();
  for (const auto& address : raw->listening) sink.message("LISTENING", address);
  return runtime;
}

ServerRuntime::ServerRuntime(std::unique_ptr<State> state) : state_(std::move(state)) {}
ServerRuntime::~ServerRuntime() { state_->stop(); }

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
  const auto arguments = parse_arguments(call.arguments);
  if (!arguments) return done(call_failed(CallAnswer::Outcome::bad_request, arguments.error().message));
  if (call.operation == "status") return state_->status(std::move(done));
  if (call.operation == "list") return state_->list(std::move(done));
  if (call.operation == "show") return state_->show(*arguments, std::move(done));
  if (call.operation == "explain") return state_->explain(*arguments, std::move(done));
  if (call.operation == "audit") return state_->audit(*arguments, std::move(done));
  if (call.operation == "withdraw") {
    if (!call.caller.may_write) return done(forbidden());
    return state_->withdraw(*arguments, call.caller, std::move(done));
  }
  if (call.operation == "cuid-release" || call.operation == "release-armed") {
    if (!call.caller.may_write) return done(forbidden());
    if (call.operation == "release-armed") return state_->release_armed(call.caller, std::move(done));
    return state_->release_cuid(*arguments, call.caller, std::move(done));
  }
  if (call.operation == "redirects") return state_->redirects(std::move(done));
  if (call.operation == "mitigate") {
    return done(call_failed(CallAnswer::Outcome::bad_request, "a server does not ask for mitigation",
                            "run this against the dotsd of the client"));
  }
  done(call_failed(CallAnswer::Outcome::not_found, "unknown operation '" + call.operation + "'"));
}

}  // namespace dots::runtime
