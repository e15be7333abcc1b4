#include "apps/runtime/client_runtime.h"

#include <sys/random.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "adapters/net/dtls_channel.h"
#include "adapters/net/event_loop.h"
#include "adapters/net/tls_channel.h"
#include "adapters/net/udp_socket.h"
#include "adapters/store/committer.h"
#include "agent/client/client_agent.h"
#include "agent/data_client/data_agent.h"
#include "agent/operators/answers.h"
#include "apps/runtime/coap_metrics.h"
#include "apps/runtime/data_client.h"
#include "apps/runtime/newest_connector.h"
#include "apps/runtime/open_credentials.h"
#include "apps/runtime/open_store.h"
#include "apps/runtime/operator_calls.h"
#include "apps/runtime/pending_call.h"
#include "apps/runtime/reload.h"
#include "apps/runtime/ticket_files.h"
#include "apps/version.h"

namespace dots::runtime {
namespace {

using adapters::net::EventLoop;
using adapters::net::Priority;
using adapters::net::TcpStream;
using adapters::net::UdpSocket;
using agent::call_failed;
using agent::call_ok;
using agent::CallAnswer;
using agent::client::CallTicket;
using agent::client::ClientAgent;
using agent::client::ClientEffects;

base::Result<std::uint64_t> random_seed() {
  std::uint64_t seed = 0;
  if (getrandom(&seed, sizeof seed, 0) != sizeof seed) return base::Error{"the kernel gives no random numbers"};
  return seed;
}

agent::client::ClientSettings settings_of(const ops::Config& config, const std::string& default_cuid) {
  agent::client::ClientSettings settings;
  settings.version = kVersion;
  for (const ops::UpstreamConfig& upstream : config.upstreams) {
    agent::client::ServerSettings server;
    server.upstream.name = server.requests.server = upstream.name;
    server.upstream.host = upstream.host;
    server.upstream.addresses = upstream.addresses;
    server.upstream.udp = upstream.transport != ops::UpstreamTransport::tcp;
    server.upstream.tcp = upstream.transport != ops::UpstreamTransport::udp;
    server.upstream.udp_probe = upstream.udp_probe;
    server.upstream.retry = std::chrono::seconds{upstream.reconnect_s};
    server.config.negotiate = upstream.negotiate;
    server.config.wanted = {upstream.mitigating_config, upstream.idle_config};
    server.upstream.session.endpoint.observing = server.requests.max_requests;
    server.requests.cuid = base::Cuid{upstream.cuid.empty() ? default_cuid : upstream.cuid};
    server.requests.extensions = upstream.extensions;
    if (!upstream.contract_id.empty()) server.requests.contract_id = upstream.contract_id;
    if (!upstream.requested_service.empty()) server.requests.requested_service = upstream.requested_service;
    server.requests.default_lifetime_s = upstream.default_lifetime_s;
    server.requests.refresh_before_percent = upstream.refresh_before_percent;
    using Follow = agent::client::RedirectPolicy::Follow;
    server.redirects.follow = upstream.follow_redirects == ops::FollowRedirects::no    ? Follow::no
                              : upstream.follow_redirects == ops::FollowRedirects::any ? Follow::any
                                                                                       : Follow::same_domain;
    server.redirects.domains = upstream.redirect_domains;
    settings.servers.push_back(std::move(server));
  }
  return settings;
}

adapters::net::DtlsOptions dtls_options(const ops::Config& config,
                                        const std::shared_ptr<adapters::net::TicketCache>& tickets) {
  adapters::net::DtlsOptions options;
  options.path_mtu_bytes = config.listen.path_mtu_bytes;
  options.resumption.tickets = tickets;
  return options;
}

// For a std::function, which must be copied.
std::shared_ptr<PendingCall> share(PendingCall call) { return std::make_shared<PendingCall>(std::move(call)); }

bool is_empty(const ClientEffects& effects) {
  return effects.open.empty() && effects.send.empty() && effects.close.empty() && effects.resolve.empty() &&
         !effects.commit && !effects.reload && effects.audit.empty() && effects.done.empty() &&
         effects.messages.empty() && effects.health.empty();
}

}  // namespace

struct ClientRuntime::State {
  State(ops::Config c, ops::facts::Sink& s) : config(std::move(c)), running(config), sink(s) {}

  base::Result<void> open();
  void stop();
  void finish_round();
  void tell_cuids();
  void perform(ClientEffects effects);
  void open_socket(const agent::client::UpstreamOutput::Open& wanted);
  void send(std::vector<agent::client::UpstreamOutput::Send> datagrams);
  void close_socket(base::SessionId session);
  void stream_ended(const model::Path& path, const std::string& reason);
  void use(const std::shared_ptr<const adapters::net::Credentials>& credentials);
  void commit(std::vector<ports::Change> changes);
  void reload();
  void audit(const ClientEffects::AuditQuery& query);
  CallAnswer reload_config(bool dry_run, const agent::Caller& caller);
  // Runs a step of the agent on its thread; for callbacks that must arrive.
  template <class Step>
  void post_surely(Step step);

