// For the tests of the server's agent: one or two shards with scripted channels, real CoAP clients and a store that
// answers when the test says so.
#pragma once

#include "agent/server/shard.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <set>

#include "agent/server/mitigation_planner.h"
#include "tests/support/scripted_channel.h"
#include "wire/messages.h"
#include "wire/uri_path.h"

namespace dots::agent::server {

using namespace std::chrono_literals;
using model::ResponseCode;

inline policy::DomainPolicy domain(const std::string& name, const std::string& prefix) {
  policy::DomainPolicy out;
  out.id = base::DomainId{name};
  out.prefixes = {*model::parse_prefix(prefix)};
  out.clients = {{base::ClientId{name + "-client"}, {name + ".example"}, {}}};
  return out;
}

class ShardTest : public ::testing::Test {
 protected:
  struct Peer {
    model::Path path;
    std::unique_ptr<ports::SecureChannel> channel;
    std::unique_ptr<coap::Endpoint> endpoint;
    std::vector<coap::IncomingResponse> responses;
    std::size_t heard = 0;  // messages of the server
    std::string close_reason;
  };

  static ShardSettings limited(std::size_t sessions, std::size_t sessions_per_domain = 1000) {
    ShardSettings settings;
    settings.sessions.sessions = sessions;
    settings.sessions_per_domain = sessions_per_domain;
    return settings;
  }
  explicit ShardTest(std::uint32_t shard_count = 1, const ShardSettings& common = {}) {
    for (const auto& [name, prefix] : {std::pair{"acme", "192.0.2.0/24"}, std::pair{"zeta", "198.51.100.0/24"}}) {
      policies.push_back(domain(name, prefix));
    }
    auto identities = std::make_shared<policy::Identities>(*policy::Identities::build(policies));
    auto settings = std::make_shared<SessionSettings>();
    for (std::uint32_t index = 0; index < shard_count; ++index) {
      std::vector<std::shared_ptr<const policy::DomainRules>> rules;
      for (const auto& policy : policies) rules.push_back(std::make_shared<policy::DomainRules>(policy));
      ShardSettings shard = common;
      shard.index = index;
      shard.shards = shard_count;
      shard.session = settings;
      shards.push_back(std::make_unique<Shard>(
          shard, identities, rules, std::make_shared<MitigationPlanner>(std::vector<PlannedBackEnd>{{"back end"}}),
          index + 1));
      ShardOutput out;
      shards.back()->load({}, now, out);
      finish(index, out);
    }
  }

