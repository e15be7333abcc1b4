// Extensions of ours as the client sends and shows them (docs/extensions.md).
#include <gmock/gmock.h>

#include "signal/client/requests_harness.h"

namespace dots::signal::client {
namespace {

using model::RefusalReason;
using model::ResponseCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Settings extended() {
  Settings settings = default_settings();
  settings.extensions = true;
  return settings;
}

Answer refusal(RefusalReason reason, const std::string& text) {
  Answer answer = RequestsHarness::code(ResponseCode::bad_request, text);
  answer.entries.emplace_back();
  answer.entries.front().refusal_reason = reason;
  answer.entries.front().diagnostic = text;
  return answer;
}

// U-025, U-026
TEST(ClientExtensions, TravelWithEveryRequest) {
  RequestsHarness h{extended()};
  Wanted wish = wanted("192.0.2.1/32");
  wish.contract_id = "gold";
  wish.requested_service = "scrubbing";
  const base::Mid mid = h.mitigate(wish).value().mid;
  EXPECT_TRUE(h.puts.back().request.extensions);
  EXPECT_EQ(h.puts.back().request.contract_id, "gold");
  EXPECT_EQ(h.puts.back().request.requested_service, "scrubbing");
  h.accept(60);
  EXPECT_EQ(h.mitigate(wish).value().mid, mid) << "the same wish again";
  h.restart();
  h.advance(std::chrono::seconds{40});
  EXPECT_EQ(h.puts.back().request.contract_id, "gold") << "a refresh after a restart";
  wish.contract_id = "silver";
  EXPECT_NE(h.mitigate(wish).value().mid, mid) << "another contract takes another mid";
}

TEST(ClientExtensions, CanBeSwitchedOff) {
  RequestsHarness h{extended()};
  Wanted wish = wanted("192.0.2.1/32");
  wish.contract_id = "gold";
  ASSERT_TRUE(h.mitigate(wish));
  h.accept();
  h.settings.extensions = false;
  h.restart();
  h.advance(std::chrono::hours{1});
  ASSERT_FALSE(h.puts.empty());
  EXPECT_FALSE(h.puts.back().request.takes_extensions());
  const auto again = h.mitigate(wish);
  ASSERT_FALSE(again);
  EXPECT_THAT(again.error().message, HasSubstr("are off towards upstream"));
}

TEST(ClientExtensions, ConfiguredOnesAreADefault) {
  Settings settings = extended();
  settings.contract_id = "gold";
  settings.requested_service = "rtbh";
  RequestsHarness h{settings};
  Wanted wish = wanted("192.0.2.1/32");
  wish.requested_service = "scrubbing";
  ASSERT_TRUE(h.mitigate(wish));
  EXPECT_EQ(h.puts.back().request.contract_id, "gold");
  EXPECT_EQ(h.puts.back().request.requested_service, "scrubbing");
  wish = wanted("192.0.2.2/32");
  for (const std::string& bad : {std::string{}, std::string(65, 'x'), std::string{"a\nb"}}) {
    wish.contract_id = bad;
    EXPECT_FALSE(h.mitigate(wish));
  }
}

// what refuses is shown to programs and to people.
TEST(ClientExtensions, ShowTheReasonOfARefusal) {
  RequestsHarness h{extended()};
  int next = 1;
  for (const auto& [reason, name] :
       {std::pair{RefusalReason::scope, "scope"}, std::pair{RefusalReason::contract, "contract"},
        std::pair{RefusalReason::policy, "policy"}, std::pair{RefusalReason::rate, "rate"},
        std::pair{RefusalReason::capacity, "capacity"}}) {
    const base::Mid mid = h.mitigate("192.0.2." + std::to_string(next++) + "/32");
    h.answer(h.puts.back().id, refusal(reason, "because"));
    const RequestView view = h.view(mid);
    EXPECT_EQ(view.phase, Phase::refused);
    EXPECT_EQ(view.refusal_reason, reason);
    EXPECT_EQ(view.reason, "4.00 (" + std::string{name} + "): because");
  }
  // 5.03 is a wait, with its reason as well.
  const base::Mid mid = h.mitigate("198.51.100.1/32");
  Answer full = refusal(RefusalReason::capacity, "full");
  full.code = ResponseCode::service_unavailable;
  full.max_age_s = 30;
  h.answer(h.puts.back().id, full);
  EXPECT_EQ(h.view(mid).phase, Phase::waiting);
  EXPECT_EQ(h.view(mid).refusal_reason, RefusalReason::capacity);
  h.advance(std::chrono::seconds{31});
  h.accept();
  EXPECT_FALSE(h.view(mid).refusal_reason) << "over";
}

// A-041, U-064: requested and actual side by side; what the server cannot do, with its reason.
TEST(ClientExtensions, ShowWhatIsReallyDone) {
  RequestsHarness h{extended()};
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  h.accept();
  Answer status = RequestsHarness::status_answer(mid, model::MitigationStatus::successfully_mitigated);
  status.entries.front().actual_prefix = {*model::parse_prefix("192.0.2.0/24")};
  status.entries.front().service_used = "diversion";
  h.answer(h.observation(mid), status);
  EXPECT_THAT(h.view(mid).actual_prefix, ElementsAre(*model::parse_prefix("192.0.2.0/24")));
  EXPECT_EQ(h.view(mid).record.request.scope.target_prefix.front(), *model::parse_prefix("192.0.2.1/32"));
  EXPECT_EQ(h.view(mid).service_used, "diversion");
  EXPECT_TRUE(h.told("CLIENT_ACTUAL_SCOPE"));
  const std::size_t told = h.messages.size();
  h.answer(h.observation(mid), status);
  EXPECT_EQ(h.messages.size(), told) << "once";

  for (const RefusalReason reason :
       {RefusalReason::capacity, RefusalReason::bandwidth, RefusalReason::function, RefusalReason::hardware}) {
    Answer failing = RequestsHarness::status_answer(mid, model::MitigationStatus::exceeded_capability);
    failing.entries.front().refusal_reason = reason;
    failing.entries.front().diagnostic = "too much";
    h.answer(h.observation(mid), failing);
    EXPECT_EQ(h.view(mid).refusal_reason, reason);
    EXPECT_EQ(h.view(mid).failure, "too much");
    EXPECT_EQ(h.view(mid).status, model::MitigationStatus::exceeded_capability);
  }
  h.answer(h.observation(mid), RequestsHarness::status_answer(mid, model::MitigationStatus::successfully_mitigated));
  EXPECT_FALSE(h.view(mid).refusal_reason);
  EXPECT_TRUE(h.view(mid).actual_prefix.empty());
}

// A reason of a later release is shown as unknown, and refuses all the same.
TEST(ClientExtensions, AnUnknownReasonIsAReasonToo) {
  RequestsHarness h{extended()};
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  h.answer(h.puts.back().id, refusal(RefusalReason{200}, "later"));
  EXPECT_EQ(h.view(mid).reason, "4.00 (unknown): later");
}

}  // namespace
}  // namespace dots::signal::client
