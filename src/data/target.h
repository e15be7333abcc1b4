// Request targets: a path below the API root as steps through the table, and the query (RFC 8040 3.5.3, 4.8).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/fault.h"
#include "data/instance.h"
#include "data/printing.h"

namespace dots::data {

struct Target {
  enum class Kind : std::uint8_t { host_meta, host_meta_json, api, operations, library_version, data };
  Kind kind = Kind::data;
  std::vector<Step> steps = {};  // of data; empty: the datastore. A list without keys is the whole list
  // The node of the last step; of the datastore its root.
  const Node& node() const { return steps.empty() ? datastore() : *steps.back().node; }
};

struct Query {
  Selection selection;
  Placement placement;
  std::optional<std::vector<Step>> point = {};
  bool selects = false;  // content, depth or fields was given
};

// `root`: the API root, "/restconf". 404 for a path that names nothing, 400 for one that cannot be read.
Checked<Target> parse_target(std::string_view path, std::string_view root);
// "/ietf-dots-data-channel:dots-data/dots-client=x/acls/acl=y"; the steps of `point` and of Location.
Checked<std::vector<Step>> parse_steps(std::string_view path);
// Without the '?'; empty for none. `fields` are names below the target.
Checked<Query> parse_query(std::string_view query, const Node& target);

// Everything but the unreserved characters of RFC 3986 2.3.
std::string percent_encoded(std::string_view text);
// The steps as a path, percent-encoded, starting with '/'.
std::string to_path(const std::vector<Step>& steps);

}  // namespace dots::data
