#include "wire/json_value.h"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <utility>

namespace dots::wire {
namespace {

namespace json = boost::json;
using json::error_code;

constexpr std::size_t kFewMembers = 16;

// Builds the tree below `root`; `open` are the containers that are not closed, innermost last.
struct TreeBuilder {
  static constexpr std::size_t max_object_size = SIZE_MAX;
  static constexpr std::size_t max_array_size = SIZE_MAX;
  static constexpr std::size_t max_key_size = 512;
  static constexpr std::size_t max_string_size = SIZE_MAX;

  explicit TreeBuilder(const JsonLimits& limits) : bounds(limits) {}

  const JsonLimits& bounds;
  JsonValue root;
  std::vector<JsonValue*> open;
  std::string part;
  std::string name;  // of the member whose value comes next
  std::size_t values = 0;
  std::string failure;

  bool fail(std::string why, error_code& ec) {
    failure = std::move(why);
    ec = json::error::exception;
    return false;
  }

  JsonValue* place(JsonValue::Kind kind, error_code& ec) {
    if (++values > bounds.values) {
      fail("more than " + std::to_string(bounds.values) + " values", ec);
      return nullptr;
    }
    JsonValue* at = &root;
    if (!open.empty()) {
      JsonValue& parent = *open.back();
      if (parent.is_array()) {
        at = &parent.entries.emplace_back();
      } else {
        at = &parent.members.emplace_back(JsonMember{std::exchange(name, {}), {}}).value;
      }
    }
    at->kind = kind;
    return at;
  }
  bool begin(JsonValue::Kind kind, error_code& ec) {
    JsonValue* at = place(kind, ec);
    if (at != nullptr) open.push_back(at);
    return at != nullptr;
  }
  bool leaf(JsonValue::Kind kind, std::uint64_t number, error_code& ec) {
    JsonValue* at = place(kind, ec);
    if (at != nullptr) at->number = number;
    return at != nullptr;
  }

  static bool on_document_begin(error_code&) { return true; }
  static bool on_document_end(error_code&) { return true; }
  bool on_object_begin(error_code& ec) { return begin(JsonValue::Kind::object, ec); }
  bool on_array_begin(error_code& ec) { return begin(JsonValue::Kind::array, ec); }
  bool on_object_end(std::size_t, error_code& ec) {
    // Small objects were checked member by member; a large one is sorted once.
    const auto& members = open.back()->members;
    if (members.size() > kFewMembers) {
      std::vector<std::string_view> names;
      names.reserve(members.size());
      for (const auto& member : members) names.push_back(member.name);
      std::sort(names.begin(), names.end());
      const auto twice = std::adjacent_find(names.begin(), names.end());
      if (twice != names.end()) return fail("member '" + std::string(*twice) + "' stands twice in one object", ec);
    }
    open.pop_back();
    return true;
  }
  bool on_array_end(std::size_t, error_code&) { return open.pop_back(), true; }

  bool on_key_part(json::string_view text, std::size_t, error_code&) {
    return part.append(text.data(), text.size()), true;
  }
  bool on_key(json::string_view text, std::size_t, error_code& ec) {
    part.append(text.data(), text.size());
    name = std::exchange(part, {});
    const JsonValue& object = *open.back();
    if (object.members.size() < kFewMembers && object.member(name) != nullptr) {
      return fail("member '" + name + "' stands twice in one object", ec);
    }
    return true;
  }
  bool on_string_part(json::string_view text, std::size_t, error_code& ec) {
    part.append(text.data(), text.size());
    if (part.size() <= bounds.string_bytes) return true;
    return fail("a string is longer than " + std::to_string(bounds.string_bytes) + " bytes", ec);
  }
  bool on_string(json::string_view text, std::size_t size, error_code& ec) {
    if (!on_string_part(text, size, ec)) return false;
    JsonValue* at = place(JsonValue::Kind::string, ec);
    if (at != nullptr) at->text = std::exchange(part, {});
    return at != nullptr;
  }
  static bool on_number_part(json::string_view, error_code&) { return true; }
  bool on_uint64(std::uint64_t value, json::string_view, error_code& ec) {
    return leaf(JsonValue::Kind::integer, value, ec);
  }
  bool on_int64(std::int64_t value, json::string_view, error_code& ec) {
    if (value >= 0) return leaf(JsonValue::Kind::integer, static_cast<std::uint64_t>(value), ec);
    return leaf(JsonValue::Kind::negative_integer, static_cast<std::uint64_t>(-1 - value), ec);
  }
  bool on_double(double, json::string_view, error_code& ec) { return leaf(JsonValue::Kind::other_number, 0, ec); }
  bool on_bool(bool value, error_code& ec) { return leaf(JsonValue::Kind::boolean, value ? 1 : 0, ec); }
  bool on_null(error_code& ec) { return leaf(JsonValue::Kind::null, 0, ec); }
  static bool on_comment_part(json::string_view, error_code&) { return true; }
  static bool on_comment(json::string_view, error_code&) { return true; }
};

}  // namespace

const JsonValue* JsonValue::member(std::string_view name) const {
  for (const JsonMember& member : members) {
    if (member.name == name) return &member.value;
  }
  return nullptr;
}

base::Result<JsonValue> parse_json(std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.bytes) {
    return base::Error{"the body is longer than " + std::to_string(limits.bytes) + " bytes"};
  }
  json::parse_options options;
  options.max_depth = limits.depth;
  json::basic_parser<TreeBuilder> parser(options, limits);
  error_code ec;
  const std::size_t used = parser.write_some(false, text.data(), text.size(), ec);
  TreeBuilder& builder = parser.handler();
  if (!builder.failure.empty()) return base::Error{builder.failure};
  if (ec) return base::Error{"not JSON: " + ec.message() + " near byte " + std::to_string(used)};
  if (used != text.size()) return base::Error{"text after the end of the body"};
  return std::move(builder.root);
}

}  // namespace dots::wire
