#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <set>

#include "base/bytes.h"
#include "dots-bench/metrics.h"
#include "dots-bench/reference.h"
#include "dots-bench/requests.h"
#include "dots-bench/stats.h"
#include "model/mitigation.h"
#include "model/response_code.h"
#include "wire/coap_view.h"
#include "wire/coap_writer.h"
#include "wire/messages.h"

namespace dots::bench {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::array<std::uint8_t, 4> kToken = {1, 2, 3, 4};

TEST(Stats, PercentilesAreOfTheNearestRank) {
  std::vector<base::Duration> samples;
  for (int i = 100; i >= 1; --i) samples.push_back(std::chrono::microseconds{i});
  const Percentiles found = percentiles(samples);
  EXPECT_DOUBLE_EQ(found.p50_us, 50);
  EXPECT_DOUBLE_EQ(found.p95_us, 95);
  EXPECT_DOUBLE_EQ(found.p99_us, 99);
  EXPECT_DOUBLE_EQ(found.worst_us, 100);
  EXPECT_DOUBLE_EQ(percentiles({}).p99_us, 0);
  EXPECT_DOUBLE_EQ(percentiles({7us}).p50_us, 7);
}

TEST(Stats, MedianOfEvenAndOdd) {
  EXPECT_DOUBLE_EQ(median({3, 1, 2}), 2);
  EXPECT_DOUBLE_EQ(median({4, 1, 3, 2}), 2.5);
  EXPECT_DOUBLE_EQ(median({}), 0);
}

constexpr const char* kMetrics = R"(# HELP dots_repeats_total what
# TYPE dots_repeats_total counter
dots_repeats_total 3
dots_handshakes_total{event="opened"} 7
dots_handshakes_total{event="limited"} 1
dots_store_commit_seconds 0.000125
no number here
)";

TEST(Metrics, ReadsThePrometheusText) {
  const Metrics metrics = Metrics::parse(kMetrics);
  EXPECT_DOUBLE_EQ(metrics.sum("dots_repeats_total"), 3);
  EXPECT_DOUBLE_EQ(metrics.sum("dots_handshakes_total"), 8);
  EXPECT_DOUBLE_EQ(metrics.of("dots_handshakes_total", "opened"), 7);
  EXPECT_DOUBLE_EQ(metrics.of("dots_handshakes_total", "never"), 0);
  EXPECT_DOUBLE_EQ(metrics.sum("dots_store_commit_seconds"), 0.000125);
  EXPECT_DOUBLE_EQ(metrics.sum("absent"), 0);
}

TEST(Metrics, EverySpoilerSpoils) {
  const Metrics before = Metrics::parse(kMetrics);
  EXPECT_TRUE(spoiled(before, before).empty());
  for (const Spoiler& spoiler : spoilers()) {
    std::string series{spoiler.metric};
    if (!spoiler.label.empty()) series += "{any=\"" + std::string{spoiler.label} + "\"}";
    const Metrics after = Metrics::parse(series + " 5\n");
    const auto reasons = spoiled(Metrics{}, after);
    ASSERT_EQ(reasons.size(), 1U) << series;
    EXPECT_THAT(reasons[0], HasSubstr(std::string{spoiler.metric}));
  }
}

TEST(Metrics, WhatIsNormalDoesNotSpoil) {
  const auto after = Metrics::parse(
      "dots_requests_total 100\ndots_handshakes_total{event=\"opened\"} 9\n"
      "dots_store_batches_total{outcome=\"committed\"} 4\n");
  EXPECT_TRUE(spoiled(Metrics{}, after).empty());
}

base::Bytes answer_of(model::ResponseCode code, const base::Bytes& payload) {
  wire::MessageWriter writer{wire::MessageType::non_confirmable, static_cast<std::uint8_t>(code), 9, kToken};
  if (!payload.empty()) {
    writer.uint_option(wire::OptionNumber::content_format, wire::kContentFormatDots);
    writer.payload(payload);
  }
  return writer.take();
}

