// The whole measurement: references and dotsd in turns, group by group.
#pragma once

#include <string>

#include "base/result.h"
#include "dots-bench/options.h"
#include "dots-bench/report.h"

namespace dots::bench {

// `self`: this program, which is also the references. An Error means that nothing of it may be believed.
base::Result<Report> run(const RunOptions& options, const std::string& self);

// As many as that, or as many as there may be.
inline constexpr std::size_t kSpareDescriptors = 5000;
void allow_descriptors(std::size_t wanted);
std::string today();  // UTC, "2026-01-31"

}  // namespace dots::bench
