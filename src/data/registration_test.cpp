#include "data/domain_fixture.h"

namespace dots::data {
namespace {

using namespace std::chrono_literals;

class Registration : public DomainTest {};

std::string client(const std::string& members) { return R"({"ietf-dots-data-channel:dots-client":[)" + members + "]}"; }

// D8783-5.1-02, D8783-5.1-18, D8783-5.1-27, D8783-5.1-21, D8783-3.1-02, R8040-4.4.1-03, R8040-5.1-03
TEST_F(Registration, APostCreatesTheClientAndSaysWhereItIs) {
  EXPECT_EQ(ask("POST", dots(), client(R"({"cuid":"a"})")).status, 201);
  EXPECT_EQ(answer.body, "");
  EXPECT_EQ(header("Location"), me());
  EXPECT_EQ(get(header("Location")).status, 200);
  EXPECT_EQ(answer.body, R"({"ietf-dots-data-channel:dots-client":[{"cuid":"a","aliases":{},"acls":{}}]})");
  EXPECT_EQ(post(aliases(alias("x"))), 201);
  EXPECT_EQ(get(me("/aliases/alias=x")).status, 200);
  EXPECT_EQ(ask("DELETE", me("/aliases/alias=x")).status, 204);
}

// D8783-5.1-19, D8783-5.1-03
TEST_F(Registration, WithoutACuidIsRefused) {
  ask("POST", dots(), client("{}"));
  EXPECT_EQ(refusal(), "400 missing-attribute");
  ask("PUT", me(), client("{}"));
  EXPECT_EQ(refusal(), "400 missing-attribute");
}

// D8783-5.1-20, D8783-6.1-18, R8040-4.4.1-04
TEST_F(Registration, TwiceByPostIsRefused) {
  EXPECT_EQ(register_me(), 201);
  EXPECT_EQ(register_me(), 409);
  EXPECT_EQ(error(), "resource-denied");
  EXPECT_TRUE(changes.empty());
}

// D8783-5.1-11, R8040-4.4.1-01
TEST_F(Registration, OfSeveralClientsIsRefusedAsAWhole) {
  ask("POST", dots(), client(R"({"cuid":"a"},{"cuid":"a2"})"));
  EXPECT_EQ(refusal(), "400 invalid-value");
  EXPECT_EQ(get(me()).status, 404);
  EXPECT_EQ(get(dots("/dots-client=a2")).status, 404);
}

// D8783-5.1-22, D8783-5.1-23, D8783-5.1-24, R8040-4.5-03
TEST_F(Registration, ByPutCreatesOrKeeps) {
  EXPECT_EQ(ask("PUT", me(), client(R"({"cuid":"a"})")).status, 201);
  EXPECT_EQ(header("Location"), me());
  EXPECT_EQ(ask("PUT", me(), client(R"({"cuid":"a"})")).status, 204);
  ask("PUT", me(), client(R"({"cuid":"other"})"));
  EXPECT_EQ(refusal(), "400 invalid-value");
  EXPECT_EQ(get(dots("/dots-client=other")).status, 404);
}

// D8783-5.1-25: what a repeated registration does not name stays (A8783-07); what it names is replaced
TEST_F(Registration, RepeatedByPutKeepsWhatItDoesNotName) {
  register_me();
  ASSERT_EQ(post(aliases(alias("x") + "," + alias("y"))), 201);
  ASSERT_EQ(post(acls(drop_list("l"))), 201);
  EXPECT_EQ(ask("PUT", me(), client(R"({"cuid":"a"})")).status, 204);
  EXPECT_EQ(get(me("/aliases/alias=x")).status, 200);
  EXPECT_EQ(ask("PUT", me(), client(R"({"cuid":"a","aliases":{"alias":[)" + alias("y") + "]}}")).status, 204);
  EXPECT_EQ(get(me("/aliases/alias=x")).status, 404);
  EXPECT_EQ(get(me("/aliases/alias=y")).status, 200);
  EXPECT_EQ(get(me("/acls/acl=l")).status, 200);
}

TEST_F(Registration, MayBringAliasesAndLists) {
  const std::string body =
      client(R"({"acls":{"acl":[)" + drop_list("l") + R"(]},"aliases":{"alias":[)" + alias("x") + R"(]},"cuid":"a"})");
  EXPECT_EQ(ask("POST", dots(), body).status, 201);
  EXPECT_EQ(get(me("/aliases/alias=x")).status, 200);
  EXPECT_EQ(get(me("/acls/acl=l")).status, 200);
  as("b");
  ask("POST", dots(), client(R"({"cuid":"b","aliases":{"alias":[)" + alias("x", {}) + "]}}"));
  EXPECT_EQ(refusal(), "400 missing-attribute");
  EXPECT_EQ(get(me()).status, 404);
}

// S8612-SEC-005-03, D8783-5.1-12, D8783-5.1-13, D8783-5.2-04, D8783-7.3-08, D8783-6.2-01, R8040-4-01, R8040-4.3-02,
// R8040-4.3-03, R8040-4.5-06, R8040-4.6-04, R8040-4.7-04, R8040-4.4.1-05, R8040-12-03: a client sees, and changes, its
// own only; another client's cuid looks like one that nobody has
TEST_F(Registration, AnotherClientsCuidLooksUnused) {
  register_me();
  ASSERT_EQ(post(aliases(alias("secret"))), 201);
  ASSERT_EQ(post(acls(drop_list("hidden"))), 201);
  as("b");
  for (const char* target : {"", "/aliases", "/aliases/alias=secret", "/acls", "/acls/acl=hidden", "/cuid"}) {
    for (const char* method : {"GET", "HEAD", "DELETE", "PUT", "PATCH", "POST"}) {
      const std::string rest = target;
      const bool edit = std::string(method) != "GET" && std::string(method) != "HEAD";
      const std::string body = edit && std::string(method) != "DELETE" ? aliases(alias("secret")) : "";
      ask(method, dots("/dots-client=a") + rest, body);
      const ports::HttpAnswer foreign = answer;
      ask(method, dots("/dots-client=nobody") + rest, body);
      EXPECT_EQ(foreign.status, answer.status) << method << rest;
      EXPECT_EQ(foreign.body, answer.body) << method << rest;
      EXPECT_EQ(foreign.headers, answer.headers) << method << rest;
      EXPECT_GE(answer.status, 400) << method << rest;
    }
  }
  EXPECT_EQ(get(dots()).status, 200);
  EXPECT_FALSE(says("secret") || says("hidden") || says("\"a\"")) << answer.body;
  EXPECT_EQ(get(dots("/dots-client")).status, 404);
  // Only the registration itself has to say that the cuid is taken.
  for (const char* method : {"POST", "PUT"}) {
    ask(method, method[1] == 'O' ? dots() : dots("/dots-client=a"), client(R"({"cuid":"a"})"));
    EXPECT_EQ(refusal(), "409 resource-denied");
  }
  as("a");
  EXPECT_EQ(get(me("/aliases/alias=secret")).status, 200);
}

// D8783-5.1-13, D8783-5.1-04: a cuid that the signal channel knows as another client's
TEST_F(Registration, ACuidOfAnotherClientOnTheSignalChannelIsTaken) {
  options.cuid_owner = [](const base::Cuid& cuid) {
    return cuid.value == "b" ? std::nullopt : std::optional(base::ClientId("b"));
  };
  restart();
  EXPECT_EQ(register_me(), 409);
  EXPECT_EQ(error(), "resource-denied");
  as("b");
  EXPECT_EQ(register_me(), 201);
}

// D8783-5.2-02, D8783-5.2-03, D8783-5.1-28
TEST_F(Registration, DeregistrationTakesEverythingWithIt) {
  register_me();
  ASSERT_EQ(post(aliases(alias("x"))), 201);
  ASSERT_EQ(post(acls(acl("l", ace("r", R"("ipv4":{"destination-ipv4-network":"198.51.100.0/24"})"),
                          R"("activation-type":"immediate")"))),
            201);
  EXPECT_EQ(domain->effective([](const auto&) { return false; }).size(), 1u);
  EXPECT_EQ(ask("DELETE", me()).status, 204);
  EXPECT_EQ(answer.body, "");
  EXPECT_TRUE(domain->effective([](const auto&) { return true; }).empty());
  EXPECT_FALSE(domain->next_deadline());
  EXPECT_EQ(get(me()).status, 404);
  EXPECT_EQ(ask("DELETE", me()).status, 404);
  EXPECT_EQ(post(aliases(alias("x"))), 404);
  EXPECT_EQ(ask("PUT", me("/acls/acl=l"), acls(drop_list("l"))).status, 404);
  restart();
  EXPECT_EQ(get(me()).status, 404);
  // Another client may have the cuid now.
  as("b");
  EXPECT_EQ(ask("POST", dots(), client(R"({"cuid":"a"})")).status, 201);
}

// D8783-3.3-03, D8783-3.3-01
TEST_F(Registration, ACdidOfAClientIsIgnored) {
  EXPECT_EQ(ask("POST", dots(), client(R"({"cuid":"a","cdid":"forged"})")).status, 201);
  get(me("?content=all"));
  EXPECT_FALSE(says("cdid")) << answer.body;
  EXPECT_FALSE(store.data_clients.front().cdid);
}

// D8783-5.1-10, D8783-3.3-08, D8783-3.3-11
TEST_F(Registration, AGatewaysCdidIsKept) {
  as("a", true);
  EXPECT_EQ(ask("PUT", me(), client(R"({"cuid":"a","cdid":"7eeaf349529eb55ed50113"})")).status, 201);
  get(me());
  EXPECT_TRUE(says(R"("cdid":"7eeaf349529eb55ed50113")")) << answer.body;
  restart();
  EXPECT_EQ(post(aliases(alias("x"))), 201);
  // the same client over another gateway of the domain: the newest value counts, what it has stays
  EXPECT_EQ(ask("PUT", me(), client(R"({"cuid":"a","cdid":"another"})")).status, 204);
  EXPECT_EQ(get(me("/aliases/alias=x")).status, 200);
}

// D8783-6.1-20, D8783-7.2-19
TEST_F(Registration, AGatewayHasToRegisterItsClientFirst) {
  as("a", true);
  for (const std::string& body : {aliases(alias("x")), acls(drop_list("l"))}) {
    post(body);
    EXPECT_EQ(refusal(), "403 access-denied");
  }
  ask("PUT", me("/acls/acl=l"), acls(drop_list("l")));
  EXPECT_EQ(refusal(), "403 access-denied");
  as("a");
  register_me();  // without a cdid
  as("a", true);
  ask("PUT", me("/aliases/alias=x"), aliases(alias("x")));
  EXPECT_EQ(refusal(), "403 access-denied");
}

// D8783-10-11, D8783-10-09
TEST_F(Registration, IsBoundedForEachClientAndForTheDomain) {
  options.limits.clients = 6;
  restart();
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(ask("POST", dots(), client(R"({"cuid":"a)" + std::to_string(i) + "\"}")).status, 201);
  }
  ask("POST", dots(), client(R"({"cuid":"a4"})"));
  EXPECT_EQ(refusal(), "409 resource-denied");
  as("b");
  EXPECT_EQ(ask("PUT", dots("/dots-client=b0"), client(R"({"cuid":"b0"})")).status, 201);
  EXPECT_EQ(ask("PUT", dots("/dots-client=b1"), client(R"({"cuid":"b1"})")).status, 201);
  ask("PUT", dots("/dots-client=b2"), client(R"({"cuid":"b2"})"));
  EXPECT_EQ(refusal(), "409 resource-denied");
  EXPECT_EQ(ask("PUT", dots("/dots-client=b1"), client(R"({"cuid":"b1"})")).status, 204);
}

// R8040-4.6-01: a patch of the whole tree
TEST_F(Registration, APatchOfTheTreeCreatesAndMerges) {
  const auto patch = [&](const std::string& members) {
    return ask("PATCH", dots(), R"({"ietf-dots-data-channel:dots-data":{"dots-client":[)" + members + "]}}").status;
  };
  EXPECT_EQ(patch(R"({"cuid":"a","aliases":{"alias":[)" + alias("x") + "]}}"), 204);
  EXPECT_EQ(patch(R"({"cuid":"a","aliases":{"alias":[)" + alias("y") + "]}}"), 204);
  EXPECT_EQ(get(me("/aliases/alias=x")).status, 200);
  EXPECT_EQ(get(me("/aliases/alias=y")).status, 200);
  EXPECT_EQ(patch(""), 400);
  ask("PATCH", dots("/dots-client=b"), client(R"({"cuid":"b"})"));
  EXPECT_EQ(refusal(), "404 invalid-value");
}

}  // namespace
}  // namespace dots::data
