// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string>

namespace nfthelper {

// Gives up every capability but CAP_NET_ADMIN, and the ways to get one back. False with a reason when that is not
// possible: the program must not go on then.
bool keep_only_net_admin(std::string& why_not);
bool has_net_admin();

}  // namespace nfthelper
