#include "apps/runtime/data_client.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <thread>
#include <utility>
#include <vector>

#include "adapters/http/https_client.h"
#include "adapters/net/event_loop.h"
#include "adapters/net/tls_channel.h"
#include "agent/data_client/data_agent.h"
#include "apps/runtime/newest_connector.h"
#include "apps/runtime/pending_call.h"

namespace dots::runtime {
namespace {

using adapters::http::HttpsClient;
using adapters::http::HttpsClientOptions;
using adapters::net::EventLoop;
using adapters::net::Priority;
using agent::CallAnswer;
using agent::data_client::CallTicket;
using agent::data_client::DataAgent;
using agent::data_client::DataEffects;

constexpr std::uint16_t kHttpsPort = 443;

const std::string& host_of(const ops::UpstreamConfig& upstream) {
  return upstream.data_channel.host.empty() ? upstream.host : upstream.data_channel.host;
}

// As in the Host field (RFC 9110 7.2).
std::string authority_of(const ops::UpstreamConfig& upstream) {
  const ops::UpstreamDataChannel& data = upstream.data_channel;
  const std::uint16_t port = data.addresses.empty() ? data.port : data.addresses.front().port;
  return host_of(upstream) + (port == kHttpsPort ? "" : ":" + std::to_string(port));
}

data::client::KeeperSettings settings_of(const ops::UpstreamConfig& upstream) {
  data::client::KeeperSettings settings;
  settings.server = upstream.name;
  settings.authority = authority_of(upstream);
  settings.default_root = upstream.data_channel.root;
  settings.check_every = upstream.data_channel.check;
  settings.refresh_before_min = upstream.data_channel.refresh_before_min;
  return settings;
}

bool is_empty(const DataEffects& effects) {
  return effects.ask.empty() && !effects.commit && effects.done.empty() && effects.messages.empty() &&
         effects.health.empty() && effects.cuid_taken.empty();
}

}  // namespace

bool has_data_channel(const ops::Config& config) {
  return std::any_of(config.upstreams.begin(), config.upstreams.end(),
                     [](const auto& upstream) { return upstream.data_channel.enabled; });
}

struct DataClient::State {
  State(const ops::Config& config, World w);

  void use(const std::shared_ptr<const adapters::net::Credentials>& credentials);
  HttpsClient::Resolve addresses_of(const ops::UpstreamConfig& upstream);
  void finish_round();
  void perform(DataEffects effects);
  void commit(std::vector<ports::Change> changes);
  // For what must arrive. Few of them exist at one time.
  template <class Step>
  void post_surely(Step step) {
    while (!loop.post(step, Priority::reserved)) std::this_thread::sleep_for(std::chrono::milliseconds{1});
  }

  World world;
  EventLoop loop;
  NewestConnector connector;
  // The loop's thread alone, once it runs.
  std::vector<data::client::KeeperSettings> keepers;
  std::vector<std::unique_ptr<HttpsClient>> servers;
  std::unique_ptr<DataAgent> agent;
  DataEffects round;
  std::map<CallTicket, PendingCall> pending;
  std::uint64_t last_ticket = 0;

