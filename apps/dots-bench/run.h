// The whole measurement: references and dotsd in turns, group by group.
#pragma once

#include <string>

#include "base/result.h"
#include "dots-bench/options.h"
#include "dots-bench/report.h"

namespace dots::bench {

// `self`: this program, which is also the references. An Error means that nothing of it may be believed.
base::Result<Report> run(const RunOptions& options, const std::string& self);

std::string today();  // UTC, "2026-01-31"

}  // namespace dots::bench
