// The whole measurement: references and dotsd in turns, group by group.
#pragma once

#include <string>

#include "base/result.h"
#include "dots-bench/options.h"
#include "dots-bench/report.h"

namespace dots::bench {

// `self`: this program, which is also the references. An Error means that nothing of it may be believed.
base::Result<Report> run(const RunOptions& options, const std::string& self);

}  // namespace dots::bench