TEST(Requests, AnotherCodeIsNoticed) {
  const Workload workload = heartbeats();
  EXPECT_FALSE(workload.check(answer_of(model::ResponseCode::changed, {}), 0));
  EXPECT_THAT(workload.check(answer_of(model::ResponseCode::bad_request, {}), 0).value_or(""), HasSubstr("4.00"));
  EXPECT_TRUE(workload.check(base::Bytes{0x50}, 0));
}

TEST(Requests, AnAnswerAboutAnotherMitigationIsNoticed) {
  auto mids = std::make_shared<Mids>(Spread{});
  const Workload workload = put_new(mids);
  const Outgoing outgoing = workload.make(0, 1, kToken);
  model::MitigationEntry entry;
  entry.mid = base::Mid{static_cast<std::uint32_t>(outgoing.tag)};
  entry.lifetime = model::Lifetime{3600};
  EXPECT_FALSE(workload.check(answer_of(model::ResponseCode::created, wire::encode(std::vector{entry})), outgoing.tag));
  EXPECT_TRUE(
      workload.check(answer_of(model::ResponseCode::created, wire::encode(std::vector{entry})), outgoing.tag + 1));
  // A GET must tell more than that.
  EXPECT_TRUE(
      get_one(mids).check(answer_of(model::ResponseCode::content, wire::encode(std::vector{entry})), outgoing.tag));
}

TEST(Requests, NewMitigationsHaveTargetsOfTheirOwnInTheirDomain) {
  auto mids = std::make_shared<Mids>(Spread{3, 1});
  const Workload workload = put_new(mids);
  std::set<std::string> targets;
  for (std::size_t lane = 0; lane < 12; ++lane) {
    const Outgoing outgoing = workload.make(lane, 1, kToken);
    const auto view = wire::view(outgoing.message);
    ASSERT_TRUE(view);
    const auto request = wire::decode_mitigation_request(view->payload);
    ASSERT_TRUE(request) << request.error().diagnostic;
    ASSERT_EQ(request->scope.target_prefix.size(), 1U);
    const auto domain = model::parse_prefix(domain_prefix(1 + lane % 3));
    ASSERT_TRUE(domain);
    EXPECT_TRUE(domain->contains(request->scope.target_prefix[0])) << lane;
    targets.insert(model::to_string(request->scope.target_prefix[0]));
  }
  EXPECT_EQ(targets.size(), 12U);
  EXPECT_EQ(mids->total(), 12U);
}

TEST(Echo, AsksForTheSizeOfTheAnswer) {
  const Workload workload = echo(60, 300);
  const Outgoing outgoing = workload.make(0, 1, kToken);
  EXPECT_EQ(outgoing.message.size(), 60U);
  EXPECT_EQ(echo_answer_bytes(outgoing.message), 300U);
  EXPECT_FALSE(workload.check(base::Bytes(300), outgoing.tag));
  EXPECT_TRUE(workload.check(base::Bytes(299), outgoing.tag));
  EXPECT_EQ(echo_answer_bytes(base::Bytes(60)), 0U);
  EXPECT_EQ(echo_answer_bytes(echo(1, 1).make(0, 1, kToken).message), kEchoHead);
}

TEST(Requests, TheStatusIsThatOfTheMidThatWasAskedFor) {
  model::MitigationEntry entry;
  entry.mid = base::Mid{7};
  entry.lifetime = model::Lifetime{3600};
  entry.scope.emplace().target_prefix = {model::host_prefix(*model::parse_ip_address("192.0.2.1"))};
  entry.status = model::MitigationStatus::successfully_mitigated;
  const base::Bytes answer = answer_of(model::ResponseCode::content, wire::encode(std::vector{entry}));
  EXPECT_EQ(status_in(answer, 7), model::MitigationStatus::successfully_mitigated);
  EXPECT_FALSE(status_in(answer, 8));
  EXPECT_FALSE(status_in(answer_of(model::ResponseCode::not_found, {}), 7));
}

}  // namespace
}  // namespace dots::bench
