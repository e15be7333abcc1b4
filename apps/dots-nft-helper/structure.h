// SPDX-License-Identifier: GPL-2.0-only
// The frame of the table - chains, sets, the rules that look sets up - as nft text, run through libnftables. All values
// in the text come from our own types; nothing that a request said reaches it as text.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "netlink.h"
#include "rules.h"

namespace nfthelper {

// Runs one transaction; the error text or nothing.
std::string run_nft(const std::string& commands);

class Structure {
 public:
  explicit Structure(std::string table) : table_(std::move(table)) {}

  // Makes the frame what it should be for these sets: adds what lacks, writes our chains anew (their rules hold no
  // state; counters and limits live in the elements), deletes `unwanted`. One transaction: traffic sees the old frame
  // or the new one.
  std::string build(const std::set<SetName>& sets, const std::vector<SetName>& unwanted) const;

  // The rules that are ours are all there, in order.
  bool intact(const Netlink::Objects& objects, const std::set<SetName>& sets) const;
  // Traffic reaches this set.
  std::set<SetName> wired(const Netlink::Objects& objects) const;
  // What lies in the table and is not ours.
  struct Foreign {
    std::vector<std::string> texts;
    std::vector<std::string> removals;  // nft commands by handle
  };
  Foreign foreign(const Netlink::Objects& objects) const;

 private:
  std::string table_;
};

}  // namespace nfthelper
