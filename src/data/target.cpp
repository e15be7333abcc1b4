#include "data/target.h"

#include <algorithm>
#include <charconv>

#include "data/leaf_value.h"

namespace dots::data {
namespace {

constexpr std::size_t kLongestTarget = 8192;
constexpr std::size_t kDeepestFields = 16;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Checked<std::string> decode(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%') {
      out += text[at];
      continue;
    }
    const int high = at + 2 < text.size() ? hex_digit(text[at + 1]) : -1;
    const int low = at + 2 < text.size() ? hex_digit(text[at + 2]) : -1;
    if (high < 0 || low < 0)
      return fault::protocol(400, "invalid-value", "the request target has a '%' without two digits");
    out += static_cast<char>(high * 16 + low);
    at += 2;
  }
  return out;
}

Fault names_nothing() { return fault::not_found("the request target names no resource"); }
Fault bad_query(std::string message) { return fault::protocol(400, "invalid-value", std::move(message)); }

Checked<std::vector<std::string>> read_keys(const Node& of, std::string_view text) {
  std::vector<const Node*> leaves = of.is_list() ? of.keys() : std::vector<const Node*>{&of};
  std::vector<std::string> keys;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    if (keys.size() == leaves.size())
      return fault::protocol(400, "invalid-value", "too many keys for " + std::string(of.name));
    auto raw = decode(text.substr(at, end - at));
    if (!raw) return raw.error();
    auto key = leaf_from_text(*leaves[keys.size()], *raw);
    if (!key) {
      return fault::protocol(400, "invalid-value", std::string(leaves[keys.size()]->name) + " " + key.error().message);
    }
    keys.push_back(std::move(*key));
    at = end + 1;
  }
  if (keys.size() != leaves.size())
    return fault::protocol(400, "invalid-value", "a key of " + std::string(of.name) + " is missing");
  return keys;
}

class FieldsReader {
 public:
  explicit FieldsReader(std::string_view text) : text_(text) {}

  // expr = path [ "(" expr ")" ] *( ";" expr )
  Checked<Fields> run(const Node& of) {
    Fields all;
    if (auto read = list(of, all, 0); !read) return read.error();
    if (at_ != text_.size()) return bad_query("fields has something after its end");
    return all;
  }

 private:
  Checked<void> list(const Node& of, Fields& into, std::size_t depth) {
    if (depth > kDeepestFields) return bad_query("fields is nested too deeply");
    for (;;) {
      if (auto read = path(of, into, depth); !read) return read;
      if (at_ == text_.size() || text_[at_] != ';') return {};
      ++at_;
    }
  }

