#include "ops/config_changes.h"

#include <algorithm>
#include <variant>

#include "base/overload.h"
#include "ops/config_schema.h"

namespace dots::ops {
namespace {

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

std::string written(const ConfigNode& node) {
  return std::visit(base::Overload{
                        [](bool flag) -> std::string { return flag ? "true" : "false"; },
                        [](std::int64_t number) { return std::to_string(number); },
                        [](const std::string& text) { return quoted(text); },
                        [](const ConfigNode::List& list) {
                          std::string out = "[";
                          for (const ConfigNode& item : list) out += (out.size() > 1 ? ", " : "") + written(item);
                          return out + "]";
                        },
                        [](const ConfigNode::Table& table) {
                          std::string out = "{";
                          for (const ConfigEntry& entry : table)
                            out += (out.size() > 1 ? ", " : "") + entry.name + " = " + written(entry.value);
                          return out + "}";
                        },
                        [](const ConfigNode::Other&) { return std::string{}; },
                    },
                    node.value);
}

const ConfigNode* find(const ConfigNode::Table* table, const std::string& name) {
  if (table == nullptr) return nullptr;
  const auto it = std::find_if(table->begin(), table->end(), [&](const ConfigEntry& e) { return e.name == name; });
  return it == table->end() ? nullptr : &it->value;
}

const ConfigNode::Table* as_table(const ConfigNode* node) {
  return node == nullptr ? nullptr : std::get_if<ConfigNode::Table>(&node->value);
}

// The tables of a repeated section, with their names, in the order of the file.
using Named = std::vector<std::pair<std::string, const ConfigNode::Table*>>;
Named named_tables(const ConfigNode* node, const SectionSpec& section) {
  Named out;
  const auto* list = node == nullptr ? nullptr : std::get_if<ConfigNode::List>(&node->value);
  if (list == nullptr) return out;
  for (const ConfigNode& item : *list) {
    const auto* table = as_table(&item);
    const ConfigNode* name = find(table, section.keys.front().name);
    const auto* text = name == nullptr ? nullptr : std::get_if<std::string>(&name->value);
    out.emplace_back(text == nullptr ? std::string{} : *text, table);
  }
  return out;
}

const ConfigNode::Table* find(const Named& tables, const std::string& name) {
  const auto it = std::find_if(tables.begin(), tables.end(), [&](const auto& t) { return t.first == name; });
  return it == tables.end() ? nullptr : it->second;
}

class Comparison {
 public:
  void section(const SectionSpec& spec, const ConfigNode::Table* before, const ConfigNode::Table* after,
               const std::string& path) {
    for (const KeySpec& key : spec.keys) {
      const ConfigNode* old_node = find(before, key.name);
      const ConfigNode* new_node = find(after, key.name);
      const std::string old_text = old_node == nullptr ? "" : written(*old_node);
      const std::string new_text = new_node == nullptr ? "" : written(*new_node);
      if (old_text != new_text) changes.push_back({child(path, key.name), old_text, new_text, spec.live});
    }
    for (const SectionSpec& inner : spec.children) {
      const ConfigNode* old_node = find(before, inner.name);
      const ConfigNode* new_node = find(after, inner.name);
      if (inner.repeated) {
        repeated(inner, named_tables(old_node, inner), named_tables(new_node, inner), path);
      } else {
        section(inner, as_table(old_node), as_table(new_node), child(path, inner.name));
      }
    }
  }

  std::vector<ConfigChange> changes;

 private:
  static std::string child(const std::string& path, const std::string& name) {
    return path.empty() ? name : path + "." + name;
  }
  void repeated(const SectionSpec& spec, const Named& before, const Named& after, const std::string& path) {
    for (const auto& [name, table] : before)
      section(spec, table, find(after, name), child(path, spec.name + "[" + name + "]"));
    for (const auto& [name, table] : after)
      if (find(before, name) == nullptr) section(spec, nullptr, table, child(path, spec.name + "[" + name + "]"));
  }
};

// Names of those whose key is new, gone or another one.
void compare_psks(const Config& before, const Config& after, std::vector<ConfigChange>& changes) {
  const auto key_of = [](const Config& config, const std::string& identity) -> const base::Bytes* {
    const auto it = std::find_if(config.credentials.psk.begin(), config.credentials.psk.end(),
                                 [&](const PskEntry& entry) { return entry.identity == identity; });
    return it == config.credentials.psk.end() ? nullptr : &it->key;
  };
  const std::string key = "credentials.psk_file";
  for (const PskEntry& entry : before.credentials.psk) {
    const base::Bytes* now = key_of(after, entry.identity);
    const std::string was = "the key of " + quoted(entry.identity);
    if (now == nullptr) changes.push_back({key, was, "", true});
    if (now != nullptr && *now != entry.key) changes.push_back({key, was, "another key", true});
  }
  for (const PskEntry& entry : after.credentials.psk)
    if (key_of(before, entry.identity) == nullptr)
      changes.push_back({key, "", "a key of " + quoted(entry.identity), true});
}

void compare_files(const Config& before, const Config& after, std::vector<ConfigChange>& changes) {
  for (const auto& [key, digest] : after.contents) {
    const auto old = before.contents.find(key);
    if (key == "credentials.psk_file" || old == before.contents.end() || old->second == digest) continue;
    changes.push_back({key, "what the file held", "what it holds now", true});
  }
}

}  // namespace

std::string to_string(const ConfigChange& change) {
  std::string out = change.key + ": ";
  if (change.before.empty()) {
    out += "new: " + change.after;
  } else if (change.after.empty()) {
    out += "gone: " + change.before;
  } else {
    out += change.before + " -> " + change.after;
  }
  return change.live ? out : out + " (needs a restart)";
}

std::vector<ConfigChange> config_changes(const Config& before, const Config& after) {
  const auto old_document = read_toml(before.text);
  const auto new_document = read_toml(after.text);
  Comparison comparison;
  if (old_document && new_document)
    comparison.section(config_schema(), as_table(&*old_document), as_table(&*new_document), "");
  compare_psks(before, after, comparison.changes);
  compare_files(before, after, comparison.changes);
  return std::move(comparison.changes);
}

}  // namespace dots::ops
