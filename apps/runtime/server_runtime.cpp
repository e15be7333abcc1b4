#include "apps/runtime/server_runtime.h"

#include <sys/random.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "adapters/mitigators/dry_run.h"
#include "adapters/mitigators/nftables_mitigator.h"
#include "adapters/net/steering.h"
#include "adapters/store/operator_mark.h"
#include "apps/runtime/open_credentials.h"
#include "apps/runtime/open_store.h"
#include "apps/runtime/server_state.h"
#include "apps/runtime/ticket_files.h"
#include "base/time_text.h"

namespace dots::runtime {

using adapters::net::Priority;
using agent::server::Shard;
using agent::server::ShardOutput;

namespace {

constexpr std::size_t kMostLiveExemptions = 1000;
constexpr std::uint32_t kMostShardsByDefault = 16;
constexpr base::Duration kHousekeeping = std::chrono::seconds{5};
constexpr base::Duration kMitigatorsWatched = std::chrono::seconds{1};

std::uint64_t random_seed() {
  std::uint64_t seed = 0;
  if (getrandom(&seed, sizeof seed, 0) != sizeof seed) seed = 0x9e3779b97f4a7c15ULL;
  return seed;
}

std::uint32_t shard_count(const ops::Config& config) {
  if (config.listen.shards > 0) return config.listen.shards;
  return std::clamp(std::thread::hardware_concurrency(), 1U, kMostShardsByDefault);
}

// Of one shard: its part, with room for addresses that are spread unevenly.
std::size_t sessions_per_domain(std::size_t limit, std::size_t shards) {
  return shards == 1 ? limit : std::min(limit, (limit + shards - 1) / shards + 8);
}

}  // namespace

namespace {
std::vector<std::string> names_of(const std::vector<ops::MitigatorConfig>& mitigators) {
  std::vector<std::string> names;
  for (const auto& one : mitigators) names.push_back(one.name);
  return names;
}
}  // namespace

ServerRuntime::State::State(ops::Config c, ops::facts::Sink& s)
    : config(std::move(c)),
      sink(s),
      started(adapters::net::clock_now().steady),
      desk(config.redirect, config.store.kind == "memory" ? std::string{} : config.store.state_dir),
      running_config(std::make_shared<const ops::Config>(config)),
      back_ends(names_of(config.mitigators)),
      exemptions({}, kMostLiveExemptions) {}

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

  auto marker = adapters::store::read_mark(config.store.state_dir, adapters::store::Mark::emergency);
  if (!marker) return marker.error();
  const bool hold = marker->has_value();
  if (hold) {
    sink.message("EMERGENCY_HOLD",
                 "rules were removed by " + (*marker)->author + " at " + base::utc_text((*marker)->at));
    sink.health("EMERGENCY_MARKER", "", true, "by " + (*marker)->author);
  }

  committer = std::make_unique<adapters::store::Committer>(std::move(opened->store), random_seed(),
                                                           opened->fencing_token, committer_options(config), &sink);
  auto names = adapters::resolver::AresResolver::start(resolver_options(config), &sink);
  if (!names) return names.error();
  resolver = std::move(*names);

  const auto frozen = read_freeze();
  if (!frozen) return frozen.error();
  if (auto back = open_back_ends(hold, *frozen); !back) return back.error();
  peers({}, {});
  open_shards(*believed, count);
  auto keys = open_ticket_keys(config, sink);
  if (!keys) return keys.error();
  ticket_keys = std::move(*keys);
  open_admission(*believed, std::move(listeners));
  if (auto data = open_data_channel(*believed); !data) return data.error();
  for (auto& group : groups) {
    for (std::uint32_t index = 0; index < count; ++index) shards[index]->add_socket(std::move(group.shards[index]));
    admission->add_socket(std::move(group.admission.at(0)));
  }

