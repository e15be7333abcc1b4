#include "ops/config_tree.h"

#include <toml++/toml.h>
#include <algorithm>

namespace dots::ops {
namespace {

std::uint32_t line_of(const toml::node& node) { return static_cast<std::uint32_t>(node.source().begin.line); }

ConfigNode convert(const toml::node& node) {
  ConfigNode out;
  out.line = line_of(node);
  if (const auto* flag = node.as_boolean()) {
    out.value = flag->get();
  } else if (const auto* number = node.as_integer()) {
    out.value = number->get();
  } else if (const auto* text = node.as_string()) {
    out.value = text->get();
  } else if (const auto* list = node.as_array()) {
    ConfigNode::List items;
    items.reserve(list->size());
    for (const toml::node& item : *list) items.push_back(convert(item));
    out.value = std::move(items);
  } else if (const auto* table = node.as_table()) {
    ConfigNode::Table items;
    for (const auto& [key, item] : *table) {
      ConfigNode child = convert(item);
      // A table's own source is its header; for a key the place of the key is what people look for.
      if (const auto line = static_cast<std::uint32_t>(key.source().begin.line);
          line != 0 && !item.is_array_of_tables())
        child.line = line;
      items.push_back({std::string{key.str()}, std::move(child)});
    }
    // toml++ sorts keys; problems are told in the order of the file.
    std::stable_sort(items.begin(), items.end(),
                     [](const auto& a, const auto& b) { return a.value.line < b.value.line; });
    out.value = std::move(items);
  } else {
    out.value = ConfigNode::Other{node.is_floating_point() ? "a number with a fraction" : "a date or time"};
  }
  return out;
}

}  // namespace

std::string ConfigNode::type_name() const {
  struct Name {
    std::string operator()(bool) const { return "true or false"; }
    std::string operator()(std::int64_t) const { return "a number"; }
    std::string operator()(const std::string&) const { return "a text"; }
    std::string operator()(const List&) const { return "a list"; }
    std::string operator()(const Table&) const { return "a table"; }
    std::string operator()(const Other& other) const { return other.type; }
  };
  return std::visit(Name{}, value);
}

base::Result<ConfigNode, ConfigSyntaxError> read_toml(const std::string& toml) {
  try {
    return convert(toml::parse(toml));
  } catch (const toml::parse_error& error) {
    return ConfigSyntaxError{static_cast<std::uint32_t>(error.source().begin.line), std::string{error.description()}};
  }
}

}  // namespace dots::ops
