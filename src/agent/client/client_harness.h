// For the tests of this folder: a ClientAgent in virtual time with a scripted channel, a network that delays and loses,
// a store, and servers made of our CoAP endpoint that answer as the test tells them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/client/client_agent.h"
#include "coap/endpoint.h"
#include "signal/client/scope_check.h"
#include "wire/messages.h"
#include "wire/uri_path.h"

namespace dots::agent::client {

using namespace std::chrono_literals;

inline base::Bytes bytes_of(std::string_view text) {
  const auto view = base::as_bytes(text);
  return {view.begin(), view.end()};
}

// Handshake: "hello" - "welcome"; then one byte 'D' and the plaintext; "bye" closes.
class ScriptedChannel final : public ports::SecureChannel {
 public:
  void on_datagram(base::ByteView datagram, ports::ChannelEvents& events) override {
    const std::string_view text = base::as_text(datagram);
    if (text == "welcome" && !open_) {
      open_ = events.opened = true;
    } else if (text == "bye") {
      open_ = false;
      events.closed = true;
      events.reason = "closed by the server";
    } else if (open_ && text.starts_with('D')) {
      events.plaintexts.emplace_back(datagram.begin() + 1, datagram.end());
    }
  }
  void on_timeout(ports::ChannelEvents& events) override { events.datagrams.push_back(bytes_of("hello")); }
  std::optional<base::Duration> timeout() const override {
    return open_ ? std::nullopt : std::optional<base::Duration>(1s);
  }
  base::Result<void> send(base::ByteView plaintext, ports::ChannelEvents& events) override {
    if (plaintext.size() > max_plaintext()) return base::Error{"too large"};
    base::Bytes datagram = bytes_of("D");
    datagram.insert(datagram.end(), plaintext.begin(), plaintext.end());
    events.datagrams.push_back(std::move(datagram));
    return {};
  }
  void close(ports::ChannelEvents& events) override { events.datagrams.push_back(bytes_of("bye")); }
  bool is_open() const override { return open_; }
  const model::PeerIdentity& identity() const override { return identity_; }
  std::size_t max_plaintext() const override { return 1200; }
  bool resumed() const override { return false; }

 private:
  bool open_ = false;
  model::PeerIdentity identity_;
};

class ScriptedConnector final : public ports::ChannelConnector {
 public:
  base::Result<std::unique_ptr<ports::SecureChannel>> connect(const std::string& name,
                                                              ports::ChannelEvents& events) override {
    names.push_back(name);
    events.datagrams.push_back(bytes_of("hello"));
    return std::unique_ptr<ports::SecureChannel>(std::make_unique<ScriptedChannel>());
  }
  std::vector<std::string> names;
};

struct ClientHarness {
  struct Seen {
    base::SteadyTime at;
    base::SessionId session;
    coap::Request request;
    std::string path() const {  // "PUT mitigate/cuid=.../mid=1"
      std::string text = request.method == wire::Method::put   ? "PUT"
                         : request.method == wire::Method::del ? "DELETE"
                                                               : "GET";
      for (std::size_t i = 2; i < request.uri_path.size(); ++i) text += (i == 2 ? " " : "/") + request.uri_path[i];
      return text;
    }
  };
  struct Peer {
    Way way;
    std::optional<coap::Endpoint> endpoint;
    base::Bytes observer;
    std::vector<coap::IncomingResponse> responses;
  };

  explicit ClientHarness(std::vector<std::string> addresses = {"192.0.2.53"}) {
    ServerSettings server;
    server.upstream.name = server.requests.server = "upstream";
    server.upstream.host = "dots.example.net";
    for (const auto& text : addresses) {
      server.upstream.addresses.push_back({model::parse_ip_address(text).value(), 4646});
    }
    server.requests.cuid = base::Cuid{"z85PF07F0YiHmas-fJkqRg"};
    settings.version = "test";
    settings.servers.push_back(server);
  }

  void start() {
    agent = std::make_unique<ClientAgent>(settings, Connectors{connector, with_tcp ? &stream_connector : nullptr}, 7);
    ClientEffects out;
    agent->start(store, now, out);
    take(out);
  }
  // The process dies; what was committed stays.
  void restart() {
    agent.reset();
    peers.clear();
    events.clear();
    start();
  }