  const ops::Config config;  // as it was at the start
  std::mutex reload_mutex;   // guards running
  ops::Config running;       // as the last reload left it
  ops::facts::Sink& sink;

  // The loop's thread alone, once it runs.
  EventLoop loop;
  NewestConnector connector, stream_connector;
  std::unique_ptr<ClientAgent> agent;
  ClientEffects round;  // of the round that runs
  struct Socket {
    EventLoop::SocketHandle handle = 0;
    model::Path path;
  };
  std::map<base::SessionId, Socket> sockets;
  std::map<model::Path, base::SessionId> sessions;
  std::map<CallTicket, PendingCall> pending;
  std::uint64_t last_ticket = 0;

  std::unique_ptr<adapters::store::Committer> committer;
  std::shared_ptr<adapters::net::TicketCache> tickets;
  std::unique_ptr<adapters::resolver::AresResolver> resolver;  // when a name may have to be looked up
  std::thread thread;
  std::atomic<bool> stopping{false};
  std::unique_ptr<DataClient> data;              // when a server has a data channel
  std::map<std::string, base::Cuid> cuids_told;  // to `data`, by server; the loop's thread
};

// ---- start and stop -------------------------------------------------------------------------------------------------

base::Result<void> ClientRuntime::State::open() {
  if (config.upstreams.empty()) {
    return base::Error{"no server to signal to is configured: add an [[upstream]] with name and host"};
  }
  auto credentials = open_credentials(config, adapters::net::Side::client, sink);
  if (!credentials) return credentials.error();
  const std::string cuid = model::default_cuid((*credentials)->own_identity());

  auto opened = open_store(config, sink);
  if (!opened) return opened.error();
  auto snapshot = opened->store->load();
  if (!snapshot) return snapshot.error();
  const auto instance = random_seed();
  const auto seed = random_seed();
  if (!instance) return instance.error();
  if (!seed) return seed.error();

  // A server that redirects need not say the addresses of the alternate.
  const bool look_up = std::any_of(config.upstreams.begin(), config.upstreams.end(), [](const auto& upstream) {
    return upstream.addresses.empty() || upstream.follow_redirects != ops::FollowRedirects::no ||
           (upstream.data_channel.enabled && upstream.data_channel.addresses.empty());
  });
  if (look_up) {
    auto names = adapters::resolver::AresResolver::start(resolver_options(config), &sink);
    if (!names) return names.error();
    resolver = std::move(*names);
  }
  committer = std::make_unique<adapters::store::Committer>(std::move(opened->store), *instance, opened->fencing_token,
                                                           committer_options(config), &sink);
  // The commit thread may wait for the disk; a write that it does not take is made up for by the next.
  tickets = open_ticket_cache(config, sink, [this](std::function<void()> write) {
    (void)committer->read([write = std::move(write)](ports::Store&) { write(); });
  });
  use(*credentials);
  agent = std::make_unique<ClientAgent>(settings_of(config, cuid),
                                        agent::client::Connectors{connector, &stream_connector}, *seed);

  loop.set_handlers({[this](std::span<model::Datagram> datagrams) {
                       for (const model::Datagram& datagram : datagrams) {
                         const auto it = sessions.find(datagram.path);
                         if (it != sessions.end()) agent->on_datagram(it->second, datagram.bytes, loop.now(), round);
                       }
                     },
                     [this] { agent->on_timer(loop.now(), round); }, [this] { finish_round(); },
                     [this](const model::Path& path, const std::string& reason) { stream_ended(path, reason); }});
  if (has_data_channel(config)) {
    DataClient::World world{
        *credentials,
        tickets,
        resolver.get(),
        committer.get(),
        &sink,
        [this](const std::string& server, const base::Cuid& taken) {
          post_surely([this, server, taken] { agent->on_cuid_taken(server, taken, loop.now(), round); });
        }};
    data = std::make_unique<DataClient>(config, std::move(world));
  }
  thread = std::thread([this, snapshot = std::move(*snapshot)] {
    agent->start(snapshot, loop.now(), round);
    if (data) {
      cuids_told = agent->cuids();
      data->start(cuids_told, snapshot);
    }
    finish_round();
    loop.run();
  });
  return {};
}

void ClientRuntime::State::use(const std::shared_ptr<const adapters::net::Credentials>& credentials) {
  connector.use(std::make_unique<adapters::net::DtlsConnector>(credentials, dtls_options(config, tickets)));
  stream_connector.use(std::make_unique<adapters::net::TlsConnector>(
      credentials, adapters::net::Resumption{.keys = {}, .tickets = tickets}));
}

void ClientRuntime::State::stop() {
  if (stopping.exchange(true)) return;
  if (thread.joinable()) {
    post_surely([this] {
      agent->stop(loop.now(), round);
      finish_round();
      loop.stop();
    });
    thread.join();
  }
  if (data) data->stop();
  resolver.reset();
  if (committer) committer->stop();
  pending.clear();
}

template <class Step>
void ClientRuntime::State::post_surely(Step step) {
  // Few of them exist at one time; the reserved room is empty again after one round of the loop.
  while (!loop.post(step, Priority::reserved)) std::this_thread::sleep_for(std::chrono::milliseconds{1});
}

// ---- what the agent asks for ----------------------------------------------------------------------------------------

void ClientRuntime::State::finish_round() {
  // What fails at once - a socket, a full commit queue - is an event of its own, with effects of its own.
  do {
    perform(std::exchange(round, {}));
  } while (!is_empty(round));
  if (data) tell_cuids();
  loop.set_deadline(agent->next_deadline(loop.now()));
}

// RFC 8783 5.1: the same cuid on both channels.
void ClientRuntime::State::tell_cuids() {
  for (auto& [server, told] : cuids_told) {
    const base::Cuid now = agent->cuid_of(server);
    if (std::exchange(told, now) != now) data->set_cuid(server, now);
  }
}

void ClientRuntime::State::perform(ClientEffects effects) {
  for (const auto& wanted : effects.open) open_socket(wanted);
  send(std::move(effects.send));
  for (const base::SessionId session : effects.close) close_socket(session);
  if (effects.commit) commit(std::move(*effects.commit));
  if (effects.reload) reload();
  for (const std::string& name : effects.resolve) {
    resolver->resolve(name, [this](ports::Resolution resolution) {
      post_surely([this, resolution = std::move(resolution)] { agent->on_resolved(resolution, loop.now(), round); });
    });
  }
  for (const auto& query : effects.audit) audit(query);
  for (auto& message : effects.messages) sink.message(message.id, message.details);
  for (const auto& health : effects.health)
    sink.health(health.condition, health.subject, health.unwell, health.details);
  count_coap(effects.counters, sink);
  for (auto& done : effects.done) {
    const auto it = pending.find(done.ticket);
    if (it == pending.end()) continue;
    it->second.answer(std::move(done.answer));
    pending.erase(it);
  }
}

void ClientRuntime::State::open_socket(const agent::client::UpstreamOutput::Open& wanted) {
  model::Path path;
  EventLoop::SocketHandle handle = 0;
  if (wanted.way.transport == model::Transport::tcp) {
    auto stream = TcpStream::connect(wanted.way.server);
    if (!stream) return agent->on_unreachable(wanted.session, stream.error().message, loop.now(), round);
    path = stream->path();
    loop.add_stream(std::move(*stream));
  } else {
    auto socket = UdpSocket::connect(wanted.way.server);
    if (!socket) return agent->on_unreachable(wanted.session, socket.error().message, loop.now(), round);
    path = {wanted.way.server, socket->bound(), model::Transport::udp};
    handle = loop.add_socket(std::move(*socket));
  }
  sockets[wanted.session] = {handle, path};
  sessions[path] = wanted.session;
}

void ClientRuntime::State::stream_ended(const model::Path& path, const std::string& reason) {
  const auto it = sessions.find(path);
  if (it == sessions.end()) return;
  const base::SessionId session = it->second;
  sockets.erase(session);
  sessions.erase(it);
  agent->on_unreachable(session, reason, loop.now(), round);
}

void ClientRuntime::State::send(std::vector<agent::client::UpstreamOutput::Send> datagrams) {
  std::vector<model::Datagram> out;
  out.reserve(datagrams.size());
  for (auto& one : datagrams) {
    const auto it = sockets.find(one.session);
    if (it != sockets.end()) out.push_back({it->second.path, std::move(one.datagram)});
  }
  if (!out.empty()) loop.send(out);
}

void ClientRuntime::State::close_socket(base::SessionId session) {
  const auto it = sockets.find(session);
  if (it == sockets.end()) return;
  if (it->second.path.transport == model::Transport::tcp) {
    loop.close_stream(it->second.path);
  } else {
    loop.remove_socket(it->second.handle);
  }
  sessions.erase(it->second.path);
  sockets.erase(it);
}

void ClientRuntime::State::commit(std::vector<ports::Change> changes) {
  ports::Batch batch;
  batch.at = loop.now().wall;
  batch.changes = std::move(changes);
  const auto settled = [this](const ports::CommitResult& result) {
    post_surely([this, result] { agent->on_committed(result, loop.now(), round); });
  };
  if (!committer->submit(std::move(batch), settled)) {
    agent->on_committed({ports::CommitOutcome::refused, "the commit queue is full"}, loop.now(), round);
  }
}

void ClientRuntime::State::reload() {
  const auto loaded = [this](base::Result<ports::Snapshot> snapshot) {
    post_surely([this, snapshot = std::move(snapshot)] { agent->on_reloaded(snapshot, loop.now(), round); });
  };
  if (!committer->load_client_requests(loaded)) {
    agent->on_reloaded(base::Error{"the commit thread takes no more work"}, loop.now(), round);
  }
}

void ClientRuntime::State::audit(const ClientEffects::AuditQuery& query) {
  const auto read = [this, query](base::Result<std::vector<ports::AuditRecord>> records) {
    post_surely([this, query, records = std::move(records)] { agent->on_audit(query.ticket, records, round); });
  };
  const bool taken = committer->read([read, query](ports::Store& store) { read(store.audit(query.wanted)); });
  if (!taken) agent->on_audit(query.ticket, base::Error{"the commit thread takes no more work"}, round);
}

// ---- operators ------------------------------------------------------------------------------------------------------

// A client takes new credentials, for sessions from now on; its identity stays.
CallAnswer ClientRuntime::State::reload_config(bool dry_run, const agent::Caller& caller) {
  const std::lock_guard lock(reload_mutex);
  const auto refused = [&](CallAnswer answer) {
    sink.message("CONFIG_RELOAD_REFUSED", "asked by " + caller.name + ": " + answer.message);
    return answer;
  };
  auto reload = read_reload(running);
  if (!reload) return refused(std::move(reload).error());
  auto credentials = open_credentials(reload->next, adapters::net::Side::client, sink);
  if (!credentials) return refused(refused_reload(credentials.error()));
  if (dry_run || reload->changes.empty()) return call_ok(render_reload(*reload, false));
  running = reload->next;
  if (data) data->use(*credentials);
  post_surely([this, credentials = std::move(*credentials)] { use(credentials); });
  sink.message("CONFIG_RELOADED", "asked by " + caller.name + ": " + reload_line(*reload));
  return call_ok(render_reload(*reload, true));
}

// ---- the door -------------------------------------------------------------------------------------------------------

base::Result<std::unique_ptr<ClientRuntime>> ClientRuntime::start(const ops::Config& config, ops::facts::Sink& sink) {
  auto state = std::make_unique<State>(config, sink);
  State* raw = state.get();
  std::unique_ptr<ClientRuntime> runtime{new ClientRuntime(std::move(state))};
  if (auto opened = raw->open(); !opened) return opened.error();
  return runtime;
}

ClientRuntime::ClientRuntime(std::unique_ptr<State> state) : state_(std::move(state)) {}
ClientRuntime::~ClientRuntime() { state_->stop(); }

void ClientRuntime::call(agent::Call call, std::function<void(CallAnswer)> done) {
  State& s = *state_;
  PendingCall wish{std::move(done)};
  if (s.stopping) return;
  if (call.operation == "reload") {
    const auto dry_run = parse_reload_arguments(call.arguments);
    if (!dry_run) return wish.answer(call_failed(CallAnswer::Outcome::bad_request, dry_run.error().message));
    if (!call.caller.may_write)
      return wish.answer(call_failed(CallAnswer::Outcome::forbidden, "you may look but not change",
                                     "ask for membership in api.operator_group"));
    return wish.answer(s.reload_config(*dry_run, call.caller));
  }
  if (agent::data_client::DataAgent::serves(call.operation)) {
    if (s.data)
      return s.data->call(std::move(call),
                          [shared = share(std::move(wish))](CallAnswer answer) { shared->answer(std::move(answer)); });
    return wish.answer(
        call_failed(CallAnswer::Outcome::unavailable, "no server of this client has a data channel",
                    "add [upstream.data_channel] with enabled = true to the configuration, and restart"));
  }
  if (s.data && call.operation == "status") {
    wish = PendingCall([&s, shared = share(std::move(wish))](CallAnswer answer) {
      s.data->add_status(std::move(answer), [shared](CallAnswer whole) { shared->answer(std::move(whole)); });
    });
  }
  // A post that is refused drops the task, and with it answers the call.
  s.loop.post([&s, call = std::move(call), wish = std::move(wish)]() mutable {
    const CallTicket ticket{++s.last_ticket};
    s.pending.emplace(ticket, std::move(wish));
    s.agent->handle(ticket, call, s.loop.now(), s.round);
  });
}

}  // namespace dots::runtime
