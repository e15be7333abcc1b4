// JSON bodies -> instances (RFC 7951), checked against the table: names, kinds, types, keys, choices, mandatory nodes
// and what this server can filter on.
#pragma once

#include <vector>

#include "data/fault.h"
#include "data/instance.h"
#include "wire/json_value.h"

namespace dots::data {

struct Reading {
  const Capabilities* capabilities = nullptr;  // null: everything
  // Text that this server wrote itself: members that it does not know are passed over.
  bool own = false;
};

// The one member of a body that is a child of `parent`; several instances when it is a list or leaf-list with several
// entries. Never empty. State in a body is passed over (docs/decisions/data-channel.md).
Checked<std::vector<Instance>> read_body(const Node& parent, const wire::JsonValue& body, const Reading& how);
// The members of a container or list entry, completeness not checked.
Checked<Instance> read_members(const Node& of, const wire::JsonValue& object, const Reading& how,
                               const std::string& path);
// Mandatory nodes, keys of lists, and one case of each choice; of `instance` and everything below.
Checked<void> check_complete(const Instance& instance, const std::string& path);

// "/.../alias[name='x']" for error-path.
std::string path_of(const std::string& parent, const Instance& instance);

}  // namespace dots::data