  void take(ClientEffects& out) {
    for (const auto& open : out.open) {
      peers[open.session].way = open.way;
      opened.emplace_back(now.steady, open.session);
    }
    for (const auto& send : out.send) to_server(send.session, send.datagram);
    for (const auto& id : out.close) closed.push_back(id);
    for (const auto& name : out.resolve) resolves.push_back(name);
    for (auto& message : out.messages) messages.push_back(std::move(message));
    for (auto& one : out.health) health[one.condition + " " + one.subject] = one.unwell;
    for (auto& done : out.done) {
      EXPECT_FALSE(answers.contains(done.ticket.value)) << "answered twice";
      answers[done.ticket.value] = std::move(done.answer);
    }
    for (const auto& query : out.audit) {
      ClientEffects more;
      agent->on_audit(query.ticket, audit, more);
      take(more);
    }
    if (out.commit) {
      EXPECT_FALSE(committing);
      committing = true;
      after(commit_time, [this, changes = std::move(*out.commit)] {
        committing = false;
        ports::CommitResult result;
        result.outcome = refuse_commits ? ports::CommitOutcome::refused : ports::CommitOutcome::committed;
        if (refuse_commits) result.reason = "disk full";
        if (!refuse_commits) {
          for (const auto& change : changes) apply(change);
        }
        with([&](ClientEffects& more) { agent->on_committed(result, now, more); });
      });
    }
    if (out.reload) {
      after(commit_time, [this] { with([&](ClientEffects& more) { agent->on_reloaded(store, now, more); }); });
    }
  }
  void with(const std::function<void(ClientEffects&)>& event) {
    ClientEffects out;
    event(out);
    take(out);
  }
  void apply(const ports::Change& change) {
    const auto erase = [&](base::Mid mid) {
      std::erase_if(store.client_requests, [&](const auto& record) { return record.mid == mid; });
    };
    if (const auto* put = std::get_if<ports::PutClientRequest>(&change)) {
      erase(put->record.mid);
      store.client_requests.push_back(put->record);
    } else if (const auto* gone = std::get_if<ports::EraseClientRequest>(&change)) {
      erase(gone->mid);
    } else if (const auto* counter = std::get_if<ports::PutCounter>(&change)) {
      store.counters[counter->name] = counter->value;
    } else if (const auto* line = std::get_if<ports::AppendAudit>(&change)) {
      audit.push_back(line->record);
    }
  }

  void after(base::Duration time, std::function<void()> what) { events.emplace(now.steady + time, std::move(what)); }

  void advance(base::Duration time) {
    const base::SteadyTime until = now.steady + time;
    for (int steps = 0;; ++steps) {
      ASSERT_LT(steps, 1000000) << "time stands still";
      std::optional<base::SteadyTime> next = agent ? agent->next_deadline(now) : std::nullopt;
      const bool event_first = !events.empty() && (!next || events.begin()->first <= *next);
      if (event_first) next = events.begin()->first;
      if (!next || *next > until) break;
      now = now + std::max(base::Duration::zero(), *next - now.steady);
      if (event_first) {
        const auto what = std::move(events.begin()->second);
        events.erase(events.begin());
        what();
      } else {
        with([&](ClientEffects& out) { agent->on_timer(now, out); });
      }
    }
    now = now + (until - now.steady);
  }

  // ---- the network and the server ----

  bool is_dead(const Peer& peer) const {
    return unreachable.contains(peer.way.server) || (blocked && blocked(peer.way));
  }

