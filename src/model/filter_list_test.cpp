#include "model/filter_list.h"

#include <gtest/gtest.h>

#include <set>

namespace dots::model {
namespace {

FilterList sample() {
  FilterList list{{base::DomainId{"acme"}, base::Cuid{"c1"}, "block"}, 3, {}};
  FilterEntry entry{"ace1", {}, Forwarding::accept, 125000};
  entry.match.ip.emplace();
  entry.match.ip->source = *parse_prefix("198.51.100.0/24");
  entry.match.udp.emplace();
  entry.match.udp->source_port = PortMatch{PortMatch::Operator::range, 53, 60};
  list.rules.push_back({entry, {*parse_prefix("192.0.2.0/24")}});
  return list;
}

TEST(FilterListDigest, EveryPartOfTheContentMovesIt) {
  std::set<std::string> digests{digest_of(sample())};
  EXPECT_EQ(*digests.begin(), digest_of(sample()));
  EXPECT_EQ(digests.begin()->size(), 32u);
  std::size_t changed = 0;
  const auto change = [&](auto edit) {
    FilterList list = sample();
    edit(list);
    EXPECT_TRUE(digests.insert(digest_of(list)).second) << "change " << changed << " went unseen";
    ++changed;
  };
  change([](FilterList& list) { list.key.domain.value = "acme2"; });
  change([](FilterList& list) { list.key.cuid.value = "c2"; });
  change([](FilterList& list) { list.key.list = "block2"; });
  change([](FilterList& list) { list.place = 4; });
  change([](FilterList& list) { list.rules.clear(); });
  change([](FilterList& list) { list.rules.push_back(list.rules.front()); });
  change([](FilterList& list) { list.rules[0].entry.name = "ace2"; });
  change([](FilterList& list) { list.rules[0].entry.forwarding = Forwarding::drop; });
  change([](FilterList& list) { list.rules[0].entry.rate_limit_hundredths.reset(); });
  change([](FilterList& list) { list.rules[0].entry.rate_limit_hundredths = 125001; });
  change([](FilterList& list) { list.rules[0].destinations[0].length = 25; });
  change([](FilterList& list) { list.rules[0].destinations.push_back(*parse_prefix("2001:db8::/32")); });
  change([](FilterList& list) { list.rules[0].entry.match.ip->source.reset(); });
  change([](FilterList& list) { list.rules[0].entry.match.ip->dscp = 0; });
  change([](FilterList& list) { list.rules[0].entry.match.ip->ecn = 0; });
  change([](FilterList& list) { list.rules[0].entry.match.ip->fragment = BitsMatch{}; });
  change([](FilterList& list) { list.rules[0].entry.match.udp->source_port->upper = 61; });
  change([](FilterList& list) { list.rules[0].entry.match.udp->destination_port = PortMatch{}; });
  change([](FilterList& list) { list.rules[0].entry.match.udp.reset(); });
  change([](FilterList& list) { list.rules[0].entry.match.tcp.emplace(); });
  change([](FilterList& list) { list.rules[0].entry.match.icmp.emplace(); });
  change([](FilterList& list) { std::swap(list.key.cuid.value, list.key.list); });
}

// What is kept beside a list in a back end outlives the daemon that wrote it.
TEST(FilterListDigest, IsTheSameOnEveryRun) { EXPECT_EQ(digest_of(sample()), "a069f744af5a88ea014d520b3bc195ba"); }

}  // namespace
}  // namespace dots::model
