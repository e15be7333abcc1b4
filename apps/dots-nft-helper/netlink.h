// SPDX-License-Identifier: GPL-2.0-only
// The elements of our sets, straight over netlink: libnftables reads whole sets before it deletes one element
// (docs/decisions/nft-table.md has the measurements). Structure goes through libnftables (structure.h).
#pragma once

#include <libmnl/libmnl.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "rules.h"

namespace nfthelper {

struct Counters {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
};
struct Limit {
  std::uint64_t rate = 0;
  bool in_bytes = true;  // otherwise in packets, and the element matches below the rate instead of above it
};
struct Element {
  ElementKey key;
  std::optional<Limit> limit;
  Counters counters;
  std::string chain;  // of a verdict map: where a jump leads
};
struct ElementChange {
  bool add = true;
  std::string set;
  ElementKey key;
  std::optional<Limit> limit;
  std::size_t tag = 0;  // the caller's: which change asked for it
};

struct Outcome {
  int error = 0;  // errno of the kernel
  std::string text;
  std::size_t tag = 0;
  bool ok() const { return error == 0; }
  static Outcome failed(int error, std::string text, std::size_t tag = 0) { return {error, std::move(text), tag}; }
};

class Netlink {
 public:
  Netlink() = default;
  ~Netlink();
  Netlink(const Netlink&) = delete;
  Netlink& operator=(const Netlink&) = delete;

  Outcome open();
  // All or none, in one transaction.
  Outcome change(const std::string& table, const std::vector<ElementChange>& changes);
  Outcome elements(const std::string& table, const std::string& set, std::vector<Element>& out);

  struct Named {
    std::string name;
    std::uint64_t handle = 0;
    std::string kind;  // as nft calls it: "chain", "set", "map", "counter", "flowtable"
  };
  struct RuleText {
    std::string chain;
    std::uint64_t handle = 0;
    std::string comment;
    Counters counters;
  };
  struct Objects {
    bool table = false;
    std::vector<Named> chains;
    std::vector<RuleText> rules;  // in the order of their chains
    std::vector<Named> sets;      // and maps; without anonymous ones
    std::vector<Named> others;    // stateful objects and flowtables
    bool empty() const { return chains.empty() && sets.empty() && others.empty(); }
  };
  // What the table consists of, without elements.
  Outcome objects(const std::string& table, Objects& out);
  Outcome has_table(const std::string& table, bool& out);
  // Grows with every transaction of anybody in this network namespace.
  Outcome generation(std::uint32_t& out);

 private:
  using Parse = std::function<void(const nlmsghdr*)>;
  Outcome dump(std::uint16_t type, std::uint16_t family, const std::function<void(nlmsghdr*)>& fill,
               const Parse& parse);
  Outcome dump_once(std::uint16_t type, std::uint16_t family, const std::function<void(nlmsghdr*)>& fill,
                    const Parse& parse);
  // Sends a request and hands each part of its answer to `part`, until that says that it was the last, or an error
  // comes.
  Outcome converse(const nlmsghdr* request, const std::function<bool(const nlmsghdr*)>& part);

  mnl_socket* socket_ = nullptr;
  std::uint32_t sequence_ = 1;
};

}  // namespace nfthelper
