// Instances -> JSON (RFC 7951), cut to what a request selects: content, depth, fields (RFC 8040 4.8).
#pragma once

#include <map>
#include <optional>
#include <string>

#include "data/instance.h"

namespace dots::data {

enum class Content : std::uint8_t { all, config, nonconfig };

// What `fields` names below a node; empty: everything below.
struct Fields {
  std::map<const Node*, Fields> below;
};

struct Selection {
  Content content = Content::all;
  std::uint32_t depth = UINT32_MAX;  // 1: the target alone
  std::optional<Fields> fields;
  bool qualified_identities = false;  // "ietf-access-control-list:drop"
};

// The resource as a body: {"module:name": ...}, an array for entries of a list or leaf-list. All `instances` are of one
// node. With `wrapper` the array stands in its parent container, as RFC 8783 prints single entries.
std::string print_resource(const Node& of, const std::vector<Instance>& instances, const Selection& selection,
                           bool wrapper = false);
// The configuration of one instance as an object, as the store keeps it.
std::string print_config(const Instance& instance);

}  // namespace dots::data
