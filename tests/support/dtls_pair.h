// Two secure channels and the datagrams between them, in memory: loss, reordering and repetition by the test's hand.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "ports/secure_channel.h"

namespace dots::test {

struct ChannelEnd {
  std::unique_ptr<ports::SecureChannel> channel;
  std::deque<base::Bytes> inbox;  // datagrams on their way to this end
  std::vector<std::string> received;
  bool opened = false, closed = false;
  std::string reason;

  void take(ports::ChannelEvents&& events, ChannelEnd& other) {
    for (auto& bytes : events.datagrams) other.inbox.push_back(std::move(bytes));
    for (const auto& bytes : events.plaintexts) received.emplace_back(base::as_text(bytes));
    opened |= events.opened;
    closed |= events.closed;
    if (events.closed) reason = events.reason;
  }
};

// A client and the server that `admission` makes for it.
class DtlsPair {
 public:
  explicit DtlsPair(ports::Admission& admission, base::WallTime now = {}) : admission_(admission), now_(now) {}

  void connect(ports::ChannelConnector& connector, const std::string& server_name) {
    ports::ChannelEvents events;
    auto channel = connector.connect(server_name, events);
    if (!channel) throw std::runtime_error{channel.error().message};
    client.channel = std::move(*channel);
    client.take(std::move(events), server);
  }

  // `pass` may drop (false) or change a datagram; `to_server` says its direction.
  using Filter = std::function<bool(bool to_server, base::Bytes& datagram)>;

  // Until nothing is on its way.
  void settle(const Filter& pass = {}) {
    while (!server.inbox.empty() || !client.inbox.empty()) {
      step(server, client, true, pass);
      step(client, server, false, pass);
    }
  }
  // Until both ends are open or one is closed, with repeats when GnuTLS's own clock says so.
  void run(const Filter& pass = {}, std::chrono::milliseconds limit = std::chrono::seconds{20}) {
    const auto end = std::chrono::steady_clock::now() + limit;
    settle(pass);
    while (std::chrono::steady_clock::now() < end && !(client.opened && server.opened) && !client.closed &&
           !server.closed) {
      base::Duration wait = std::chrono::milliseconds{1};
      if (const auto t = client.channel->timeout()) wait = *t;
      if (server.channel) {
        if (const auto t = server.channel->timeout()) wait = std::min(wait, *t);
      }
      std::this_thread::sleep_for(wait);
      time_out(client, server);
      time_out(server, client);
      settle(pass);
    }
  }
  bool send(ChannelEnd& from, ChannelEnd& to, const std::string& text) {
    ports::ChannelEvents events;
    const bool sent = from.channel->send(base::as_bytes(text), events).ok();
    from.take(std::move(events), to);
    return sent;
  }
  void deliver_to_server(const base::Bytes& datagram) {
    ports::ChannelEvents events;
    if (!server.channel) {
      auto verdict = admission_.consider(datagram, base::as_bytes(address), now_);
      last_reason = verdict.reason;
      if (verdict.kind == ports::Admission::Verdict::Kind::answer) client.inbox.push_back(verdict.answer);
      if (verdict.kind != ports::Admission::Verdict::Kind::admit) return;
      server.channel = std::move(verdict.channel);
    }
    server.channel->on_datagram(datagram, events);
    server.take(std::move(events), client);
  }

  ChannelEnd client, server;
  std::string address = "192.0.2.7:1";
  std::string last_reason;

 private:
  void step(ChannelEnd& end, ChannelEnd& other, bool to_server, const Filter& pass) {
    if (end.inbox.empty()) return;
    base::Bytes datagram = std::move(end.inbox.front());
    end.inbox.pop_front();
    if (pass && !pass(to_server, datagram)) return;
    if (to_server) return deliver_to_server(datagram);
    ports::ChannelEvents events;
    end.channel->on_datagram(datagram, events);
    end.take(std::move(events), other);
  }
  void time_out(ChannelEnd& end, ChannelEnd& other) {
    if (!end.channel || !end.channel->timeout()) return;
    ports::ChannelEvents events;
    end.channel->on_timeout(events);
    end.take(std::move(events), other);
  }

  ports::Admission& admission_;
  base::WallTime now_;
};

}  // namespace dots::test
