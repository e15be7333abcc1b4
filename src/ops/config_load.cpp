// Walks a document along the schema: unknown keys, values, missing keys; then the checks across keys.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>

#include "ops/config.h"
#include "ops/config_schema.h"
#include "ops/config_values.h"

namespace dots::ops {
namespace {

constexpr std::size_t kMaxFileBytes = 16u << 20;

std::string child_path(const std::string& path, const std::string& name) {
  return path.empty() ? name : path + "." + name;
}
std::string header(const SectionSpec& section, const std::string& path) {
  const std::string name = child_path(path.substr(0, path.find('[')), section.name);
  return section.repeated ? "[[" + name + "]]" : "[" + name + "]";
}

bool fits(ForRole wanted, std::optional<Role> role) {
  return wanted == ForRole::both || !role || (wanted == ForRole::server) == (*role == Role::server);
}
std::string role_name(ForRole role) { return role == ForRole::server ? "server" : "client"; }

class Walker {
 public:
  Walker(ConfigProblems& problems, ConfigPlaces& places, std::optional<Role> role)
      : problems_(problems), places_(places), role_(role) {}

  void table(const SectionSpec& section, const ConfigNode& node, const ConfigNode::Table& table, void* target,
             const std::string& path) {
    places_[path] = node.line;
    for (const auto& [name, value] : table) entry(section, name, value, target, path);
    const auto there = [&table](const std::string& name) {
      return std::any_of(table.begin(), table.end(), [&](const auto& item) { return item.name == name; });
    };
    for (const KeySpec& key : section.keys)
      if (key.required && fits(key.role, role_) && !there(key.name))
        problems_.add(path.empty() ? 0 : node.line, child_path(path, key.name), "is missing",
                      "write for example " + key.name + " = " + key.example);
    for (const SectionSpec& child : section.children)
      if (child.required && role_ && fits(child.role, role_) && !there(child.name))
        problems_.add(path.empty() ? 0 : node.line, child_path(path, child.name), "is missing",
                      "add a section " + header(child, path));
  }

 private:
  void entry(const SectionSpec& section, const std::string& name, const ConfigNode& value, void* target,
             const std::string& path) {
    const std::string full = child_path(path, name);
    const auto key =
        std::find_if(section.keys.begin(), section.keys.end(), [&](const KeySpec& k) { return k.name == name; });
    if (key != section.keys.end()) {
      places_[full] = value.line;
      if (!fits(key->role, role_)) return foreign(value, full, key->role);
      return key->read(target, value, full, problems_);
    }
    const auto child = std::find_if(section.children.begin(), section.children.end(),
                                    [&](const SectionSpec& s) { return s.name == name; });
    if (child == section.children.end()) return unknown(section, name, value, full);
    if (!fits(child->role, role_)) return foreign(value, full, child->role);
    if (child->repeated) {
      const auto* items = std::get_if<ConfigNode::List>(&value.value);
      if (!items || std::any_of(items->begin(), items->end(), [](const ConfigNode& item) {
            return !std::holds_alternative<ConfigNode::Table>(item.value);
          }))
        return problems_.add(value.line, full, "expected sections, found " + value.type_name(),
                             "write " + header(*child, path) + " above its keys");
      for (std::size_t i = 0; i < items->size(); ++i) {
        const ConfigNode& item = (*items)[i];
        table(*child, item, std::get<ConfigNode::Table>(item.value), child->open(target),
              full + "[" + std::to_string(i) + "]");
      }
      return;
    }
    const auto* items = std::get_if<ConfigNode::Table>(&value.value);
    if (!items)
      return problems_.add(value.line, full, "expected a section, found " + value.type_name(),
                           "write " + header(*child, path) + " above its keys");
    table(*child, value, *items, child->open(target), full);
  }

  void foreign(const ConfigNode& value, const std::string& full, ForRole role) {
    problems_.add(value.line, full,
                  "belongs to a " + role_name(role) + ", and this is a " +
                      role_name(role == ForRole::server ? ForRole::client : ForRole::server),
                  "remove it, or write role = \"" + role_name(role) + "\"");
  }

  void unknown(const SectionSpec& section, const std::string& name, const ConfigNode& value, const std::string& full) {
    std::vector<std::string> names;
    for (const KeySpec& key : section.keys) names.push_back(key.name);
    for (const SectionSpec& child : section.children) names.push_back(child.name);
    const auto meant = closest(name, names);
    if (meant)
      return problems_.add(value.line, full, "is unknown; did you mean '" + *meant + "'?", "write '" + *meant + "'");
    for (const SectionSpec& other : config_schema().children)
      for (const KeySpec& key : other.keys)
        if (key.name == name)
          return problems_.add(value.line, full, "is unknown here; it belongs to " + header(other, ""),
                               "move it under " + header(other, ""));
    std::string list;
    for (const std::string& known : names) list += (list.empty() ? "" : ", ") + known;
    problems_.add(value.line, full, "is unknown", "known here: " + list);
  }