  std::thread thread;
  std::atomic<bool> stopping{false};
};

DataClient::State::State(const ops::Config& config, World w) : world(std::move(w)) {
  use(world.credentials);
  for (const ops::UpstreamConfig& upstream : config.upstreams) {
    if (!upstream.data_channel.enabled) continue;
    keepers.push_back(settings_of(upstream));
    HttpsClientOptions options;
    options.server_name = host_of(upstream);
    options.host = authority_of(upstream);
    options.limits.answer.body_bytes = upstream.data_channel.answer_bytes;
    servers.push_back(std::make_unique<HttpsClient>(std::move(options), loop, connector, addresses_of(upstream)));
  }
}

void DataClient::State::use(const std::shared_ptr<const adapters::net::Credentials>& credentials) {
  connector.use(std::make_unique<adapters::net::TlsConnector>(
      credentials, adapters::net::Resumption{.keys = {}, .tickets = world.tickets}, "http/1.1"));
  for (auto& server : servers) server->reconnect();
}

HttpsClient::Resolve DataClient::State::addresses_of(const ops::UpstreamConfig& upstream) {
  if (!upstream.data_channel.addresses.empty()) {
    return [addresses = upstream.data_channel.addresses](auto found) { found(addresses); };
  }
  return [this, host = host_of(upstream), port = upstream.data_channel.port](auto found) {
    if (world.resolver == nullptr) return found(base::Error{"there is no resolver for " + host});
    world.resolver->resolve(host, [this, port, found](const ports::Resolution& answer) {
      HttpsClient::Addresses addresses = std::vector<model::SocketAddress>{};
      for (const model::IpAddress& ip : answer.addresses) addresses->push_back({ip, port});
      if (answer.outcome != ports::Resolution::Outcome::answered) {
        addresses = base::Error{"the name " + answer.name + " cannot be resolved: " + answer.reason};
      }
      if (stopping) return;
      post_surely([found, addresses] { found(addresses); });
    });
  };
}

void DataClient::State::finish_round() {
  do {
    perform(std::exchange(round, {}));
  } while (!is_empty(round));
  std::optional<base::SteadyTime> next = agent->next_deadline();
  for (const auto& server : servers) {
    const auto at = server->deadline();
    if (at && (!next || *at < *next)) next = at;
  }
  loop.set_deadline(next);
}

void DataClient::State::perform(DataEffects effects) {
  for (auto& ask : effects.ask) {
    world.sink->count("dots_data_client_requests_total", "", 1);
    servers[ask.server]->ask(std::move(ask.request),
                             [this, server = ask.server, id = ask.id](ports::HttpOutcome outcome) {
                               agent->on_answer(server, id, std::move(outcome), loop.now(), round);
                             });
  }
  if (effects.commit) commit(std::move(*effects.commit));
  for (auto& message : effects.messages) world.sink->message(message.id, message.details);
  for (const auto& health : effects.health) {
    world.sink->health("DATA_CHANNEL_LOST", health.subject, health.unwell, health.details);
  }
  for (const auto& taken : effects.cuid_taken) world.on_cuid_taken(taken.server, taken.cuid);
  for (auto& done : effects.done) {
    const auto it = pending.find(done.ticket);
    if (it == pending.end()) continue;
    it->second.answer(std::move(done.answer));
    pending.erase(it);
  }
}

void DataClient::State::commit(std::vector<ports::Change> changes) {
  ports::Batch batch;
  batch.at = loop.now().wall;
  batch.changes = std::move(changes);
  const auto settled = [this](const ports::CommitResult& result) {
    post_surely([this, result] { agent->on_committed(result, loop.now(), round); });
  };
  if (!world.committer->submit(std::move(batch), settled)) {
    agent->on_committed({ports::CommitOutcome::refused, "the commit queue is full"}, loop.now(), round);
  }
}

DataClient::DataClient(const ops::Config& config, World world)
    : state_(std::make_unique<State>(config, std::move(world))) {}

void DataClient::start(const std::map<std::string, base::Cuid>& cuids, const ports::Snapshot& snapshot) {
  State* s = state_.get();
  for (auto& keeper : s->keepers) keeper.cuid = cuids.at(keeper.server);
  s->agent = std::make_unique<DataAgent>(s->keepers);
  EventLoop::Handlers handlers;
  handlers.on_datagrams = [s](std::span<model::Datagram> pieces) {
    for (const model::Datagram& piece : pieces) {
      for (auto& server : s->servers) server->on_bytes(piece.path, piece.bytes);
    }
  };
  handlers.on_deadline = [s] {
    for (auto& server : s->servers) server->on_timer();
    s->agent->on_timer(s->loop.now(), s->round);
  };
  handlers.after_round = [s] { s->finish_round(); };
  handlers.on_stream_ended = [s](const model::Path& path, const std::string& reason) {
    for (auto& server : s->servers) server->on_stream_ended(path, reason);
  };
  s->loop.set_handlers(std::move(handlers));
  s->thread = std::thread([s, records = snapshot.client_data] {
    ports::Snapshot mine;
    mine.client_data = records;
    s->agent->start(mine, s->loop.now(), s->round);
    s->finish_round();
    s->loop.run();
  });
}

DataClient::~DataClient() { stop(); }

void DataClient::stop() {
  State& s = *state_;
  if (s.stopping.exchange(true)) return;
  if (!s.thread.joinable()) return;
  s.post_surely([&s] {
    for (auto& server : s.servers) server->close();
    s.loop.stop();
  });
  s.thread.join();
  s.pending.clear();
}

void DataClient::call(agent::Call call, std::function<void(CallAnswer)> done) {
  State& s = *state_;
  PendingCall wish{std::move(done)};
  if (s.stopping) return;
  // A post that is refused drops the task, and with it answers the call.
  s.loop.post([&s, call = std::move(call), wish = std::move(wish)]() mutable {
    const CallTicket ticket{++s.last_ticket};
    s.pending.emplace(ticket, std::move(wish));
    s.agent->handle(ticket, call, s.loop.now(), s.round);
  });
}

void DataClient::add_status(CallAnswer answer, std::function<void(CallAnswer)> done) {
  State& s = *state_;
  PendingCall wish{std::move(done)};
  if (s.stopping || answer.outcome != CallAnswer::Outcome::ok) return wish.answer(std::move(answer));
  s.loop.post([&s, answer = std::move(answer), wish = std::move(wish)]() mutable {
    answer.body.as_object()["data-channel"] = s.agent->status(s.loop.now());
    wish.answer(std::move(answer));
  });
}

void DataClient::set_cuid(const std::string& server, const base::Cuid& cuid) {
  State& s = *state_;
  if (s.stopping) return;
  s.post_surely([&s, server, cuid] { s.agent->set_cuid(server, cuid, s.loop.now(), s.round); });
}

void DataClient::use(std::shared_ptr<const adapters::net::Credentials> credentials) {
  State& s = *state_;
  if (s.stopping) return;
  s.post_surely([&s, next = std::move(credentials)] { s.use(next); });
}

}  // namespace dots::runtime
