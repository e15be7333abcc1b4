#include "ops/facts/metrics.h"

#include <algorithm>

namespace dots::ops::facts {

const std::vector<MetricFact>& metrics() {
  static const std::vector<MetricFact> table = {
#define METRIC(name, kind, label, help) {name, MetricKind::kind, label, help},
#include "ops/facts/metrics.inc"
#undef METRIC
  };
  return table;
}

std::string_view name_of(MetricKind kind) {
  switch (kind) {
    case MetricKind::counter:
      return "counter";
    case MetricKind::gauge:
      return "gauge";
    case MetricKind::histogram:
      break;
  }
  return "histogram";
}

const MetricFact* find_metric(std::string_view name) {
  const auto& table = metrics();
  const auto it = std::lower_bound(table.begin(), table.end(), name,
                                   [](const MetricFact& fact, std::string_view wanted) { return fact.name < wanted; });
  return it != table.end() && it->name == name ? &*it : nullptr;
}

}  // namespace dots::ops::facts