  Checked<void> path(const Node& of, Fields& into, std::size_t depth) {
    const std::size_t end = std::min(text_.find_first_of(";/()", at_), text_.size());
    const std::string_view name = text_.substr(at_, end - at_);
    const std::size_t colon = name.find(':');
    const Node* child = of.child(name);
    if (child == nullptr && colon != std::string_view::npos && name.substr(0, colon) == module_of(of)) {
      child = of.child(name.substr(colon + 1));
    }
    if (child == nullptr)
      return bad_query("fields names '" + std::string(name.substr(0, 64)) + "', which is not there");
    at_ = end;
    const bool known = into.below.count(child) > 0;
    Fields& below = into.below[child];
    const bool whole = known && below.below.empty();
    if (at_ < text_.size() && text_[at_] == '/') {
      ++at_;
      if (auto read = path(*child, below, depth + 1); !read) return read;
    } else if (at_ < text_.size() && text_[at_] == '(') {
      ++at_;
      if (auto read = list(*child, below, depth + 1); !read) return read;
      if (at_ == text_.size() || text_[at_] != ')') return bad_query("fields lacks a ')'");
      ++at_;
    } else {
      below.below.clear();
    }
    if (whole) below.below.clear();
    return {};
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

Checked<std::vector<Step>> parse_steps(std::string_view path) {
  std::vector<Step> steps;
  const Node* at = &datastore();
  while (!path.empty()) {
    path.remove_prefix(1);  // '/'
    const std::size_t end = std::min(path.find('/'), path.size());
    const std::string_view segment = path.substr(0, end);
    path.remove_prefix(end);
    if (segment.empty() && path.empty() && !steps.empty()) break;  // a final '/'
    const std::size_t equals = segment.find('=');
    auto name = decode(segment.substr(0, equals));
    if (!name) return name.error();
    const Node* child = at->child(*name);
    if (child == nullptr && at->id != NodeId::none) {
      // RFC 8040 3.5.3: the module is only needed where it changes, but not forbidden elsewhere.
      const std::size_t colon = name->find(':');
      if (colon != std::string::npos && name->substr(0, colon) == module_of(*at))
        child = at->child(name->substr(colon + 1));
    }
    if (child == nullptr) return names_nothing();
    Step step{child, {}};
    if (equals != std::string_view::npos) {
      if (!child->is_many()) return fault::protocol(400, "invalid-value", std::string(child->name) + " has no key");
      auto keys = read_keys(*child, segment.substr(equals + 1));
      if (!keys) return keys.error();
      step.keys = std::move(*keys);
    } else if (child->is_many() && path.size() > 1) {
      return fault::protocol(400, "invalid-value", "the key of " + std::string(child->name) + " is missing");
    }
    steps.push_back(std::move(step));
    at = child;
  }
  return steps;
}

Checked<Target> parse_target(std::string_view path, std::string_view root) {
  using Kind = Target::Kind;
  if (path.size() > kLongestTarget) return fault::protocol(414, "too-big", "the request target is too long");
  if (path == "/.well-known/host-meta") return Target{Kind::host_meta};
  if (path == "/.well-known/host-meta.json") return Target{Kind::host_meta_json};
  if (path.substr(0, root.size()) != root) return names_nothing();
  path.remove_prefix(root.size());
  if (path.empty() || path == "/") return Target{Kind::api};
  if (path == "/operations" || path == "/operations/") return Target{Kind::operations};
  if (path == "/yang-library-version") return Target{Kind::library_version};
  constexpr std::string_view kData = "/data";
  if (path.substr(0, kData.size()) != kData) return names_nothing();
  path.remove_prefix(kData.size());
  if (path == "/") path = {};
  if (!path.empty() && path.front() != '/') return names_nothing();
  auto steps = parse_steps(path);
  if (!steps) return steps.error();
  return Target{Kind::data, std::move(*steps)};
}

Checked<Query> parse_query(std::string_view text, const Node& target) {
  Query query;
  std::vector<std::string> seen;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('&'), text.size());
    const std::string_view parameter = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::size_t equals = std::min(parameter.find('='), parameter.size());
    const std::string name(parameter.substr(0, equals));
    auto decoded = decode(parameter.substr(std::min(equals + 1, parameter.size())));
    if (!decoded) return decoded.error();
    const std::string& value = *decoded;
    if (std::find(seen.begin(), seen.end(), name) != seen.end())
      return bad_query("query parameter " + name + " stands twice");
    seen.push_back(name);
    if (name == "content") {
      if (value == "all") {
        query.selection.content = Content::all;
      } else if (value == "config") {
        query.selection.content = Content::config;
      } else if (value == "nonconfig") {
        query.selection.content = Content::nonconfig;
      } else {
        return bad_query("content must be all, config or nonconfig");
      }
      query.selects = true;
    } else if (name == "depth") {
      std::uint32_t depth = 0;
      const auto [stop, failure] = std::from_chars(value.data(), value.data() + value.size(), depth);
      const bool is_number =
          failure == std::errc{} && stop == value.data() + value.size() && depth >= 1 && depth <= 65535;
      if (!is_number && value != "unbounded") return bad_query("depth must be 1 to 65535 or unbounded");
      if (is_number) query.selection.depth = depth;
      query.selects = true;
    } else if (name == "fields") {
      auto fields = FieldsReader(value).run(target);
      if (!fields) return fields.error();
      query.selection.fields = std::move(*fields);
      query.selects = true;
    } else if (name == "insert") {
      using Where = Placement::Where;
      constexpr std::pair<std::string_view, Where> kWheres[] = {
          {"first", Where::first}, {"last", Where::last}, {"before", Where::before}, {"after", Where::after}};
      const auto where =
          std::find_if(std::begin(kWheres), std::end(kWheres), [&](const auto& w) { return w.first == value; });
      if (where == std::end(kWheres)) return bad_query("insert must be first, last, before or after");
      query.placement.where = where->second;
    } else if (name == "point") {
      if (value.empty() || value.front() != '/') return bad_query("point must be a path that starts with '/'");
      auto point = parse_steps(value);
      if (!point) return bad_query("point names no resource");
      query.point = std::move(*point);
    } else {
      return bad_query("query parameter " + name.substr(0, 64) + " is not known");
    }
  }
  const bool relative =
      query.placement.where == Placement::Where::before || query.placement.where == Placement::Where::after;
  if (relative != query.point.has_value()) return bad_query("insert=before or after and point go together");
  return query;
}

std::string percent_encoded(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~';
    if (plain) {
      out += c;
    } else {
      out += '%';
      out += kDigits[byte >> 4U];
      out += kDigits[byte & 0xfU];
    }
  }
  return out;
}

std::string to_path(const std::vector<Step>& steps) {
  std::string path;
  for (const Step& step : steps) {
    path += '/';
    path += step.node->name;
    for (std::size_t i = 0; i < step.keys.size(); ++i) path += (i == 0 ? "=" : ",") + percent_encoded(step.keys[i]);
  }
  return path;
}

}  // namespace dots::data
