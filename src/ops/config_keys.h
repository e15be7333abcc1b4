// Builders for rows of the configuration table: each binds a key to a member and knows how its kind of value is read.
#pragma once

#include <algorithm>
#include <chrono>
#include <concepts>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ops/config_schema.h"
#include "ops/config_values.h"

namespace dots::ops::keys {

inline constexpr std::int64_t kMillion = 1'000'000;
inline constexpr std::int64_t kMaxLifetime = 0x7fffffff;  // RFC 9132 gives lifetime as int32
inline constexpr char kFingerprintExample[] = "[\"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"]";

inline Reading<model::SocketAddress> dots_address(const std::string& text) { return read_socket_address(text, 4646); }
inline Reading<model::SocketAddress> https_address(const std::string& text) { return read_socket_address(text, 443); }

inline SectionSpec section(std::string name, ForRole role) {
  SectionSpec s;
  s.name = std::move(name);
  s.role = role;
  return s;
}

struct Words {
  std::string meaning;
  std::string example;
};

inline std::string joined(const std::vector<std::string>& parts, const std::string& last_separator) {
  std::string out;
  for (std::size_t i = 0; i < parts.size(); ++i)
    out += (i == 0 ? "" : i + 1 == parts.size() ? last_separator : ", ") + parts[i];
  return out;
}

inline void wrong_type(const ConfigNode& node, const std::string& wanted, const std::string& example,
                       const std::string& path, ConfigProblems& problems) {
  problems.add(node.line, path, "expected " + wanted + ", found " + node.type_name(), "write for example " + example);
}

// `Get` is a member pointer or a function from the struct to a reference into it.
template <class S, class Get>
KeySpec boolean(std::string name, Get get, Words words) {
  KeySpec spec;
  spec.name = std::move(name);
  spec.type = "true or false";
  S defaults{};
  spec.fallback = std::invoke(get, defaults) ? "true" : "false";
  spec.meaning = std::move(words.meaning);
  spec.example = std::move(words.example);
  spec.read = [get, example = spec.example](void* section, const ConfigNode& node, const std::string& path,
                                            ConfigProblems& problems) {
    const bool* flag = std::get_if<bool>(&node.value);
    if (!flag) return wrong_type(node, "true or false", example, path, problems);
    std::invoke(get, *static_cast<S*>(section)) = *flag;
  };
  return spec;
}

struct Bounds {
  std::int64_t min = 0;
  std::int64_t max = 0;
  bool zero_too = false;  // 0 lies outside and has a meaning of its own

  bool hold(std::int64_t n) const { return (zero_too && n == 0) || (n >= min && n <= max); }
  std::string text() const {
    return (zero_too ? "0 or " : "") + std::to_string(min) + (zero_too ? " to " : " to ") + std::to_string(max);
  }
};

// Numbers and durations alike: `put` receives a number that is in bounds, `fallback` is the default as text.
template <class S, class Put>
KeySpec whole(std::string name, Put put, std::string fallback, std::string unit, Bounds bounds, Words words) {
  KeySpec spec;
  spec.name = std::move(name);
  spec.type = "number";
  spec.unit = std::move(unit);
  spec.fallback = std::move(fallback);
  spec.range = bounds.text();
  spec.meaning = std::move(words.meaning);
  spec.example = std::move(words.example);
  spec.read = [put, bounds, unit = spec.unit, example = spec.example](
                  void* section, const ConfigNode& node, const std::string& path, ConfigProblems& problems) {
    const std::int64_t* number = std::get_if<std::int64_t>(&node.value);
    if (!number) return wrong_type(node, "a number", example, path, problems);
    if (!bounds.hold(*number)) {
      problems.add(node.line, path, std::to_string(*number) + " is out of range",
                   "write a number: " + bounds.text() + (unit.empty() ? "" : " " + unit));
      return;
    }
    put(*static_cast<S*>(section), *number);
  };
  return spec;
}

template <class S, class Get>
KeySpec number(std::string name, Get get, std::string unit, Bounds bounds, Words words) {
  S defaults{};
  auto& initial = std::invoke(get, defaults);
  using T = std::remove_reference_t<decltype(initial)>;
  return whole<S>(
      std::move(name), [get](S& s, std::int64_t n) { std::invoke(get, s) = static_cast<T>(n); },
      std::to_string(initial), std::move(unit), bounds, std::move(words));
}

template <class S, class Get>
KeySpec seconds(std::string name, Get get, Bounds bounds, Words words) {
  S defaults{};
  const std::optional<base::Duration> initial = std::invoke(get, defaults);
  return whole<S>(
      std::move(name), [get](S& s, std::int64_t n) { std::invoke(get, s) = std::chrono::seconds{n}; },
      initial ? std::to_string(base::whole_seconds(*initial)) : "", "s", bounds, std::move(words));
}