  // Ends the round of one shard and performs its outputs; commits wait in `store`.
  void finish(std::uint32_t index, ShardOutput& out) {
    shards[index]->end_of_round(now, out);
    perform(index, std::move(out));
  }
  void perform(std::uint32_t index, ShardOutput out) {
    if (out.commit) store.push_back({index, std::move(*out.commit)});
    for (auto& want : out.wants) wants.push_back(std::move(want));
    for (const auto& of_domain : out.filters) {
      if (of_domain.whole) {
        std::erase_if(in_force, [&](const auto& one) { return one.first.domain == of_domain.domain; });
      }
      for (const auto& want : of_domain.lists) {
        in_force.erase(want.key);
        if (want.list) in_force.emplace(want.key, *want.list);
      }
    }
    for (const auto& id : out.reload) reloads.push_back(id);
    for (auto& [ticket, answer] : out.data_answers) data_answers.emplace_back(ticket, std::move(answer));
    for (auto& answer : out.operator_answers) operator_answers.push_back(std::move(answer));
    if (out.clients) clients = out.clients;
    for (auto& line : out.lines) lines.push_back(std::string{line.id});
    damped += out.counts.damped;
    for (const auto& datagram : out.send) to_peer(datagram);
    for (const auto& path : out.close) closed.push_back(path);
    for (auto& [to, messages] : out.to_domain) {
      ShardOutput next;
      for (auto& message : messages) shards[to]->on_message(std::move(message), now, next);
      finish(to, next);
    }
    for (auto& [to, messages] : out.to_session) {
      ShardOutput next;
      for (auto& message : messages) shards[to]->on_message(message, now, next);
      finish(to, next);
    }
  }
  void to_peer(const model::Datagram& datagram) {
    const auto it = peers.find(datagram.path);
    if (it == peers.end()) return;
    ports::ChannelEvents events;
    it->second.channel->on_datagram(datagram.bytes, events);
    for (const auto& plaintext : events.plaintexts) {
      ++it->second.heard;
      coap::Effects effects;
      it->second.endpoint->on_datagram(plaintext, now.steady, effects);
      for (auto& response : effects.responses) it->second.responses.push_back(std::move(response));
      if (!effects.close_reason.empty()) it->second.close_reason = effects.close_reason;
      for (const auto& bytes : effects.send) from_peer(it->second, bytes);
    }
  }
  void from_peer(Peer& peer, base::ByteView plaintext) {
    ports::ChannelEvents events;
    ASSERT_TRUE(peer.channel->send(plaintext, events));
    for (auto& bytes : events.datagrams) {
      const std::uint32_t index = model::shard_of(peer.path.peer, static_cast<std::uint32_t>(shards.size()));
      ShardOutput out;
      shards[index]->on_datagram({peer.path, std::move(bytes)}, now, out);
      finish(index, out);
    }
  }
  // The store's word on its oldest batch.
  void settle(ports::CommitOutcome outcome = ports::CommitOutcome::committed, bool applied = false) {
    ASSERT_FALSE(store.empty());
    auto [index, changes] = std::move(store.front());
    store.pop_front();
    if (applied || outcome == ports::CommitOutcome::committed) {
      for (auto& change : changes) {
        if (auto* put = std::get_if<ports::PutMitigation>(&change)) {
          std::erase_if(stored.mitigations, [&](const auto& r) {
            return r.domain == put->record.domain && r.cuid == put->record.cuid && r.mid == put->record.mid;
          });
          stored.mitigations.push_back(put->record);
        } else if (auto* erase = std::get_if<ports::EraseMitigation>(&change)) {
          std::erase_if(stored.mitigations, [&](const auto& r) {
            return r.domain == erase->key.domain && r.cuid == erase->key.cuid && r.mid == erase->key.mid;
          });
        } else if (auto* cuid = std::get_if<ports::PutCuid>(&change)) {
          stored.cuids.push_back(cuid->record);
        } else if (auto* registered = std::get_if<ports::PutDataClient>(&change)) {
          stored.data_clients.push_back(registered->record);
        } else if (auto* entry = std::get_if<ports::PutDataEntry>(&change)) {
          std::erase_if(stored.data_entries, [&](const auto& r) { return r.key == entry->record.key; });
          stored.data_entries.push_back(entry->record);
        } else if (auto* gone = std::get_if<ports::EraseDataEntry>(&change)) {
          std::erase_if(stored.data_entries, [&](const auto& r) { return r.key == gone->key; });
        }
      }
    }
    ShardOutput out;
    shards[index]->committed({outcome, "the test says so"}, now, out);
    finish(index, out);
  }
  void settle_all() {
    while (!store.empty()) settle();
  }
  // The store tells what it knows of a domain, as it was asked to.
  void read_back(const std::string& id) {
    ShardOutput out;
    shards[0]->reloaded(base::DomainId{id}, stored, now, out);
    finish(0, out);
  }

