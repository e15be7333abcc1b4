// SPDX-License-Identifier: GPL-2.0-only
// What a table consists of, without its elements.
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/flowtable.h>
#include <libnftnl/gen.h>
#include <libnftnl/object.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include "netlink.h"

namespace nfthelper {
namespace {

std::string text(const char* value) { return value == nullptr ? std::string() : std::string(value); }

int find_comment(const nftnl_udata* entry, void* data) {
  if (nftnl_udata_type(entry) == NFTNL_UDATA_RULE_COMMENT && nftnl_udata_len(entry) > 0) {
    const auto* bytes = static_cast<const char*>(nftnl_udata_get(entry));
    if (bytes[nftnl_udata_len(entry) - 1] == '\0') *static_cast<std::string*>(data) = bytes;
  }
  return 0;
}

int find_counter(nftnl_expr* expression, void* data) {
  auto& counters = *static_cast<Counters*>(data);
  if (std::strcmp(nftnl_expr_get_str(expression, NFTNL_EXPR_NAME), "counter") == 0) {
    counters.packets += nftnl_expr_get_u64(expression, NFTNL_EXPR_CTR_PACKETS);
    counters.bytes += nftnl_expr_get_u64(expression, NFTNL_EXPR_CTR_BYTES);
  }
  return 0;
}

std::string object_kind(std::uint32_t type) {
  switch (type) {
    case NFT_OBJECT_COUNTER:
      return "counter";
    case NFT_OBJECT_QUOTA:
      return "quota";
    case NFT_OBJECT_LIMIT:
      return "limit";
    case NFT_OBJECT_SECMARK:
      return "secmark";
    case NFT_OBJECT_SYNPROXY:
      return "synproxy";
    case NFT_OBJECT_CT_HELPER:
      return "ct helper";
    case NFT_OBJECT_CT_TIMEOUT:
      return "ct timeout";
    case NFT_OBJECT_CT_EXPECT:
      return "ct expectation";
    default:
      return "object";
  }
}

}  // namespace

Outcome Netlink::has_table(const std::string& table, bool& out) {
  out = false;
  return dump(
      NFT_MSG_GETTABLE, NFPROTO_INET, [&](nlmsghdr*) { out = false; },
      [&](const nlmsghdr* header) {
        const std::unique_ptr<nftnl_table, void (*)(const nftnl_table*)> one(nftnl_table_alloc(), nftnl_table_free);
        if (nftnl_table_nlmsg_parse(header, one.get()) != 0) return;
        if (text(nftnl_table_get_str(one.get(), NFTNL_TABLE_NAME)) == table) out = true;
      });
}

Outcome Netlink::generation(std::uint32_t& out) {
  if (const Outcome opened = open(); !opened.ok()) return opened;
  std::array<char, 256> request{};
  return converse(nftnl_nlmsg_build_hdr(request.data(), NFT_MSG_GETGEN, NFPROTO_UNSPEC, 0, sequence_++),
                  [&](const nlmsghdr* part) {
                    const std::unique_ptr<nftnl_gen, void (*)(const nftnl_gen*)> one(nftnl_gen_alloc(), nftnl_gen_free);
                    if (nftnl_gen_nlmsg_parse(part, one.get()) == 0) out = nftnl_gen_get_u32(one.get(), NFTNL_GEN_ID);
                    return true;
                  });
}

Outcome Netlink::objects(const std::string& table, Objects& out) {
  out = {};
  Outcome outcome = has_table(table, out.table);
  if (!outcome.ok() || !out.table) return outcome;

  outcome = dump(
      NFT_MSG_GETCHAIN, NFPROTO_INET, [&](nlmsghdr*) { out.chains.clear(); },
      [&](const nlmsghdr* header) {
        const std::unique_ptr<nftnl_chain, void (*)(const nftnl_chain*)> one(nftnl_chain_alloc(), nftnl_chain_free);
        if (nftnl_chain_nlmsg_parse(header, one.get()) != 0) return;
        if (text(nftnl_chain_get_str(one.get(), NFTNL_CHAIN_TABLE)) != table) return;
        out.chains.push_back({text(nftnl_chain_get_str(one.get(), NFTNL_CHAIN_NAME)),
                              nftnl_chain_get_u64(one.get(), NFTNL_CHAIN_HANDLE), "chain"});
      });
  if (!outcome.ok()) return outcome;

  outcome = dump(
      NFT_MSG_GETRULE, NFPROTO_INET,
      [&](nlmsghdr* header) {
        out.rules.clear();
        mnl_attr_put_strz(header, NFTA_RULE_TABLE, table.c_str());
      },
      [&](const nlmsghdr* header) {
        const std::unique_ptr<nftnl_rule, void (*)(const nftnl_rule*)> one(nftnl_rule_alloc(), nftnl_rule_free);
        if (nftnl_rule_nlmsg_parse(header, one.get()) != 0) return;
        if (text(nftnl_rule_get_str(one.get(), NFTNL_RULE_TABLE)) != table) return;
        RuleText rule{text(nftnl_rule_get_str(one.get(), NFTNL_RULE_CHAIN)),
                      nftnl_rule_get_u64(one.get(), NFTNL_RULE_HANDLE),
                      {},
                      {}};
        std::uint32_t length = 0;
        const void* user_data = nftnl_rule_get_data(one.get(), NFTNL_RULE_USERDATA, &length);
        if (user_data != nullptr) nftnl_udata_parse(user_data, length, find_comment, &rule.comment);
        nftnl_expr_foreach(one.get(), find_counter, &rule.counters);
        out.rules.push_back(std::move(rule));
      });
  if (!outcome.ok()) return outcome;

  outcome = dump(
      NFT_MSG_GETSET, NFPROTO_INET,
      [&](nlmsghdr* header) {
        out.sets.clear();
        mnl_attr_put_strz(header, NFTA_SET_TABLE, table.c_str());
      },
      [&](const nlmsghdr* header) {
        const std::unique_ptr<nftnl_set, void (*)(const nftnl_set*)> one(nftnl_set_alloc(), nftnl_set_free);
        if (nftnl_set_nlmsg_parse(header, one.get()) != 0) return;
        if (text(nftnl_set_get_str(one.get(), NFTNL_SET_TABLE)) != table) return;
        const std::uint32_t flags = nftnl_set_get_u32(one.get(), NFTNL_SET_FLAGS);
        if ((flags & NFT_SET_ANONYMOUS) != 0) return;  // lives and dies with its rule
        out.sets.push_back({text(nftnl_set_get_str(one.get(), NFTNL_SET_NAME)),
                            nftnl_set_get_u64(one.get(), NFTNL_SET_HANDLE),
                            (flags & (NFT_SET_MAP | NFT_SET_OBJECT)) != 0 ? "map" : "set"});
      });
  if (!outcome.ok()) return outcome;

  outcome = dump(
      NFT_MSG_GETOBJ, NFPROTO_INET,
      [&](nlmsghdr* header) {
        out.others.clear();
        mnl_attr_put_strz(header, NFTA_OBJ_TABLE, table.c_str());
      },
      [&](const nlmsghdr* header) {
        const std::unique_ptr<nftnl_obj, void (*)(const nftnl_obj*)> one(nftnl_obj_alloc(), nftnl_obj_free);
        if (nftnl_obj_nlmsg_parse(header, one.get()) != 0) return;
        if (text(nftnl_obj_get_str(one.get(), NFTNL_OBJ_TABLE)) != table) return;
        out.others.push_back({text(nftnl_obj_get_str(one.get(), NFTNL_OBJ_NAME)),
                              nftnl_obj_get_u64(one.get(), NFTNL_OBJ_HANDLE),
                              object_kind(nftnl_obj_get_u32(one.get(), NFTNL_OBJ_TYPE))});
      });
  if (!outcome.ok()) return outcome;

  std::vector<Named> flowtables;
  outcome = dump(
      NFT_MSG_GETFLOWTABLE, NFPROTO_INET,
      [&](nlmsghdr* header) {
        flowtables.clear();
        mnl_attr_put_strz(header, NFTA_FLOWTABLE_TABLE, table.c_str());
      },
      [&](const nlmsghdr* header) {
        const std::unique_ptr<nftnl_flowtable, void (*)(const nftnl_flowtable*)> one(nftnl_flowtable_alloc(),
                                                                                     nftnl_flowtable_free);
        if (nftnl_flowtable_nlmsg_parse(header, one.get()) != 0) return;
        if (text(nftnl_flowtable_get_str(one.get(), NFTNL_FLOWTABLE_TABLE)) != table) return;
        flowtables.push_back({text(nftnl_flowtable_get_str(one.get(), NFTNL_FLOWTABLE_NAME)),
                              nftnl_flowtable_get_u64(one.get(), NFTNL_FLOWTABLE_HANDLE), "flowtable"});
      });
  out.others.insert(out.others.end(), flowtables.begin(), flowtables.end());
  return outcome;
}

}  // namespace nfthelper
