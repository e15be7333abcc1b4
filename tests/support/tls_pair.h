// Two secure channels and the byte streams between them, in memory.
#pragma once

#include <algorithm>
#include <utility>

#include "tests/support/dtls_pair.h"

namespace dots::test {

// A byte stream between two channels, delivered in pieces of a chosen size.
struct TlsPair {
  ChannelEnd client, server;
  base::Bytes to_server, to_client;

  static void take(ChannelEnd& end, ports::ChannelEvents&& events, base::Bytes& wire) {
    for (const auto& bytes : events.datagrams) wire.insert(wire.end(), bytes.begin(), bytes.end());
    for (const auto& bytes : events.plaintexts) end.received.emplace_back(base::as_text(bytes));
    end.opened |= events.opened;
    end.closed |= events.closed;
    if (events.closed) end.reason = events.reason;
  }
  static void feed(ChannelEnd& end, base::Bytes& from, base::Bytes& to, std::size_t piece) {
    const base::Bytes bytes = std::exchange(from, {});
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      ports::ChannelEvents events;
      end.channel->on_datagram(base::ByteView{bytes}.subspan(at, std::min(piece, bytes.size() - at)), events);
      take(end, std::move(events), to);
    }
  }
  void settle(std::size_t piece = 1U << 20) {
    while (!to_server.empty() || !to_client.empty()) {
      feed(server, to_server, to_client, piece);
      feed(client, to_client, to_server, piece);
    }
  }
  bool send(bool from_client, base::ByteView plaintext) {
    ports::ChannelEvents events;
    auto& end = from_client ? client : server;
    const bool sent = end.channel->send(plaintext, events).ok();
    take(end, std::move(events), from_client ? to_server : to_client);
    return sent;
  }
};

}  // namespace dots::test
