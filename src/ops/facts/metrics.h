// Metrics as facts: name, kind, what its one label says, and help. docs/metrics.md is generated from this table.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace dots::ops::facts {

enum class MetricKind : std::uint8_t { counter, gauge, histogram };

std::string_view name_of(MetricKind kind);

struct MetricFact {
  std::string_view name;
  MetricKind kind;
  std::string_view label;  // empty: none
  std::string_view help;
};

// All metrics, sorted by name.
const std::vector<MetricFact>& metrics();
const MetricFact* find_metric(std::string_view name);

}  // namespace dots::ops::facts