  credentials = believed->credentials;
  crl_stamp = file_stamp(config.credentials.crl_file);
  if (ticket_keys) housekeeper.add(kHousekeeping, [this] { turn_ticket_keys(*ticket_keys, sink); });
  housekeeper.add(kHousekeeping, [this] { watch_revocations(); });
  housekeeper.add(kMitigatorsWatched, [this] { watch_mitigators(); });
  housekeeper.add(kMitigatorsWatched, [this] { watch_load(); });
  housekeeper.add(kMitigatorsWatched, [this] { watch_means(); });

  newest_commit = snapshot->last_commit;
  for (auto& runner : runners) runner->start();
  for (auto& shard : shards) shard->start(*snapshot);
  admission->start();
  if (stream_admission) stream_admission->start();
  if (data_channel) data_channel->start();
  housekeeper.start();
  secretary.start();
  return {};
}

base::Result<void> ServerRuntime::State::open_back_ends(bool hold, bool frozen) {
  const auto& back = config.mitigators;
  if (std::all_of(back.begin(), back.end(), [](const auto& m) { return m.kind == "dry-run" || m.dry_run; }))
    sink.health("MITIGATOR_DRY", "", true, "");
  for (std::size_t i = 0; i < config.mitigators.size(); ++i) {
    auto runner =
        make_runner(config.mitigators[i], hold, sink,
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
                       sink.health("MITIGATION_UNABLE", "", !able, report->reason);
                       able_report = std::move(*report);
                       shards_to_tell.assign(shards.size(), true);
                     },
                     [this](std::vector<mitigation::FilterCounts> counts) { filters_counted(std::move(counts)); },
                     [this] { other_means = true; }});
    if (!runner) return runner.error();
    (*runner)->freeze(frozen);
    runners.push_back(std::move(*runner));
  }
  return {};
}

void ServerRuntime::State::open_shards(const Beliefs& believed, std::uint32_t count) {
  auto session = std::make_shared<agent::server::SessionSettings>();
  const auto bounds = std::make_shared<const policy::SessionBounds>(ops::session_bounds(config));
  const model::ParameterSet defaults = model::in_force({}, bounds->defaults);
  session->parameters = std::make_shared<const signal::server::SessionParameters>(
      signal::server::SessionParameters{std::nullopt, {defaults, defaults}, false});
  const bool filter_control = config.filter_control.mode != ops::FilterControl::off;
  session->filter_control = filter_control ? wire::FilterControl::on : wire::FilterControl::off;
  session->extensions = config.extensions.mode != ops::Extensions::off;
  session->endpoint.message_bytes = config.limits.message_bytes;
  session->rate = {config.limits.session_requests_per_s, config.limits.session_requests_burst};
  agent::server::LossGuardSettings guard{config.limits.hold_share_percent, config.limits.hold_at_least};
  if (config.heartbeat_interval > base::Duration::zero()) {
    guard.loss_threshold = config.heartbeat_interval * config.missing_hb_allowed;
  }
  losses = std::make_unique<Losses>(guard, count, sink);
  set_owners(believed.domains);
  const auto plans = make_planner(planner_settings(config));
  for (std::uint32_t index = 0; index < count; ++index) {
    agent::server::ShardSettings settings;
    settings.domain.loss_threshold = guard.loss_threshold;
    settings.domain.approval_late = std::chrono::seconds{config.limits.approval_late_s};
    settings.index = index;
    settings.shards = count;
    settings.session = session;
    settings.bounds = bounds;
    settings.domain.filters_only_when_mitigating = config.filter_control.mode == ops::FilterControl::when_mitigating;
    settings.data.own_names = believed.credentials->own_identity().names;
    settings.data.limits.request_bytes = config.data_channel.body_bytes;
    settings.data.qualified_identities = config.data_channel.qualified_identities;
    settings.data.limits.answer_bytes = config.data_channel.waiting_bytes_per_domain / 2;
    settings.sessions.sessions = std::max<std::size_t>(1, config.limits.sessions / count);
    settings.sessions_per_domain = sessions_per_domain(config.limits.sessions_per_domain, count);
    auto shard = std::make_unique<Shard>(settings, believed.identities, believed.domains, plans, random_seed());
    ShardOutput none;  // there are no sessions yet
    shard->set_redirects(desk.current(), adapters::net::clock_now(), none);
    shards.push_back(std::make_unique<ShardThread>(index, std::move(shard), world(), sink));
  }
}

