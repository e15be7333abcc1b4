// SPDX-License-Identifier: GPL-2.0-only
#include "elements.h"

#include <libnftnl/expr.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <cstring>

namespace nfthelper {

SetHandle make_set(const std::string& table, const std::string& name) {
  SetHandle set(nftnl_set_alloc());
  nftnl_set_set_u32(set.get(), NFTNL_SET_FAMILY, NFPROTO_INET);
  nftnl_set_set_str(set.get(), NFTNL_SET_TABLE, table.c_str());
  nftnl_set_set_str(set.get(), NFTNL_SET_NAME, name.c_str());
  return set;
}

nftnl_set_elem* make_element(const ElementChange& change) {
  nftnl_set_elem* element = nftnl_set_elem_alloc();
  const auto put = [&](std::uint16_t attribute, const Key& key) {
    nftnl_set_elem_set(element, attribute, key.data(), static_cast<std::uint32_t>(key.size()));
  };
  put(NFTNL_SET_ELEM_KEY, change.key.first);
  if (!change.key.last.empty()) put(NFTNL_SET_ELEM_KEY_END, change.key.last);
  if (change.add && change.limit) {
    nftnl_expr* limit = nftnl_expr_alloc("limit");
    nftnl_expr_set_u64(limit, NFTNL_EXPR_LIMIT_RATE, change.limit->rate);
    nftnl_expr_set_u64(limit, NFTNL_EXPR_LIMIT_UNIT, 1);  // per second
    if (change.limit->in_bytes) {
      nftnl_expr_set_u32(limit, NFTNL_EXPR_LIMIT_BURST, 1);  // the bucket holds one second and the burst
      nftnl_expr_set_u32(limit, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKT_BYTES);
      nftnl_expr_set_u32(limit, NFTNL_EXPR_LIMIT_FLAGS, NFT_LIMIT_F_INV);
    } else {
      nftnl_expr_set_u32(limit, NFTNL_EXPR_LIMIT_BURST, static_cast<std::uint32_t>(change.limit->rate));
      nftnl_expr_set_u32(limit, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKTS);
      nftnl_expr_set_u32(limit, NFTNL_EXPR_LIMIT_FLAGS, 0);
    }
    nftnl_set_elem_add_expr(element, limit);
    if (change.limit->in_bytes) {
      // After the limit, which breaks off below its rate: only what is dropped is counted.
      nftnl_expr* counter = nftnl_expr_alloc("counter");
      nftnl_expr_set_u64(counter, NFTNL_EXPR_CTR_BYTES, 0);
      nftnl_expr_set_u64(counter, NFTNL_EXPR_CTR_PACKETS, 0);
      nftnl_set_elem_add_expr(element, counter);
    }
  }
  return element;
}

namespace {

int read_expression(nftnl_expr* expression, void* data) {
  auto& element = *static_cast<Element*>(data);
  const char* name = nftnl_expr_get_str(expression, NFTNL_EXPR_NAME);
  if (std::strcmp(name, "counter") == 0) {
    element.counters.packets = nftnl_expr_get_u64(expression, NFTNL_EXPR_CTR_PACKETS);
    element.counters.bytes = nftnl_expr_get_u64(expression, NFTNL_EXPR_CTR_BYTES);
  } else if (std::strcmp(name, "limit") == 0) {
    element.limit = Limit{nftnl_expr_get_u64(expression, NFTNL_EXPR_LIMIT_RATE),
                          nftnl_expr_get_u32(expression, NFTNL_EXPR_LIMIT_TYPE) == NFT_LIMIT_PKT_BYTES};
  }
  return 0;
}

int read_element(nftnl_set_elem* from, void* data) {
  auto& out = *static_cast<std::vector<Element>*>(data);
  Element element;
  const auto take = [&](std::uint16_t attribute, Key& key) {
    std::uint32_t length = 0;
    const auto* bytes = static_cast<const std::uint8_t*>(nftnl_set_elem_get(from, attribute, &length));
    if (bytes != nullptr) key.assign(bytes, bytes + length);
  };
  take(NFTNL_SET_ELEM_KEY, element.key.first);
  if (nftnl_set_elem_is_set(from, NFTNL_SET_ELEM_KEY_END)) take(NFTNL_SET_ELEM_KEY_END, element.key.last);
  nftnl_set_elem_expr_foreach(from, read_expression, &element);
  if (nftnl_set_elem_is_set(from, NFTNL_SET_ELEM_CHAIN) && nftnl_set_elem_is_set(from, NFTNL_SET_ELEM_VERDICT) &&
      static_cast<std::int32_t>(nftnl_set_elem_get_u32(from, NFTNL_SET_ELEM_VERDICT)) == NFT_JUMP) {
    element.chain = nftnl_set_elem_get_str(from, NFTNL_SET_ELEM_CHAIN);
  }
  out.push_back(std::move(element));
  return 0;
}

}  // namespace

void read_elements(nftnl_set* set, std::vector<Element>& out) { nftnl_set_elem_foreach(set, read_element, &out); }

}  // namespace nfthelper
