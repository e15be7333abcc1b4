#include "adapters/http/https_client.h"

#include <deque>
#include <optional>
#include <utility>

#include "adapters/net/tcp_stream.h"

namespace dots::adapters::http {
namespace {

// A request leaves as a whole; the largest that a client may be given stands in it.
constexpr std::size_t kUnsentBytes = std::size_t{80} << 20;
constexpr base::Duration kDeadAfter = std::chrono::seconds{60};

}  // namespace

struct HttpsClient::State {
  State(HttpsClientOptions o, net::EventLoop& l, ports::ChannelConnector& c, Resolve r)
      : options(std::move(o)), loop(l), connector(c), resolve(std::move(r)) {}

  void open();
  void open_next();
  void run(ClientEffects effects);
  void answer(ports::HttpOutcome outcome);
  void drop();

  const HttpsClientOptions options;
  net::EventLoop& loop;
  ports::ChannelConnector& connector;
  const Resolve resolve;

  std::optional<ports::HttpRequest> request;  // kept until its answer, for another address
  std::function<void(ports::HttpOutcome)> done;
  bool resolving = false;
  std::deque<model::SocketAddress> left;  // to be tried
  std::string failures;
  std::unique_ptr<ClientConnection> connection;
  model::Path path;
  bool used_before = false;  // the connection has given an answer already
  bool renew = false;
  std::optional<ports::HttpOutcome> told_later;
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);
};

HttpsClient::HttpsClient(HttpsClientOptions options, net::EventLoop& loop, ports::ChannelConnector& connector,
                         Resolve resolve)
    : state_(std::make_unique<State>(std::move(options), loop, connector, std::move(resolve))) {}
HttpsClient::~HttpsClient() {
  *state_->alive = false;
  close();
}

void HttpsClient::ask(ports::HttpRequest request, std::function<void(ports::HttpOutcome)> done) {
  State& s = *state_;
  s.request = std::move(request);
  s.done = std::move(done);
  s.failures.clear();
  if (s.renew && s.connection) {
    ClientEffects effects;
    s.connection->stop(effects);
    s.run(std::move(effects));
  }
  s.renew = false;
  if (!s.connection) return s.open();
  ClientEffects effects;
  s.connection->ask(*s.request, s.loop.now(), effects);
  s.run(std::move(effects));
}

void HttpsClient::State::open() {
  used_before = false;
  resolving = true;
  resolve([this, weak = std::weak_ptr<bool>(alive)](Addresses addresses) {
    const auto there = weak.lock();
    if (!there || !*there || !std::exchange(resolving, false)) return;
    if (!addresses) return answer(ports::HttpFailure{addresses.error().message, false});
    left.assign(addresses->begin(), addresses->end());
    open_next();
  });
}

void HttpsClient::State::open_next() {
  while (!left.empty()) {
    const model::SocketAddress address = left.front();
    left.pop_front();
    net::TcpOptions tcp;
    tcp.unsent_bytes = kUnsentBytes;
    tcp.dead_after = kDeadAfter;
    auto stream = net::TcpStream::connect(address, tcp);
    if (!stream) {
      failures += (failures.empty() ? "" : "; ") + model::to_string(address) + ": " + stream.error().message;
      continue;
    }
    ports::ChannelEvents events;
    auto channel = connector.connect(options.server_name, events);
    if (!channel) return answer(ports::HttpFailure{channel.error().message, false});
    path = stream->path();
    loop.add_stream(std::move(*stream));
    connection = std::make_unique<ClientConnection>(std::move(*channel), options.host, options.limits, loop.now());
    ClientEffects effects;
    for (const auto& piece : events.datagrams) effects.send.insert(effects.send.end(), piece.begin(), piece.end());
    connection->ask(*request, loop.now(), effects);
    return run(std::move(effects));
  }
  answer(ports::HttpFailure{failures.empty() ? "there is no address to go to" : failures, false});
}

void HttpsClient::State::run(ClientEffects effects) {
  if (!effects.send.empty()) loop.send(std::vector<model::Datagram>{{path, std::move(effects.send)}});
  const bool proven = connection && connection->proven();
  if (effects.close) drop();
  if (!effects.outcome) return;
  if (*effects.outcome) {
    used_before = true;
    return answer(std::move(*effects.outcome));
  }
  const ports::HttpFailure failure = effects.outcome->error();
  const bool reads = request && (request->method == "GET" || request->method == "HEAD");
  if (std::exchange(used_before, false) && reads) return open();  // it had been idle, and the server had ended it
  failures += (failures.empty() ? "" : "; ") + model::to_string(path.peer) + ": " + failure.reason;
  if (!proven && !failure.sent) return open_next();
  answer(ports::HttpFailure{failures, failure.sent});
}

void HttpsClient::State::drop() {
  if (!connection) return;
  connection.reset();
  loop.close_stream(path);
}

void HttpsClient::State::answer(ports::HttpOutcome outcome) {
  request.reset();
  left.clear();
  // Told by on_timer: from inside of ask() the asker would not be ready for it.
  told_later = std::move(outcome);
}

void HttpsClient::reconnect() { state_->renew = true; }

void HttpsClient::close() {
  State& s = *state_;
  if (!s.connection) return;
  ClientEffects effects;
  s.connection->stop(effects);
  effects.outcome.reset();
  s.run(std::move(effects));
}

void HttpsClient::on_bytes(const model::Path& path, base::ByteView bytes) {
  State& s = *state_;
  if (!s.connection || path != s.path) return;
  ClientEffects effects;
  s.connection->on_bytes(bytes, s.loop.now(), effects);
  s.run(std::move(effects));
}

void HttpsClient::on_stream_ended(const model::Path& path, const std::string& reason) {
  State& s = *state_;
  if (!s.connection || path != s.path) return;
  ClientEffects effects;
  s.connection->on_ended(reason, s.loop.now(), effects);
  s.run(std::move(effects));
}

void HttpsClient::on_timer() {
  State& s = *state_;
  if (s.connection) {
    ClientEffects effects;
    s.connection->on_timer(s.loop.now(), effects);
    s.run(std::move(effects));
  }
  if (!s.told_later) return;
  const ports::HttpOutcome outcome = *std::exchange(s.told_later, std::nullopt);
  std::exchange(s.done, nullptr)(outcome);
}

std::optional<base::SteadyTime> HttpsClient::deadline() const {
  const State& s = *state_;
  if (s.told_later) return base::SteadyTime{};
  if (!s.connection) return std::nullopt;
  return s.connection->deadline();
}

}  // namespace dots::adapters::http
