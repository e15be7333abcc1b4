// The measurements, by what they are about; each gives its rows of the table. An Error means that nothing of the run
// may be believed; what cannot be measured on this machine is a row that says SKIP and why.
#pragma once

#include <string>
#include <vector>

#include "dots-bench/machine.h"
#include "dots-bench/rig.h"
#include "dots-bench/row.h"

namespace dots::bench {

using Rows = std::vector<Row>;

// REQUIRES, of the first four: rig.start_echoes().
base::Result<Rows> request_rows(Rig& rig);
base::Result<Rows> mitigation_rows(Rig& rig);
base::Result<Rows> handshake_rows(Rig& rig);
base::Result<Rows> flood_rows(Rig& rig);
base::Result<Rows> idle_rows(const RunOptions& options, const std::string& self);
base::Result<Rows> nftables_rows(const RunOptions& options, const std::string& self, const Disk& disk);
base::Result<Rows> data_rows(const RunOptions& options, const std::string& self);
base::Result<Rows> loss_rows(const RunOptions& options, const std::string& self);

}  // namespace dots::bench