  Peer& connect(const std::string& name, std::uint16_t port, model::Transport transport = model::Transport::udp) {
    const model::Path path{
        {*model::parse_ip_address("203.0.113.5"), port}, {*model::parse_ip_address("192.0.2.99"), 4646}, transport};
    Peer& peer = peers[path];
    peer.path = path;
    auto client = std::make_unique<test::ScriptedChannel>(port, name);
    auto server = std::make_unique<test::ScriptedChannel>(port, "server.example", test::scripted_identity(name));
    ports::ChannelEvents from_client, from_server;
    client->start(from_client);
    server->on_datagram(from_client.datagrams.at(0), from_server);
    ports::ChannelEvents finished, last;
    client->on_datagram(from_server.datagrams.at(0), finished);
    server->on_datagram(finished.datagrams.at(0), last);
    EXPECT_TRUE(last.opened);
    peer.channel = std::move(client);
    peer.endpoint = std::make_unique<coap::Endpoint>(coap::EndpointLimits{}, port, transport);
    const std::uint32_t index = model::shard_of(path.peer, static_cast<std::uint32_t>(shards.size()));
    ShardOutput out;
    shards[index]->on_admitted({path, std::move(server), last.datagrams, {}}, now, out);
    finish(index, out);
    EXPECT_EQ(peer.channel->is_open(), room);
    coap::Effects started;
    peer.endpoint->start(now.steady, started);
    for (const auto& bytes : started.send) from_peer(peer, bytes);
    return peer;
  }
  void send_in_one_round(Peer& peer, const std::vector<coap::Request>& requests) {
    ShardOutput out;
    for (const auto& request : requests) {
      coap::Effects effects;
      peer.endpoint->send(request, {}, now.steady, effects);
      for (const auto& bytes : effects.send) {
        ports::ChannelEvents events;
        ASSERT_TRUE(peer.channel->send(bytes, events));
        for (const auto& datagram : events.datagrams) shards[0]->on_datagram({peer.path, datagram}, now, out);
      }
    }
    finish(0, out);
  }
  void send(Peer& peer, const coap::Request& request) {
    coap::Effects effects;
    peer.endpoint->send(request, {}, now.steady, effects);
    for (const auto& bytes : effects.send) from_peer(peer, bytes);
  }
  static coap::Request put(std::uint32_t mid, const std::string& prefix, bool armed = false) {
    coap::Request out;
    out.method = wire::Method::put;
    out.uri_path =
        wire::to_segments(wire::MitigatePath{std::nullopt, base::Cuid{"abcdefghijklmnopqrstuv"}, base::Mid{mid}});
    model::MitigationRequest body;
    body.scope.target_prefix = {*model::parse_prefix(prefix)};
    body.scope.target_protocol = {17};
    body.lifetime = model::Lifetime{armed ? 5000 : 600};
    body.trigger_mitigation = !armed;
    out.content_format = 271;
    out.payload = wire::encode(body);
    return out;
  }
  static coap::Request bare(wire::Method method, std::uint32_t mid) {
    coap::Request out;
    out.method = method;
    out.uri_path =
        wire::to_segments(wire::MitigatePath{std::nullopt, base::Cuid{"abcdefghijklmnopqrstuv"}, base::Mid{mid}});
    return out;
  }
  static std::string codes(const Peer& peer) {
    std::string out;
    for (const auto& response : peer.responses) out += model::to_string(response.response.code) + " ";
    return out;
  }

  base::Now now{base::SteadyTime{1h}, base::from_unix_seconds(1'800'000'000)};
  std::vector<policy::DomainPolicy> policies;
  std::vector<std::unique_ptr<Shard>> shards;
  std::map<model::Path, Peer> peers;
  bool room = true;  // for who connects
  std::deque<std::pair<std::uint32_t, std::vector<ports::Change>>> store;
  ports::Snapshot stored;
  std::vector<signal::server::DesiredRules> wants;
  std::map<model::FilterListKey, model::FilterList> in_force;  // as the back ends were told
  std::vector<base::DomainId> reloads;
  std::vector<signal::server::OperatorAnswer> operator_answers;
  std::vector<std::pair<std::uint64_t, ports::HttpAnswer>> data_answers;
  std::vector<std::string> lines;
  std::uint64_t damped = 0;
  std::vector<model::Path> closed;  // TCP
  std::optional<signal::server::ClientCounts> clients;
};

class TwoShards : public ShardTest {
 protected:
  TwoShards() : ShardTest(2) {}
};

}  // namespace dots::agent::server