// A text that `reader` turns into the member's value (Reading<T>).
template <class S, class Get, class Reader>
KeySpec parsed(std::string name, Get get, std::string type, Reader reader, Words words) {
  KeySpec spec;
  spec.name = std::move(name);
  spec.type = std::move(type);
  spec.meaning = std::move(words.meaning);
  spec.example = std::move(words.example);
  spec.read = [get, reader, example = spec.example](void* section, const ConfigNode& node, const std::string& path,
                                                    ConfigProblems& problems) {
    const std::string* text = std::get_if<std::string>(&node.value);
    if (!text) return wrong_type(node, "a text in quotes", example, path, problems);
    auto value = reader(*text);
    if (!value) return problems.add(node.line, path, value.error().what, value.error().remedy);
    std::invoke(get, *static_cast<S*>(section)) = std::move(value).value();
  };
  return spec;
}

template <class S, class Get>
KeySpec text(std::string name, Get get, std::size_t max_bytes, Words words) {
  KeySpec spec = parsed<S>(
      std::move(name), get, "text", [max_bytes](const std::string& t) { return read_line(t, max_bytes); },
      std::move(words));
  S defaults{};
  if (const std::string initial = std::invoke(get, defaults); !initial.empty()) spec.fallback = "\"" + initial + "\"";
  return spec;
}

// A path of a file or folder, made absolute.
template <class S, class Get>
KeySpec path(std::string name, Get get, Words words) {
  KeySpec spec = text<S>(std::move(name), get, 4096, std::move(words));
  spec.type = "path";
  spec.read = [get, read = std::move(spec.read)](void* section, const ConfigNode& node, const std::string& key,
                                                 ConfigProblems& problems) {
    read(section, node, key, problems);
    std::string& value = std::invoke(get, *static_cast<S*>(section));
    if (!value.empty()) value = problems.absolute(value);
  };
  return spec;
}

template <class E>
using Choices = std::vector<std::pair<std::string, E>>;

template <class S, class Get, class E>
KeySpec choice(std::string name, Get get, Choices<E> choices, Words words) {
  KeySpec spec;
  spec.name = std::move(name);
  spec.type = "one of";
  S defaults{};
  std::vector<std::string> names;
  std::vector<std::string> quoted_names;
  for (const auto& [text, value] : choices) {
    names.push_back(text);
    quoted_names.push_back("\"" + text + "\"");
    if (std::invoke(get, defaults) == value) spec.fallback = "\"" + text + "\"";
  }
  spec.range = joined(quoted_names, ", ");
  spec.meaning = std::move(words.meaning);
  spec.example = std::move(words.example);
  const std::string list = joined(quoted_names, " or ");
  spec.read = [get, choices, names, list](void* section, const ConfigNode& node, const std::string& path,
                                          ConfigProblems& problems) {
    const std::string* text = std::get_if<std::string>(&node.value);
    if (!text) return wrong_type(node, "a text in quotes", list, path, problems);
    for (const auto& [known, value] : choices) {
      if (known != *text) continue;
      std::invoke(get, *static_cast<S*>(section)) = value;
      return;
    }
    const auto meant = closest(*text, names);
    problems.add(node.line, path, "'" + *text + "' is no choice" + (meant ? "; did you mean \"" + *meant + "\"?" : ""),
                 "write " + list);
  };
  return spec;
}

enum class Doubles : std::uint8_t { refused, allowed };

// A list of texts, each read by `reader` (Reading<T>).
template <class S, class Get, class Reader>
KeySpec list(std::string name, Get get, std::string type, std::size_t max_items, Reader reader, Words words,
             Doubles doubles = Doubles::refused) {
  KeySpec spec;
  spec.name = std::move(name);
  spec.type = std::move(type);
  spec.range = "at most " + std::to_string(max_items);
  spec.meaning = std::move(words.meaning);
  spec.example = std::move(words.example);
  spec.read = [get, reader, max_items, doubles, example = spec.example](
                  void* section, const ConfigNode& node, const std::string& path, ConfigProblems& problems) {
    const auto* items = std::get_if<ConfigNode::List>(&node.value);
    if (!items) return wrong_type(node, "a list", example, path, problems);
    if (items->size() > max_items) {
      problems.add(node.line, path, std::to_string(items->size()) + " entries are too many",
                   "write at most " + std::to_string(max_items));
      return;
    }
    auto& out = std::invoke(get, *static_cast<S*>(section));
    out.clear();
    for (std::size_t i = 0; i < items->size(); ++i) {
      const ConfigNode& item = (*items)[i];
      const std::string item_path = path + "[" + std::to_string(i) + "]";
      const std::string* text = std::get_if<std::string>(&item.value);
      if (!text) {
        wrong_type(item, "a text in quotes", example, item_path, problems);
        continue;
      }
      auto value = reader(*text);
      if (!value) {
        problems.add(item.line, item_path, value.error().what, value.error().remedy);
        continue;
      }
      if (doubles == Doubles::refused && std::find(out.begin(), out.end(), *value) != out.end()) {
        problems.add(item.line, item_path, "'" + *text + "' stands twice in the list", "remove one of them");
        continue;
      }
      out.push_back(std::move(value).value());
    }
  };
  return spec;
}

inline KeySpec required(KeySpec spec) {
  spec.required = true;
  spec.fallback.clear();
  return spec;
}
inline KeySpec only(ForRole role, KeySpec spec) {
  spec.role = role;
  return spec;
}
inline KeySpec by_default(std::string words, KeySpec spec) {
  spec.fallback = std::move(words);
  return spec;
}

}  // namespace dots::ops::keys