void ServerRuntime::State::open_admission(const Beliefs& believed, std::vector<adapters::net::TcpListener> listeners) {
  adapters::net::DtlsOptions dtls;
  dtls.path_mtu_bytes = config.listen.path_mtu_bytes;
  dtls.handshake_time = std::chrono::seconds{config.limits.handshake_time_s};
  agent::AdmissionLimits limits;
  limits.handshakes = config.limits.handshakes;
  limits.handshakes_per_prefix = config.limits.handshakes_per_prefix;
  limits.handshake_time = std::chrono::seconds{config.limits.handshake_time_s};
  dtls.resumption.keys = ticket_keys;
  const auto to_shard = [this](const model::Path& path) {
    return model::shard_of(path.peer, static_cast<std::uint32_t>(shards.size()));
  };
  dtls_admission = std::make_shared<adapters::net::DtlsAdmission>(believed.credentials, dtls);
  admission = std::make_unique<AdmissionThread>(
      dtls_admission, limits,
      [this, to_shard](agent::Admitted admitted) {
        const std::uint32_t to = to_shard(admitted.path);
        auto shared = std::make_shared<agent::Admitted>(std::move(admitted));
        hand_over(
            to, "sessions",
            [shared](Shard& shard, base::Now at, ShardOutput& out) { shard.on_admitted(std::move(*shared), at, out); },
            Priority::normal);
      },
      [this, to_shard](model::Datagram datagram) {
        const std::uint32_t to = to_shard(datagram.path);
        auto shared = std::make_shared<model::Datagram>(std::move(datagram));
        hand_over(
            to, "datagrams",
            [shared](Shard& shard, base::Now at, ShardOutput& out) { shard.on_datagram(*shared, at, out); },
            Priority::normal);
      },
      sink);
  if (listeners.empty()) return;
  adapters::net::raise_descriptor_limit();
  tls_acceptor = std::make_shared<adapters::net::TlsAcceptor>(believed.credentials, dtls.resumption);
  stream_admission = std::make_unique<StreamAdmissionThread>(
      tls_acceptor, limits,
      [this, to_shard](agent::Admitted admitted, adapters::net::TcpStream stream) {
        const std::uint32_t to = to_shard(admitted.path);
        if (!shards[to]->adopt(std::move(admitted), std::move(stream)))
          sink.count("dots_hand_over_refused_total", "sessions", 1);
      },
      sink);
  for (auto& listener : listeners) stream_admission->add_listener(std::move(listener));
}

base::Result<void> ServerRuntime::State::open_data_channel(const Beliefs& believed) {
  if (config.data_channel.listen.empty()) return {};
  adapters::net::raise_descriptor_limit();
  auto opened = DataChannel::open(
      config.data_channel, believed.credentials, {.keys = ticket_keys}, believed.identities,
      [this](agent::server::DataRequest asked) { return to_data(std::move(asked)); }, sink);
  if (!opened) return opened.error();
  data_channel = std::move(*opened);
  for (const auto& address : data_channel->bound()) listening.push_back("https://" + model::to_string(address));
  return {};
}

void ServerRuntime::State::stop() {
  if (std::exchange(stopped, true)) return;
  housekeeper.stop();
  // While the shards and the store still answer.
  if (data_channel) data_channel->stop();
  if (admission) admission->stop();
  if (stream_admission) stream_admission->stop();
  for (auto& shard : shards) shard->stop();
  secretary.stop();
  if (committer) committer->stop();
  for (auto& runner : runners) runner->begin_stop();
  for (auto& runner : runners) runner->stop();
  resolver.reset();
}

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

}  // namespace dots::runtime
