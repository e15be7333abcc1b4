#include "adapters/http/https_server.h"

#include <map>
#include <set>
#include <string>
#include <thread>

#include "adapters/http/connection.h"
#include "adapters/http/reply_ticket.h"
#include "adapters/net/event_loop.h"
#include "adapters/net/tls_channel.h"
#include "base/request_rate.h"
#include "model/source_prefix.h"

namespace dots::adapters::http {
namespace {

// Of what is on its way into a socket; more is given to it when this has left.
constexpr std::size_t kUnsentBytes = 262144;
// A peer that is gone and acknowledges nothing.
constexpr base::Duration kDeadAfter = std::chrono::seconds{60};
// A body or an answer counts as a further request for each of these.
constexpr std::size_t kBytesOfARequest = 65536;
constexpr int kTurns = 16;  // pieces of an answer in a row; then the others have their turn

ports::HttpAnswer plain_text(const HttpFault& fault) {
  return {
      fault.status, {{"Content-Type", "text/plain; charset=utf-8"}, {"Cache-Control", "no-cache"}}, fault.why + "\n"};
}

std::string name_of(const model::PeerIdentity& identity) {
  return identity.names.empty() ? "(no name)" : identity.names.front();
}

}  // namespace

struct HttpsServer::State {
  State(const HttpsOptions& o, std::shared_ptr<const net::Credentials> credentials, net::Resumption resumption,
        HttpsHooks h, ops::facts::Sink& s)
      : options(o), hooks(std::move(h)), sink(s), acceptor(std::move(credentials), std::move(resumption), "http/1.1") {
    if (!hooks.render) hooks.render = plain_text;
    waiting->limit = options.limits.waiting_bytes;
  }

  struct Live {
    model::Path path;
    std::unique_ptr<HttpConnection> machine;
    std::optional<ports::HttpClient> client;
    bool counted = false;  // in its domain
    bool gone = false;
    bool again = false;  // a turn is posted
    std::optional<base::SteadyTime> deadline;
  };
  using Shared = std::shared_ptr<Live>;
  struct Domain {
    std::size_t connections = 0;
    std::shared_ptr<WaitingBytes> share = std::make_shared<WaitingBytes>();  // of the waiting bytes
    base::RequestBucket bucket;
  };

  void accept(net::TcpStream stream);
  std::optional<HttpFault> judge(Live& live, const model::PeerIdentity& identity, bool resumed);
  void run(const Shared& live, ConnectionEffects effects);
  bool perform(const Shared& live, ConnectionEffects& effects);
  void handle(const Shared& live, ports::HttpRequest request);
  void forget(const Shared& live);
  void on_deadline();
  void recheck();
  void identify_again();
  void arm();
  void round_over();
  ports::HttpAnswer render(const HttpFault& fault) const;
  Shared find(const model::Path& path) const {
    const auto found = by_path.find(path);
    return found == by_path.end() ? nullptr : found->second;
  }

  const HttpsOptions options;
  HttpsHooks hooks;
  ops::facts::Sink& sink;
  net::EventLoop loop;
  std::shared_ptr<Mailbox> mailbox = std::make_shared<Mailbox>(loop);
  net::TlsAcceptor acceptor;
  std::vector<model::SocketAddress> bound;
  std::thread thread;

