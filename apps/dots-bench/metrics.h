// The counters of a running dotsd, and which of them spoil a measurement.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace dots::bench {

class Metrics {
 public:
  // Of the Prometheus text format; lines that are none are passed over.
  static Metrics parse(std::string_view text);

  // Over all labels; 0 when there is none.
  double sum(std::string_view name) const;
  // Of one label value.
  double of(std::string_view name, std::string_view label_value) const;

 private:
  std::map<std::string, std::map<std::string, double>, std::less<>> values_;
};

// What makes a measurement worthless: answers that cost no work, work that was refused.
struct Spoiler {
  std::string_view metric;
  std::string_view label;  // empty: all
  std::string_view meaning;
};
const std::vector<Spoiler>& spoilers();

// One sentence for each counter that grew.
std::vector<std::string> spoiled(const Metrics& before, const Metrics& after);

// GET /metrics on the daemon's unix socket.
base::Result<Metrics> read_metrics(const std::string& socket);

}  // namespace dots::bench
