#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "dots-bench/growth.h"
#include "dots-bench/stats.h"

namespace dots::bench {

Point point_of(std::string curve, std::string figure, std::string over, std::uint64_t at, std::vector<double> values) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  Point point{std::move(curve), std::move(figure), std::move(over), at, 0, *low, *high};
  point.value = median(std::move(values));
  return point;
}

std::string csv(const Growth& growth) {
  const Machine& m = growth.machine;
  std::string out =
      fmt::format("# taken {}\n# machine {} x {}, {}, {}, load {:.1f}, {}\n", growth.taken, m.cpus, m.cpu_model,
                  m.kernel, m.tls_library, m.load, m.optimised ? "optimised" : "NOT OPTIMISED");
  for (const auto& sentence : growth.skipped) out += "# skipped " + sentence + "\n";
  out += "curve,figure,over,at,value,low,high\n";
  for (const Point& p : growth.points) {
    out += fmt::format("{},{},{},{},{:.4g},{:.4g},{:.4g}\n", p.curve, p.figure, p.over, p.at, p.value, p.low, p.high);
  }
  return out;
}

}  // namespace dots::bench
