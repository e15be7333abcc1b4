// Filters that a mitigation request switches (RFC 9133): both channels of a domain, one commit.
#include "tests/support/shard_fixture.h"

namespace dots::agent::server {
namespace {

using Acls = std::vector<model::AclActivation>;
using Type = model::ActivationType;

const std::string kClient =
    "/restconf/data/ietf-dots-data-channel:dots-data/dots-client=abcdefghijklmnopqrstuv";  // as on the signal channel

class ShardFilters : public ShardTest {
 protected:
  ShardFilters() {
    ask("POST", "/restconf/data/ietf-dots-data-channel:dots-data",
        R"({"ietf-dots-data-channel:dots-client":[{"cuid":"abcdefghijklmnopqrstuv"}]})");
    ask("PUT", kClient + "/acls/acl=x",
        R"({"ietf-dots-data-channel:acl":[{"name":"x","activation-type":"immediate","aces":{"ace":[{"name":"r",)"
        R"("matches":{"ipv4":{"destination-ipv4-network":"192.0.2.0/24"}},"actions":{"forwarding":"drop"}}]}}]})");
    settle_all();
    peer = &connect("acme.example", 1000);
  }
  void ask(const std::string& method, const std::string& target, const std::string& body = "") {
    ports::HttpRequest request{method, target, {{"Host", "h"}}, body};
    if (!body.empty()) request.headers.add("Content-Type", "application/yang-data+json");
    ShardOutput out;
    shards[0]->on_data({base::DomainId{"acme"}, base::ClientId{"acme-client"}, std::move(request), ++ticket}, now, out);
    finish(0, out);
  }
  std::string shown() {
    data_answers.clear();
    ask("GET", kClient + "/acls/acl=x/activation-type");
    settle_all();
    return data_answers.empty() ? "" : data_answers.back().second.body;
  }
  static coap::Request put_with(std::uint32_t mid, const Acls& acl_list) {
    coap::Request request = put(mid, "192.0.2.1/32");
    auto body = *wire::decode_mitigation_request(request.payload);
    body.acl_list = acl_list;
    request.payload = wire::encode(body);
    return request;
  }
  Peer* peer = nullptr;
  std::uint64_t ticket = 0;
};

// S9133-3.2.1-20, S9133-3.1-01: one batch holds both, and nothing is answered before it is durable.
TEST_F(ShardFilters, TheMitigationAndItsFiltersAreOneCommit) {
  send(*peer, put_with(1, {{"x", Type::deactivate}}));
  EXPECT_EQ(codes(*peer), "");
  ASSERT_EQ(store.size(), 1u);
  std::size_t mitigations = 0, entries = 0;
  for (const auto& change : store.front().second) {
    mitigations += std::holds_alternative<ports::PutMitigation>(change) ? 1 : 0;
    entries += std::holds_alternative<ports::PutDataEntry>(change) ? 1 : 0;
  }
  EXPECT_EQ(mitigations, 1u);
  EXPECT_EQ(entries, 1u);
  settle_all();
  EXPECT_EQ(codes(*peer), "2.01 ");
  EXPECT_EQ(shown(), R"({"ietf-dots-data-channel:activation-type":"deactivate"})");
}

// S9133-3.2.1-33: a commit that is refused undoes both.
TEST_F(ShardFilters, ARefusedCommitUndoesBoth) {
  send(*peer, put_with(1, {{"x", Type::deactivate}}));
  settle(ports::CommitOutcome::refused);
  EXPECT_EQ(codes(*peer), "5.03 ");
  read_back("acme");
  EXPECT_EQ(shown(), R"({"ietf-dots-data-channel:activation-type":"immediate"})");
  EXPECT_TRUE(shards[0]->mitigations(now).empty());
}

// S9133-3.2.1-24, S9133-3.2.1-25: what the peer reads of a failure.
TEST_F(ShardFilters, AFailureIsToldAsABody) {
  ask("PUT", kClient + "/acls/acl=open",
      R"({"ietf-dots-data-channel:acl":[{"name":"open","aces":{"ace":[{"name":"r",)"
      R"("matches":{"ipv4":{"source-ipv4-network":"203.0.113.0/24"}},"actions":{"forwarding":"drop"}}]}}]})");
  settle_all();
  send(*peer, put_with(7, {{"x", Type::deactivate}, {"open", Type::immediate}}));
  settle_all();
  ASSERT_EQ(codes(*peer), "5.03 ");
  const auto& response = peer->responses[0].response;
  EXPECT_EQ(response.content_format, wire::kContentFormatDots);
  EXPECT_EQ(response.max_age_s, 30u);
  EXPECT_EQ(base::to_hex(response.payload),
            "a101a10281a205071835"
            "81a217646f70656e183402");
  EXPECT_EQ(shown(), R"({"ietf-dots-data-channel:activation-type":"immediate"})");
}

// S9133-3.2.1-29: who observes a mitigation hears what the data channel changes.
TEST_F(ShardFilters, TheDataChannelIsHeardOnTheSignalChannel) {
  send(*peer, put(1, "192.0.2.1/32"));
  settle_all();
  ask("PUT", kClient + "/acls/acl=x/activation-type", R"({"ietf-dots-data-channel:activation-type":"deactivate"})");
  settle_all();
  send(*peer, bare(wire::Method::get, 1));
  settle_all();
  ASSERT_EQ(codes(*peer), "2.01 2.05 ");
  const auto entries = wire::decode_mitigation_answer(peer->responses[1].response.payload);
  ASSERT_TRUE(entries);
  ASSERT_EQ(entries->size(), 1u);
  EXPECT_EQ(entries->front().acl_list, (Acls{{"x", Type::deactivate}}));
}

// D8783-5.1-13: who registered a cuid has it on the signal channel as well, also after a restart, until an operator
// releases it.
TEST_F(ShardFilters, ARegisteredCuidBelongsToItsClient) {
  policies[0].clients.push_back({base::ClientId{"other"}, {"other.example"}, {}});
  auto identities = std::make_shared<policy::Identities>(*policy::Identities::build(policies));
  ShardOutput out;
  shards[0]->set_identities(identities, now, out);
  finish(0, out);
  Peer& other = connect("other.example", 1001);
  send(other, put(1, "192.0.2.9/32"));
  settle_all();
  read_back("acme");
  send(other, put(2, "192.0.2.9/32"));
  settle_all();
  EXPECT_EQ(codes(other), "4.09 4.09 ");
  ShardOutput released;
  shards[0]->on_message(
      ToDomain{base::DomainId{"acme"},
               signal::server::OperatorReleaseCuid{9, base::Cuid{"abcdefghijklmnopqrstuv"}, "root", ""}},
      now, released);
  finish(0, released);
  EXPECT_TRUE(std::any_of(store.back().second.begin(), store.back().second.end(),
                          [](const auto& change) { return std::holds_alternative<ports::EraseDataClient>(change); }));
  settle_all();
  ASSERT_EQ(operator_answers.size(), 1u);
  EXPECT_TRUE(operator_answers[0].ok) << operator_answers[0].text;
  send(other, put(3, "192.0.2.9/32"));
  settle_all();
  EXPECT_EQ(codes(other), "4.09 4.09 2.01 ");
  EXPECT_NE(shown().find("errors"), std::string::npos) << "the lists went with the registration";
}

}  // namespace
}  // namespace dots::agent::server
