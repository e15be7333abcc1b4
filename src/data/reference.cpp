#include "data/reference.h"

#include "data/leaf_value.h"
#include "data/tree.h"

namespace dots::data {
namespace {

std::string_view name_of(LeafType type) {
  switch (type) {
    case LeafType::none:
      return "";
    case LeafType::string:
      return "text";
    case LeafType::domain_name:
      return "domain name";
    case LeafType::uri:
      return "URI";
    case LeafType::ip_prefix:
      return "prefix";
    case LeafType::ipv4_prefix:
      return "IPv4 prefix";
    case LeafType::ipv6_prefix:
      return "IPv6 prefix";
    case LeafType::uint8:
      return "uint8";
    case LeafType::uint16:
      return "uint16";
    case LeafType::uint32:
      return "uint32";
    case LeafType::int32:
      return "int32";
    case LeafType::counter64:
      return "counter64 (a string)";
    case LeafType::decimal64:
      return "decimal64 (a string), 2 digits after the point";
    case LeafType::boolean:
      return "boolean";
    case LeafType::enumeration:
      return "one of";
    case LeafType::bits:
      return "any of";
    case LeafType::identity:
      return "identity";
    case LeafType::binary:
      return "base64";
  }
  return "";
}

std::string bounds_of(const Node& node) {
  if (node.max == 0) return {};
  const bool length = node.type == LeafType::string || node.type == LeafType::domain_name ||
                      node.type == LeafType::uri || node.type == LeafType::binary;
  const std::string range = std::to_string(node.min) + " to " + std::to_string(node.max);
  if (!length) return " " + range;
  return ", " + range + (node.type == LeafType::binary ? " octets" : " characters");
}

std::string what_it_holds(const Node& node) {
  if (node.kind == NodeKind::container) return "container";
  if (node.kind == NodeKind::list) return "list";
  std::string out = node.kind == NodeKind::leaf_list ? "list of " : "";
  out += name_of(node.type);
  out += bounds_of(node);
  for (const Named& named : node.names)
    out += (&named == node.names.data() ? " `" : ", `") + std::string(named.name) + "`";
  return out;
}

std::string remarks_on(const Node& node) {
  std::string out;
  const auto add = [&out](const std::string& remark) { out += (out.empty() ? "" : "; ") + remark; };
  if (node.key) add("key");
  if (node.mandatory) add("mandatory");
  if (node.user_ordered) add("order is kept");
  if (node.state && !node.needed) add("read only");
  if (node.needed) add("read only, always true");
  if (!node.default_value.empty()) add("default `" + std::string(node.default_value) + "`");
  if (!node.choice.empty()) add("one of the choice `" + std::string(node.choice) + "`");
  if (node.capability != NodeId::none) {
    const Node& told = data::node(node.capability);
    add("taken when `" + (told.parent == NodeId::capabilities ? "" : std::string(data::node(told.parent).name) + "/") +
        std::string(told.name) + "` is announced");
  }
  return out;
}

void rows(const Node& node, const std::string& above, std::string& out) {
  const std::string path = above.empty() ? std::string(node.name) : above + "/" + std::string(node.name);
  out += "| `" + path + "` | " + what_it_holds(node) + " | " + remarks_on(node) + " |\n";
  for (const Node* child : node.children) rows(*child, path, out);
}

}  // namespace

std::string tree_reference() {
  std::string out =
      "# The tree of the data channel\n\n"
      "<!-- Printed by `dotsctl data-reference` from the table that requests are checked with. -->\n\n"
      "What may stand below `/restconf/data` (RFC 8783, RFC 8525). Capabilities say what a filter may hold; a field "
      "that is "
      "not\nannounced is refused.\n";
  for (const Node* top : datastore().children) {
    out += "\n## " + std::string(top->name) + "\n\n| node | holds | remarks |\n| --- | --- | --- |\n";
    for (const Node* child : top->children) rows(*child, {}, out);
  }
  return out;
}

}  // namespace dots::data