  void to_server(base::SessionId session, const base::Bytes& datagram) {
    Peer& peer = peers[session];
    if (base::as_text(datagram).starts_with('D')) {
      const Seen one{now.steady, session, request_in(base::ByteView(datagram).subspan(1))};
      if (!one.request.uri_path.empty()) {
        sent.push_back(one);
        if (lost_request && lost_request(one.request)) return;
      }
    }
    if (is_dead(peer) || (lose_up && lose_up(session))) return;
    after(latency, [this, session, datagram] { server_receives(session, datagram); });
  }
  // What a datagram asks for; without a path when it is no request.
  static coap::Request request_in(base::ByteView plaintext) {
    coap::Request request;
    const auto message = wire::parse(plaintext);
    if (!message || !message->is_request()) return request;
    request.confirmable = message->type == wire::MessageType::confirmable;
    request.method = static_cast<wire::Method>(message->code);
    for (const auto& option : message->options) {
      const auto text = std::string(base::as_text(option.value));
      if (option.number == static_cast<std::uint16_t>(wire::OptionNumber::q_block1)) request.q_block1 = 0;
      if (option.number == static_cast<std::uint16_t>(wire::OptionNumber::q_block2)) request.q_block2.push_back(0);
      if (option.number == static_cast<std::uint16_t>(wire::OptionNumber::block1)) request.block1 = 0;
      if (option.number == static_cast<std::uint16_t>(wire::OptionNumber::block2)) request.block2 = 0;
      if (option.number == static_cast<std::uint16_t>(wire::OptionNumber::uri_path)) request.uri_path.push_back(text);
    }
    request.payload = message->payload;
    return request;
  }
  void to_client(base::SessionId session, const base::Bytes& datagram) {
    if (is_dead(peers[session]) || (lose_down && lose_down(session))) return;
    after(latency, [this, session, datagram] {
      if (!agent) return;
      with([&](ClientEffects& out) { agent->on_datagram(session, datagram, now, out); });
    });
  }
  void server_receives(base::SessionId session, const base::Bytes& datagram) {
    Peer& peer = peers[session];
    const std::string_view text = base::as_text(datagram);
    if (text == "hello") {
      const bool is_new = !peer.endpoint;
      if (is_new) {
        peer.endpoint.emplace(coap::EndpointLimits{}, session.value, peer.way.transport);
        if (q_blocks) {
          peer.endpoint->allow_q_blocks(std::make_shared<const model::ParameterSet>(model::in_force({}, {})), 1200);
        }
      }
      to_client(session, bytes_of("welcome"));
      coap::Effects started;
      if (is_new) peer.endpoint->start(now.steady, started);
      absorb(session, started);
      return;
    }
    if (!peer.endpoint || !text.starts_with('D')) return;
    coap::Effects effects;
    peer.endpoint->on_datagram(base::ByteView(datagram).subspan(1), now.steady, effects);
    absorb(session, effects);
  }
  void absorb(base::SessionId session, coap::Effects& effects) {
    Peer& peer = peers[session];
    for (const auto& response : effects.responses) peer.responses.push_back(response);
    for (const auto& incoming : effects.requests) {
      seen.push_back({now.steady, session, incoming.request});
      auto response = custom_at ? custom_at(peer.way.server, incoming.request) : std::nullopt;
      if (!response) response = serve(incoming.request);
      if (!response) continue;
      EXPECT_TRUE(response->payload.size() < 1200 || peer.endpoint->takes_q_blocks(incoming.request));
      const bool observe = incoming.request.observe == 0u && model::is_success(response->code);
      if (observe) peer.observer = incoming.token;
      peer.endpoint->respond(incoming.exchange, *response, observe, now.steady, effects);
    }
    for (const auto& plaintext : effects.send) {
      base::Bytes datagram = bytes_of("D");
      datagram.insert(datagram.end(), plaintext.begin(), plaintext.end());
      to_client(session, datagram);
    }
  }
  // What the server does with a request; no response: it stays silent.
  std::optional<coap::Response> serve(const coap::Request& request) {
    if (custom) {
      if (auto response = custom(request)) return response;
    }
    const auto path = wire::parse_path(request.uri_path);
    coap::Response response;
    if (std::holds_alternative<wire::HeartbeatPath>(*path)) {
      response.code = model::ResponseCode::changed;
      return response;
    }
    if (std::holds_alternative<wire::ConfigPath>(*path)) {
      response.code = model::ResponseCode::not_implemented;
      return response;
    }
    const auto& mitigate = std::get<wire::MitigatePath>(*path);
    if (request.method == wire::Method::del) {
      response.code = model::ResponseCode::deleted;
      return response;
    }
    model::MitigationEntry entry;
    entry.mid = mitigate.mid;
    entry.lifetime = model::Lifetime{3600};
    if (request.method == wire::Method::get) {
      entry.status = status;
      response.code = model::ResponseCode::content;
    } else {
      response.code = model::ResponseCode::created;
    }
    response.content_format = wire::kContentFormatDots;
    response.payload = wire::encode(std::vector<model::MitigationEntry>{entry});
    return response;
  }
  void notify(base::SessionId session, base::Mid mid, model::MitigationStatus what) {
    model::MitigationEntry entry;
    entry.mid = mid;
    entry.lifetime = model::Lifetime{3000};
    entry.status = what;
    coap::Response response;
    response.content_format = wire::kContentFormatDots;
    response.payload = wire::encode(std::vector<model::MitigationEntry>{entry});
    coap::Effects effects;
    ASSERT_TRUE(peers[session].endpoint->notify(peers[session].observer, response, now.steady, effects));
    absorb(session, effects);
  }
  // A request of the server to the client; its response lands in peers[session].responses.
  void server_sends(base::SessionId session, const coap::Request& request) {
    coap::Effects effects;
    peers[session].endpoint->send(request, {}, now.steady, effects);
    absorb(session, effects);
  }
  static coap::Request heartbeat(bool peer_hb_status = true) {
    coap::Request request;
    request.method = wire::Method::put;
    request.uri_path = {".well-known", "dots", "hb"};
    request.content_format = wire::kContentFormatDots;
    request.payload = wire::encode(wire::Heartbeat{peer_hb_status});
    return request;
  }

