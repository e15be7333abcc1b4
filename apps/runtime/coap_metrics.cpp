#include "apps/runtime/coap_metrics.h"

#include <iterator>

namespace dots::runtime {
namespace {

struct Metric {
  std::uint64_t coap::Counters::*counter;
  const char* name;
};
constexpr Metric kMetrics[] = {
    {&coap::Counters::malformed, "dots_malformed_total"},
    {&coap::Counters::duplicates, "dots_duplicates_total"},
    {&coap::Counters::repeats, "dots_repeats_total"},
    {&coap::Counters::rejected, "dots_coap_rejected_total"},
    {&coap::Counters::dropped_by_limit, "dots_limit_drops_total"},
    {&coap::Counters::evicted, "dots_answers_evicted_total"},
    {&coap::Counters::unmatched, "dots_responses_unmatched_total"},
};
static_assert(std::size(kMetrics) * sizeof(std::uint64_t) == sizeof(coap::Counters),
              "every counter of the endpoint is a metric");

}  // namespace

void count_coap(const coap::Counters& counters, ops::facts::Sink& sink) {
  for (const Metric& metric : kMetrics) {
    if (counters.*metric.counter > 0) sink.count(metric.name, "", counters.*metric.counter);
  }
}

}  // namespace dots::runtime
