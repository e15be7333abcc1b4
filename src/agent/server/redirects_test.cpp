#include "agent/server/redirects.h"

#include <gtest/gtest.h>

#include <boost/json/array.hpp>

namespace dots::agent::server {
namespace {

RedirectOrder order(std::uint64_t id, const std::string& domain = {}, const std::string& client = {}) {
  RedirectOrder out;
  out.id = id;
  if (!domain.empty()) out.domain = base::DomainId{domain};
  if (!client.empty()) out.client = base::ClientId{client};
  out.to = {"alt.example.net", {*model::parse_ip_address("192.0.2.2"), *model::parse_ip_address("2001:db8::2")}};
  out.ttl_s = 600;
  out.author = "alice";
  out.note = "new \"disks\"";
  out.at = base::from_unix_seconds(1'800'000'000);
  return out;
}

policy::KnownClient known(const std::string& domain, const std::string& client) {
  return {base::DomainId{domain}, base::ClientId{client}};
}

// S9132-4.6-06: nobody gets a short time to live who did not ask for one.
TEST(RedirectOrders, TheDefaultTimeIsLong) { EXPECT_GE(RedirectOrder{}.ttl_s, 3600u); }

TEST(RedirectOrders, AreKeptAsText) {
  std::vector<RedirectOrder> orders = {order(0), order(0, "acme"), order(0, "acme", "edge")};
  orders[1].force = true;
  orders[2].ttl_s = model::kRedirectForever;
  const auto back = orders_from_text(to_text(orders));
  ASSERT_TRUE(back);
  EXPECT_EQ(*back, orders);
  EXPECT_TRUE(orders_from_text(to_text({})).value().empty());
}

TEST(RedirectOrders, BrokenTextIsRefused) {
  const std::string good = to_text({order(0)});
  for (const std::string& text :
       {std::string(), std::string("{}"), std::string("[1]"), std::string("[{}]"), good.substr(0, good.size() / 2)}) {
    EXPECT_FALSE(orders_from_text(text)) << text;
  }
  std::string negative = good;
  negative.replace(negative.find("600"), 3, "-60");
  EXPECT_FALSE(orders_from_text(negative));
  std::string address = good;
  address.replace(address.find("192.0.2.2"), 9, "192.0.2.x");
  EXPECT_FALSE(orders_from_text(address));
}

TEST(RedirectOrders, TheNarrowestCounts) {
  Redirects redirects;
  for (const auto& one : {order(1), order(2, "acme"), order(3, "acme", "edge")})
    redirects.orders.push_back(std::make_shared<const RedirectOrder>(one));
  EXPECT_EQ(redirects.find(known("acme", "edge"))->id, 3u);
  EXPECT_EQ(redirects.find(known("acme", "other"))->id, 2u);
  EXPECT_EQ(redirects.find(known("zeta", "edge"))->id, 1u);
  redirects.orders.erase(redirects.orders.begin());
  EXPECT_EQ(redirects.find(known("zeta", "edge")), nullptr);
}

// Who is told, who has left, who not yet: of several sessions the one that holds the client back counts.
TEST(RedirectOrders, TheViewShowsWhoHasLeft) {
  using State = RedirectedClient::State;
  Redirects redirects;
  redirects.orders = {std::make_shared<const RedirectOrder>(order(1, "acme"))};
  policy::DomainPolicy acme, zeta;
  acme.id = base::DomainId{"acme"};
  for (const char* name : {"a", "b", "c"}) acme.clients.push_back({base::ClientId{name}, {}, {}});
  zeta.id = base::DomainId{"zeta"};
  zeta.clients.push_back({base::ClientId{"z"}, {}, {}});
  using std::chrono::seconds;
  const std::vector<RedirectedClient> clients = {{State::left, known("acme", "a"), 1, seconds{9}},
                                                 {State::told, known("acme", "b"), 1, seconds{3}},
                                                 {State::mitigating, known("acme", "b"), 1, seconds{5}}};
  const auto view = render_redirects(redirects, clients, {acme, zeta});
  const auto& one = view.at("redirects").as_array().at(0);
  EXPECT_EQ(one.at("left").to_number<int>(), 1);
  const auto& rows = one.at("clients").as_array();
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].at("state").as_string(), "left");
  EXPECT_EQ(rows[1].at("state").as_string(), "mitigating");
  EXPECT_EQ(rows[2].at("state").as_string(), "absent");
}

}  // namespace
}  // namespace dots::agent::server
