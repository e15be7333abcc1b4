// SPDX-License-Identifier: GPL-2.0-only
// Between our values and libnftnl's set elements.
#pragma once

#include <libnftnl/set.h>

#include <memory>
#include <string>
#include <vector>

#include "netlink.h"

namespace nfthelper {

struct SetDeleter {
  void operator()(nftnl_set* set) const { nftnl_set_free(set); }
};
using SetHandle = std::unique_ptr<nftnl_set, SetDeleter>;

SetHandle make_set(const std::string& table, const std::string& name);
nftnl_set_elem* make_element(const ElementChange& change);  // to be owned by a set
void read_elements(nftnl_set* set, std::vector<Element>& out);

}  // namespace nfthelper
