// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "channel.h"
#include "table.h"

namespace nfthelper {

// Answers requests until the other side closes. Returns the exit status.
int serve(Channel& channel, Table& table, bool has_net_admin);

}  // namespace nfthelper