  ConfigProblems& problems_;
  ConfigPlaces& places_;
  std::optional<Role> role_;
};

std::optional<Role> role_of(const ConfigNode::Table& table) {
  for (const auto& [name, value] : table) {
    const auto* text = name == "role" ? std::get_if<std::string>(&value.value) : nullptr;
    if (text && *text == "server") return Role::server;
    if (text && *text == "client") return Role::client;
  }
  return std::nullopt;
}

}  // namespace

void ConfigProblems::add(std::uint32_t line, std::string key, std::string what, std::string remedy) {
  problems_.push_back({file_, line, std::move(key), std::move(what), std::move(remedy)});
}

std::vector<ConfigProblem> ConfigProblems::take() {
  const auto place = [](const ConfigProblem& p) { return p.line == 0 ? UINT32_MAX : p.line; };
  std::stable_sort(problems_.begin(), problems_.end(),
                   [&](const ConfigProblem& a, const ConfigProblem& b) { return place(a) < place(b); });
  return std::move(problems_);
}

std::string ConfigProblems::absolute(const std::string& path) const {
  std::error_code ignored;
  const auto folder = std::filesystem::absolute(std::filesystem::path{file_}, ignored).parent_path();
  return (folder / path).lexically_normal().string();
}

std::string to_string(const ConfigProblem& problem) {
  std::string out = problem.file;
  if (problem.line != 0) out += ":" + std::to_string(problem.line);
  out += ": ";
  if (!problem.key.empty()) out += problem.key + ": ";
  out += problem.what;
  if (!problem.remedy.empty()) out += "; " + problem.remedy;
  return out;
}

namespace {

PartialConfig read_config(const std::string& toml, const std::string& file) {
  PartialConfig out;
  out.config.file = file;
  out.config.text = toml;
  ConfigProblems problems{file};
  const auto document = read_toml(toml);
  if (document) {
    const auto& top = std::get<ConfigNode::Table>(document->value);
    ConfigPlaces places;
    const auto role = role_of(top);
    Walker{problems, places, role}.table(config_schema(), *document, top, &out.config, "");
    if (role) check_config(out.config, places, problems);
  } else {
    problems.add(document.error().line, "", "is no TOML here: " + document.error().what,
                 "see https://toml.io for the grammar");
  }
  out.problems = problems.take();
  return out;
}

}  // namespace

base::Result<Config, std::vector<ConfigProblem>> parse_config(const std::string& toml, const std::string& file) {
  PartialConfig read = read_config(toml, file);
  if (!read.problems.empty()) return std::move(read.problems);
  return std::move(read.config);
}

namespace {

base::Result<std::string, ConfigProblem> read_file(const std::string& file) {
  const auto unreadable = [&file](const std::string& what, const std::string& remedy) {
    return ConfigProblem{file, 0, "", what, remedy};
  };
  std::error_code error;
  const auto status = std::filesystem::status(file, error);
  if (status.type() == std::filesystem::file_type::not_found)
    return unreadable("there is no such file", "name another one, or make a set with 'dotsctl init DIR'");
  if (std::filesystem::is_directory(status)) return unreadable("is a folder", "name a file in it");
  const auto size = std::filesystem::file_size(file, error);
  if (!error && size > kMaxFileBytes) return unreadable("is larger than 16 MiB", "is it the right file?");
  std::ifstream in{file, std::ios::binary};
  std::string text{std::istreambuf_iterator<char>{in}, {}};
  if (!in) return unreadable("cannot be read", "check its permissions with: ls -l " + file);
  return text;
}

}  // namespace

base::Result<Config, std::vector<ConfigProblem>> load_config(const std::string& file) {
  const auto text = read_file(file);
  if (!text) return std::vector<ConfigProblem>{text.error()};
  return parse_config(*text, file);
}

PartialConfig load_partial_config(const std::string& file) {
  const auto text = read_file(file);
  if (!text) return {{}, {text.error()}};
  return read_config(*text, file);
}

base::Result<std::string> api_socket_of(const std::string& file) {
  const auto text = read_file(file);
  if (!text) return base::Error{to_string(text.error())};
  const auto document = read_toml(*text);
  if (!document) return base::Error{file + ":" + std::to_string(document.error().line) + ": " + document.error().what};
  const auto value_of = [&document](const std::string& section, const std::string& key) -> const std::string* {
    for (const auto& [name, table] : std::get<ConfigNode::Table>(document->value))
      if (const auto* keys = name == section ? std::get_if<ConfigNode::Table>(&table.value) : nullptr)
        for (const auto& [inner, value] : *keys)
          if (inner == key) return std::get_if<std::string>(&value.value);
    return nullptr;
  };
  const ConfigProblems paths{file};
  if (const auto* socket = value_of("api", "socket")) return paths.absolute(*socket);
  if (const auto* folder = value_of("store", "state_dir")) return paths.absolute(*folder + "/dotsd.sock");
  return base::Error{"'" + file +
                     "' names neither api.socket nor store.state_dir; check it with: dotsctl check-config " + file};
}

}  // namespace dots::ops