  // ---- operators ----

  std::uint64_t call(const std::string& operation, boost::json::object arguments = {}, bool may_write = true) {
    Call wish;
    wish.operation = operation;
    wish.arguments = std::move(arguments);
    wish.caller = {"alice", 1000, may_write};
    const CallTicket ticket{++last_ticket};
    with([&](ClientEffects& out) { agent->handle(ticket, wish, now, out); });
    return ticket.value;
  }
  const CallAnswer& answered(std::uint64_t ticket) {
    const auto it = answers.find(ticket);
    EXPECT_NE(it, answers.end()) << "no answer yet";
    static const CallAnswer none;
    return it == answers.end() ? none : it->second;
  }
  // Asks for a mitigation and lets it be stored; returns its mid.
  base::Mid mitigate(const std::string& prefix) {
    const auto ticket = call("mitigate", {{"target-prefix", {prefix}}});
    advance(2 * commit_time);
    const CallAnswer& answer = answered(ticket);
    EXPECT_EQ(answer.outcome, CallAnswer::Outcome::ok) << answer.message;
    return base::Mid{answer.body.at("mitigation").at("mid").to_number<std::uint32_t>()};
  }
  boost::json::value show(base::Mid mid) { return answered(call("show", {{"mid", mid.value}})).body.at("mitigation"); }

  std::vector<Seen> requests(const std::string& start) const { return of(seen, start); }
  std::vector<Seen> sends(const std::string& start) const { return of(sent, start); }
  // Each session keeps to its pace.
  std::vector<Seen> sends(const std::string& start, base::SessionId session) const {
    auto out = of(sent, start);
    std::erase_if(out, [&](const Seen& one) { return one.session != session; });
    return out;
  }
  static std::vector<Seen> of(const std::vector<Seen>& all, const std::string& start) {
    std::vector<Seen> out;
    for (const Seen& one : all) {
      if (one.path().starts_with(start)) out.push_back(one);
    }
    return out;
  }
  bool told(const std::string& id) const { return count_told(id) > 0; }
  std::ptrdiff_t count_told(const std::string& id) const {
    return std::count_if(messages.begin(), messages.end(), [&](const auto& message) { return message.id == id; });
  }
  base::SessionId last_session() const { return opened.back().second; }

  ClientSettings settings;
  ScriptedConnector connector;
  base::Now now{base::SteadyTime{5000s}, base::WallTime{1700000000s}};
  std::unique_ptr<ClientAgent> agent;
  ports::Snapshot store;
  std::vector<ports::AuditRecord> audit;
  base::Duration commit_time = 1ms;
  base::Duration latency = 10ms;
  bool committing = false;
  bool refuse_commits = false;
  bool q_blocks = false;  // what the servers take
  model::MitigationStatus status = model::MitigationStatus::successfully_mitigated;
  std::function<bool(base::SessionId)> lose_up, lose_down;
  std::function<bool(const coap::Request&)> lost_request;  // lost on the way to the server
  std::function<std::optional<coap::Response>(const coap::Request&)> custom;
  // The same for one of several servers, asked first.
  std::function<std::optional<coap::Response>(const model::SocketAddress&, const coap::Request&)> custom_at;
  std::set<model::SocketAddress> unreachable;
  std::function<bool(const Way&)> blocked;
  bool with_tcp = false;
  ScriptedConnector stream_connector;

  std::multimap<base::SteadyTime, std::function<void()>> events;
  std::map<base::SessionId, Peer> peers;
  std::vector<std::pair<base::SteadyTime, base::SessionId>> opened;
  std::vector<base::SessionId> closed;
  std::vector<std::string> resolves;
  std::vector<Seen> sent;  // by the client
  std::vector<Seen> seen;  // by the server, once each
  std::vector<signal::client::OperatorMessage> messages;
  std::map<std::string, bool> health;
  std::map<std::uint64_t, CallAnswer> answers;
  std::uint64_t last_ticket = 0;
};

}  // namespace dots::agent::client
