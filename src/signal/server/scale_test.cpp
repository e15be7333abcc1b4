// 10,000 active mitigations in one domain: the work of one request does not grow with them.
#include <chrono>

#include "signal/server/domain_fixture.h"

namespace dots::signal::server {
namespace {

class Scale : public DomainTest {};

TEST_F(Scale, TenThousandInOneDomain) {
  policy::DomainPolicy policy = test_policy();
  policy.prefixes = {prefix("10.0.0.0/8")};
  policy.max_mitigations = 20000;
  start(policy);
  const auto target = [](std::uint32_t i) {
    return "10." + std::to_string(i >> 16) + "." + std::to_string(i >> 8 & 255) + "." + std::to_string(i & 255) + "/32";
  };
  // Steps are counted in time, generously: a scan of all would cost some hundred times more with 10,000.
  const auto spent_on = [&](std::uint32_t from, std::uint32_t count) {
    std::vector<Event> events;
    for (std::uint32_t i = from; i < from + count; ++i) events.emplace_back(put_event(i, request_for(target(i), 3600)));
    std::vector<Effect> effects;
    const auto begin = std::chrono::steady_clock::now();
    for (const Event& event : events) {
      auto out = domain_->step(event, now);
      effects.insert(effects.end(), std::make_move_iterator(out.begin()), std::make_move_iterator(out.end()));
    }
    const auto spent = std::chrono::steady_clock::now() - begin;
    take(std::move(effects));
    return spent;
  };
  spent_on(0, 500);  // warm
  const auto early = spent_on(500, 1000);
  spent_on(1500, 8500);
  const auto late = spent_on(10000, 1000);
  EXPECT_EQ(domain_->view(now).size(), 11000U);
  EXPECT_LT(late, early * 10) << "the cost of a request grows with the number of mitigations";
  // The last word on bounds: an answer for all is cut, and everything ends in its time.
  EXPECT_EQ(get().entries.size(), limits_.entries_per_answer);
  pass(std::chrono::seconds{3600 + 120});
  EXPECT_TRUE(store.mitigations.empty());
  EXPECT_TRUE(rules.empty());
  EXPECT_FALSE(domain_->next_deadline().has_value());
}

}  // namespace
}  // namespace dots::signal::server
