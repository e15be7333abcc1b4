// Which transitions a run has taken, and which it must have taken.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace dots::sim {

class Coverage {
 public:
  void took(const std::string& machine, const std::string& transition) { ++counts_[machine + ": " + transition]; }
  void add(const Coverage& other) {
    for (const auto& [what, count] : other.counts_) counts_[what] += count;
  }
  const std::map<std::string, std::uint64_t>& counts() const { return counts_; }
  // Listed transitions that were never taken.
  std::vector<std::string> missing() const;

 private:
  std::map<std::string, std::uint64_t> counts_;
};

}  // namespace dots::sim