  // The thread's alone, from here on.
  std::shared_ptr<WaitingBytes> waiting = std::make_shared<WaitingBytes>();
  std::map<model::Path, Shared> by_path;
  std::set<std::pair<base::SteadyTime, model::Path>> deadlines;
  std::map<model::Prefix, std::size_t> per_prefix;
  std::map<base::DomainId, Domain> domains;
  base::SteadyTime next_recheck{};
  std::size_t told_connections = 0;
  std::optional<base::SteadyTime> stop_at;
};

ports::HttpAnswer HttpsServer::State::render(const HttpFault& fault) const {
  ports::HttpAnswer answer = hooks.render(fault);
  answer.status = fault.status;
  if (fault.status == 429 || fault.status == 503) answer.headers.set("Retry-After", "1");
  return answer;
}

void HttpsServer::State::accept(net::TcpStream stream) {
  const model::Path path = stream.path();
  const auto limited = [&](const std::string& why) {
    sink.count("dots_https_handshakes_total", "limited", 1);
    sink.message("HANDSHAKE_REFUSED", model::to_string(path.peer) + " over HTTPS: " + why);
  };
  if (stop_at) return;
  if (by_path.size() >= options.limits.connections) return limited("too many connections");
  const model::Prefix prefix = model::source_prefix(path.peer);
  const auto count = per_prefix.find(prefix);
  if (count != per_prefix.end() && count->second >= options.limits.connections_per_prefix) {
    return limited("too many connections from its network");
  }
  auto channel = acceptor.accept();
  if (!channel) return limited(channel.error().message);
  // The path may come again before the end of an old connection was heard.
  if (const Shared old = find(path)) forget(old);
  ++per_prefix[prefix];
  sink.count("dots_https_handshakes_total", "started", 1);
  auto live = std::make_shared<Live>();
  live->path = path;
  auto settings = std::make_shared<ConnectionSettings>();
  settings->limits = options.limits;
  settings->waiting = waiting;
  settings->render = [this](const HttpFault& fault) { return render(fault); };
  settings->judge = [this, raw = live.get()](const model::PeerIdentity& identity, bool resumed) {
    return judge(*raw, identity, resumed);
  };
  live->machine = std::make_unique<HttpConnection>(std::move(*channel), std::move(settings), loop.now());
  by_path.insert_or_assign(path, live);
  loop.add_stream(std::move(stream));
  run(live, {});
}

std::optional<HttpFault> HttpsServer::State::judge(Live& live, const model::PeerIdentity& identity, bool resumed) {
  sink.count("dots_https_handshakes_total", "opened", 1);
  if (resumed) sink.count("dots_https_handshakes_total", "resumed", 1);
  const auto who = hooks.identify(identity);
  if (!who) {
    sink.message("SESSION_STRANGER", model::to_string(live.path.peer) + " over HTTPS: '" + name_of(identity) + "'");
    return HttpFault{403, "this credential belongs to no client that is configured here"};
  }
  live.client = ports::HttpClient{who->domain, who->client, identity, live.path.peer, who->credential};
  Domain& domain = domains[who->domain];
  if (domain.connections >= options.limits.connections_per_domain) {
    sink.message("HTTPS_CROWDED", model::to_string(live.path.peer) + ": domain " + who->domain.value + " has " +
                                      std::to_string(domain.connections) + " connections");
    return HttpFault{503, "there are too many connections of this domain"};
  }
  ++domain.connections;
  domain.share->limit = options.limits.waiting_bytes_per_domain;
  live.machine->share(domain.share);
  live.counted = true;
  return std::nullopt;
}

// Effects of one event, and then as much of an answer as the socket takes.
void HttpsServer::State::run(const Shared& live, ConnectionEffects effects) {
  for (int turn = 0; perform(live, effects); ++turn) {
    HttpConnection& machine = *live->machine;
    if (!machine.wants_write() || loop.unsent(live->path) > 0) break;
    if (turn >= kTurns) {
      if (!std::exchange(live->again, true)) {
        mailbox->post([this, weak = std::weak_ptr<Live>{live}] {
          const Shared again = weak.lock();
          if (!again || again->gone) return;
          again->again = false;
          run(again, {});
        });
      }
      break;
    }
    effects = {};
    machine.on_writable(loop.now(), effects);
  }
  if (live->gone) return;
  loop.hold_stream(live->path, !live->machine->wants_read());
  const auto deadline = live->machine->deadline();
  if (deadline == live->deadline) return;
  if (live->deadline) deadlines.erase({*live->deadline, live->path});
  if (deadline) deadlines.emplace(*deadline, live->path);
  live->deadline = deadline;
}

// False: the connection is gone.
bool HttpsServer::State::perform(const Shared& live, ConnectionEffects& effects) {
  if (live->gone) return false;
  const std::string peer = model::to_string(live->path.peer);
  if (effects.failed) {
    const bool late = effects.ended != nullptr;
    sink.count("dots_https_handshakes_total", late ? "timed_out" : "failed", 1);
    sink.message("HANDSHAKE_REFUSED", peer + " over HTTPS: " + *effects.failed);
  } else if (effects.ended != nullptr) {
    sink.count("dots_https_ended_total", effects.ended, 1);
  }
  if (effects.fault) {
    sink.message("HTTPS_REFUSED", peer + (live->client ? ", domain " + live->client->domain.value : "") + ": " +
                                      std::to_string(effects.fault->status) + " " + effects.fault->why);
  }
  if (effects.answered) sink.count("dots_https_answers_total", std::to_string(*effects.answered), 1);
  if (!effects.send.empty()) loop.send(std::vector<model::Datagram>{{live->path, std::move(effects.send)}});
  if (effects.request) handle(live, std::move(*effects.request));
  if (effects.drop) {
    loop.remove_stream(live->path);
    forget(live);
  } else if (effects.close) {
    loop.close_stream(live->path);
    forget(live);
  }
  return !live->gone;
}

void HttpsServer::State::handle(const Shared& live, ports::HttpRequest request) {
  auto ticket = std::make_shared<ReplyTicket>(
      mailbox,
      [this, weak = std::weak_ptr<Live>{live}](ports::HttpAnswer answer) {
        const Shared there = weak.lock();
        if (!there || there->gone || !there->machine->handles()) return;
        // What it took to make it counts against the next requests.
        if (const auto weight = static_cast<std::uint32_t>(answer.body.size() / kBytesOfARequest); weight > 0) {
          domains[there->client->domain].bucket.charge({options.limits.requests_per_s, options.limits.requests_burst},
                                                       loop.now().steady, weight);
        }
        ConnectionEffects effects;
        there->machine->on_answer(std::move(answer), loop.now(), effects);
        run(there, std::move(effects));
      },
      render({503, "the request was not answered"}));
  const ports::HttpClient& client = *live->client;
  const auto weight = static_cast<std::uint32_t>(1 + request.body.size() / kBytesOfARequest);
  if (!domains[client.domain].bucket.take({options.limits.requests_per_s, options.limits.requests_burst},
                                          loop.now().steady, weight)) {
    sink.message("HTTPS_THROTTLED", model::to_string(client.peer) + ", domain " + client.domain.value);
    return ticket->give(render({429, "the domain asks too often; come again in a moment"}));
  }
  hooks.handle(std::move(request), client, [ticket](ports::HttpAnswer answer) { ticket->give(std::move(answer)); });
}

void HttpsServer::State::forget(const Shared& live) {
  if (std::exchange(live->gone, true)) return;
  if (live->deadline) deadlines.erase({*live->deadline, live->path});
  const auto count = per_prefix.find(model::source_prefix(live->path.peer));
  if (count != per_prefix.end() && --count->second == 0) per_prefix.erase(count);
  if (live->counted) --domains[live->client->domain].connections;
  if (const auto found = by_path.find(live->path); found != by_path.end() && found->second == live)
    by_path.erase(found);
}

void HttpsServer::State::on_deadline() {
  const base::Now now = loop.now();
  while (!deadlines.empty() && deadlines.begin()->first <= now.steady) {
    const Shared live = find(deadlines.begin()->second);
    deadlines.erase(deadlines.begin());
    if (!live) continue;
    live->deadline.reset();
    ConnectionEffects effects;
    live->machine->on_timer(now, effects);
    run(live, std::move(effects));
  }
  if (next_recheck <= now.steady) recheck();
  if (stop_at && *stop_at <= now.steady) loop.stop();
}

void HttpsServer::State::recheck() {
  const base::Now now = loop.now();
  next_recheck = now.steady + options.recheck_every;
  std::vector<Shared> all;
  for (const auto& [path, live] : by_path) all.push_back(live);
  for (const Shared& live : all) {
    ConnectionEffects effects;
    if (const auto problem = live->machine->recheck(now, effects)) {
      const std::string who = live->client
                                  ? "client " + live->client->client.value + " of domain " + live->client->domain.value
                                  : "a stranger";
      sink.message("SESSION_CREDENTIAL_ENDED",
                   model::to_string(live->path.peer) + " over HTTPS, " + who + ": " + *problem);
    }
    run(live, std::move(effects));
  }
}

void HttpsServer::State::identify_again() {
  std::vector<Shared> all;
  for (const auto& [path, live] : by_path) all.push_back(live);
  for (const Shared& live : all) {
    if (live->machine->in_handshake()) continue;
    std::optional<ports::HttpWho> was, is;
    if (live->client) {
      was = ports::HttpWho{live->client->domain, live->client->client, live->client->credential};
      is = hooks.identify(live->client->identity);
    }
    // A stranger comes again to be known.
    if (was && was == is) continue;
    ConnectionEffects effects;
    effects.ended = "reload";
    live->machine->end(effects);
    run(live, std::move(effects));
  }
}

void HttpsServer::State::arm() {
  base::SteadyTime next = next_recheck;
  if (!deadlines.empty()) next = std::min(next, deadlines.begin()->first);
  if (stop_at) next = std::min(next, *stop_at);
  loop.set_deadline(next);
}

void HttpsServer::State::round_over() {
  mailbox->drain();
  if (by_path.size() != told_connections) {
    told_connections = by_path.size();
    sink.gauge("dots_https_connections", "", static_cast<double>(told_connections));
  }
  if (stop_at && by_path.empty()) loop.stop();
  arm();
}

base::Result<std::unique_ptr<HttpsServer>> HttpsServer::open(const HttpsOptions& options,
                                                             std::shared_ptr<const net::Credentials> credentials,
                                                             net::Resumption resumption, HttpsHooks hooks,
                                                             ops::facts::Sink& sink) {
  auto state = std::make_unique<State>(options, std::move(credentials), std::move(resumption), std::move(hooks), sink);
  State* raw = state.get();
  net::TcpOptions tcp;
  tcp.unsent_bytes = kUnsentBytes;
  tcp.dead_after = kDeadAfter;
  tcp.remedy = "change data_channel.listen";
  for (const auto& address : options.addresses) {
    auto listener = net::TcpListener::listen(address, tcp);
    if (!listener) return listener.error();
    raw->bound.push_back(listener->bound());
    raw->loop.add_listener(std::move(*listener));
  }
  net::EventLoop::Handlers handlers;
  handlers.on_datagrams = [raw](std::span<model::Datagram> pieces) {
    for (const auto& piece : pieces) {
      const auto live = raw->find(piece.path);
      if (!live) continue;
      ConnectionEffects effects;
      live->machine->on_bytes(piece.bytes, raw->loop.now(), effects);
      raw->run(live, std::move(effects));
    }
  };
  handlers.on_deadline = [raw] { raw->on_deadline(); };
  handlers.after_round = [raw] { raw->round_over(); };
  handlers.on_stream_ended = [raw](const model::Path& path, const std::string& reason) {
    const auto live = raw->find(path);
    if (!live) return;
    if (live->machine->in_handshake()) {
      raw->sink.count("dots_https_handshakes_total", "failed", 1);
      raw->sink.message("HANDSHAKE_REFUSED", model::to_string(path.peer) + " over HTTPS: " + reason);
    }
    raw->forget(live);
  };
  handlers.on_accepted = [raw](net::TcpStream stream) { raw->accept(std::move(stream)); };
  handlers.on_drained = [raw](const model::Path& path) {
    if (const auto live = raw->find(path)) raw->run(live, {});
  };
  raw->loop.set_handlers(std::move(handlers));
  return std::unique_ptr<HttpsServer>{new HttpsServer{std::move(state)}};
}

HttpsServer::HttpsServer(std::unique_ptr<State> state) : state_(std::move(state)) {}
HttpsServer::~HttpsServer() {
  stop({});
  state_->mailbox->close();
}

const std::vector<model::SocketAddress>& HttpsServer::bound() const { return state_->bound; }

void HttpsServer::start() {
  state_->next_recheck = state_->loop.now().steady + state_->options.recheck_every;
  state_->arm();
  state_->thread = std::thread([s = state_.get()] { s->loop.run(); });
}

void HttpsServer::stop(base::Duration grace) {
  State& s = *state_;
  if (!s.thread.joinable()) return;
  s.mailbox->post([&s, grace] {
    s.loop.remove_listeners();
    s.stop_at = s.loop.now().steady + grace;
    std::vector<State::Shared> all;
    for (const auto& [path, live] : s.by_path) all.push_back(live);
    for (const auto& live : all) {
      ConnectionEffects effects;
      live->machine->stop(effects);
      s.run(live, std::move(effects));
    }
  });
  s.thread.join();
}

void HttpsServer::replace_credentials(std::shared_ptr<const net::Credentials> credentials) {
  state_->mailbox->post([s = state_.get(), next = std::move(credentials)] { s->acceptor.replace_credentials(next); });
}

void HttpsServer::replace_identify(Identify identify) {
  state_->mailbox->post([s = state_.get(), next = std::move(identify)] {
    s->hooks.identify = next;
    s->identify_again();
  });
}

void HttpsServer::recheck() {
  state_->mailbox->post([s = state_.get()] { s->recheck(); });
}

}  // namespace dots::adapters::http
