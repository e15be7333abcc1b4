#include "model/document_builder.h"

#include <algorithm>
#include <cassert>
#include <span>
#include <utility>
#include <vector>

#include "model/ip.h"
#include "model/text.h"

namespace dots::model {

std::string describe(const Attribute& attribute) {
  return "attribute " + std::to_string(attribute.number()) + " (" + std::string(attribute.local_name()) + ")";
}

DocumentBuilder::DocumentBuilder(const Shape& shape, Manner manner, DocumentLimits limits)
    : shape_(shape), manner_(manner), budget_(limits.items) {}

bool DocumentBuilder::fail(std::string message) {
  failure_ = std::move(message);
  return false;
}

bool DocumentBuilder::spend() {
  if (budget_ == 0) return fail("the body has too many items");
  --budget_;
  return true;
}

std::string DocumentBuilder::place_name() const {
  std::string out = "a " + std::string(shape_.name);
  if (depth_ > 0 && stack_[depth_ - 1].node != nullptr) {
    out = std::string(stack_[depth_ - 1].node->attribute->local_name()) + " of " + out;
  }
  return out;
}

DocumentBuilder::Take DocumentBuilder::refuse_key(std::uint64_t key, const ShapeNode* node) {
  if (key == 0 || key > UINT16_MAX) {
    fail("key " + std::to_string(key) + " is outside 1 to 65535");
    return Take::refuse;
  }
  const bool wanted = node != nullptr || comprehension_of(key) == Comprehension::required;
  if (manner_ == Manner::tolerant || !wanted) return Take::skip;
  const Attribute* known = find_attribute(key);
  if (known == nullptr) {
    fail("unknown comprehension-required attribute " + std::to_string(key));
  } else if (node != nullptr) {
    fail(describe(*known) + " must not be in " + place_name() + " (RFC " + std::string(node->section) + ")");
  } else {
    fail(describe(*known) + " is not allowed in " + place_name());
  }
  return Take::refuse;
}

DocumentBuilder::Take DocumentBuilder::key(std::uint64_t key) {
  assert(depth_ > 0 && !stack_[depth_ - 1].array);
  Frame& frame = stack_[depth_ - 1];
  const auto members = shape_.nodes.subspan(frame.first, frame.members);
  const auto at = [&members](std::size_t i) { return static_cast<std::uint64_t>(members[i].child); };
  // Keys usually ascend: go on where the last one was found.
  std::size_t i = frame.cursor;
  if (i >= members.size() || at(i) > key) i = 0;
  while (i < members.size() && at(i) < key) ++i;
  if (i == members.size() || at(i) != key) return refuse_key(key, nullptr);
  frame.cursor = static_cast<std::uint16_t>(i);
  const ShapeNode& node = members[i];
  if (node.presence == Presence::forbidden) return refuse_key(key, &node);
  const std::uint64_t bit = std::uint64_t{1} << i;
  if ((frame.seen & bit) != 0) {
    fail(describe(*node.attribute) + " is given twice");
    return Take::refuse;
  }
  frame.seen |= bit;
  pending_ = &node;
  return Take::accept;
}

DocumentBuilder::Take DocumentBuilder::key(std::string_view name) {
  assert(depth_ > 0 && !stack_[depth_ - 1].array);
  const Frame& frame = stack_[depth_ - 1];
  const auto members = shape_.nodes.subspan(frame.first, frame.members);
  for (const ShapeNode& node : members) {
    if (node.attribute->name == name) return key(node.attribute->number());
  }
  // RFC 7951 section 4: the module may be left out, and may be written where the table leaves it out.
  const std::size_t colon = name.find(':');
  const std::string_view local = colon == std::string_view::npos ? name : name.substr(colon + 1);
  for (const ShapeNode& node : members) {
    const bool qualified = node.attribute->name != node.attribute->local_name();
    if (node.attribute->local_name() == local && (colon == std::string_view::npos || !qualified)) {
      return key(node.attribute->number());
    }
  }
  if (const Attribute* known = find_attribute(name)) return refuse_key(known->number(), nullptr);
  if (manner_ == Manner::tolerant) return Take::skip;
  fail("unknown attribute '" + std::string(clip(name, 64)) + "' in " + place_name());
  return Take::refuse;
}

const ShapeNode* DocumentBuilder::place() const {
  if (pending_ != nullptr) return pending_;
  return depth_ > 0 && stack_[depth_ - 1].array ? stack_[depth_ - 1].node : nullptr;
}

const Attribute* DocumentBuilder::expected_leaf() const {
  const ShapeNode* node = place();
  if (node == nullptr || node->attribute->type == ValueType::container) return nullptr;
  const bool entry = pending_ == nullptr;
  return entry == (node->attribute->arity == Arity::many) ? node->attribute : nullptr;
}

bool DocumentBuilder::wrong_type(const ShapeNode& node) {
  return fail(describe(*node.attribute) + " must be of type " + describe_cbor(*node.attribute));
}

// Takes the place of the next value when a value of this kind may stand there.
bool DocumentBuilder::value_allowed(ItemKind kind) {
  const ShapeNode* node = place();
  if (node == nullptr) return fail("the body of a " + std::string(shape_.name) + " must be one map");
  if (!spend()) return false;
  const bool entry = pending_ == nullptr;
  const Attribute& attribute = *node->attribute;
  const bool array_wanted = attribute.arity == Arity::many && !entry;
  bool fits = false;
  if (array_wanted || kind == ItemKind::array) {
    fits = array_wanted && kind == ItemKind::array;
  } else {
    switch (attribute.cbor_type_of_value()) {
      case CborType::unsigned_integer:
        fits = kind == ItemKind::unsigned_integer;
        break;
      case CborType::unsigned_or_negative:
        fits = kind == ItemKind::unsigned_integer || kind == ItemKind::negative_integer;
        break;
      case CborType::text:
        fits = kind == ItemKind::text;
        break;
      case CborType::map:
        fits = kind == ItemKind::map;
        break;
      case CborType::decimal:
        fits = kind == ItemKind::decimal;
        break;
      case CborType::boolean:
        fits = kind == ItemKind::boolean;
        break;
      case CborType::array:
        break;
    }
  }
  if (!fits) return wrong_type(*node);
  pending_ = nullptr;
  if (entry) {
    Frame& frame = stack_[depth_ - 1];
    ++frame.entries;
    if (manner_ == Manner::strict && node->max_entries != 0 && frame.entries > node->max_entries) {
      return fail(describe(attribute) + " must not have more than " + std::to_string(node->max_entries) +
                  (node->max_entries == 1 ? " entry" : " entries"));
    }
  }
  return true;
}

bool DocumentBuilder::push(const Frame& frame) {
  if (depth_ == kMaxDepth) return fail("the body is nested too deeply");
  stack_[depth_++] = frame;
  return true;
}

bool DocumentBuilder::begin_map() {
  if (!started_) {
    started_ = true;
    Frame frame;
    frame.item = Document::kRoot;
    frame.first = shape_.first_member;
    frame.members = shape_.members;
    return spend() && push(frame);
  }
  const ShapeNode* node = place();
  if (!value_allowed(ItemKind::map)) return false;
  Frame frame;
  frame.node = node;
  frame.first = node->first_member;
  frame.members = node->members;
  frame.item = document_.open(stack_[depth_ - 1].item, *node->attribute, ItemKind::map);
  return push(frame);
}

bool DocumentBuilder::end_map() {
  assert(depth_ > 0 && !stack_[depth_ - 1].array);
  const Frame frame = stack_[depth_ - 1];
  if (manner_ == Manner::strict) {
    const auto members = shape_.nodes.subspan(frame.first, frame.members);
    for (std::size_t i = 0; i < members.size(); ++i) {
      if (members[i].presence == Presence::mandatory && (frame.seen >> i & 1) == 0) {
        return fail(describe(*members[i].attribute) + " is missing in " + place_name());
      }
    }
    if (frame.seen == 0 && frame.node != nullptr) return fail(describe(*frame.node->attribute) + " is empty");
  }
  document_.close(frame.item);
  if (shape_.message == Message::config_answer) {
    order_bounds(frame.item, Key::max_value, Key::min_value);
    order_bounds(frame.item, Key::max_value_decimal, Key::min_value_decimal);
  }
  --depth_;
  return true;
}

// The IANA registry has minimum and maximum the other way round than RFC 9132 Table 5: a peer may follow either.
void DocumentBuilder::order_bounds(std::uint32_t map, Key max, Key min) {
  const std::uint32_t upper = document_.member(map, max);
  const std::uint32_t lower = document_.member(map, min);
  if (upper == Document::kRoot || lower == Document::kRoot) return;
  const std::uint64_t a = document_[upper].number;
  const std::uint64_t b = document_[lower].number;
  if (a >= b) return;
  document_.set_number(upper, b);
  document_.set_number(lower, a);
}

bool DocumentBuilder::begin_array() {
  const ShapeNode* node = place();
  if (!value_allowed(ItemKind::array)) return false;
  Frame frame;
  frame.node = node;
  frame.array = true;
  frame.item = document_.open(stack_[depth_ - 1].item, *node->attribute, ItemKind::array);
  return push(frame);
}

bool DocumentBuilder::end_array() {
  assert(depth_ > 0 && stack_[depth_ - 1].array);
  const Frame& frame = stack_[depth_ - 1];
  document_.close(frame.item);
  if (manner_ == Manner::strict) {
    if (frame.entries == 0) return fail(describe(*frame.node->attribute) + " is empty");
    if (!unique_entries(frame)) return false;
  }
  --depth_;
  return true;
}

bool DocumentBuilder::unique_entries(const Frame& frame) {
  const Key list_key = frame.node->list_key;
  if (list_key == Key::none || frame.entries < 2) return true;
  using Value = std::pair<std::uint64_t, std::string_view>;
  std::array<Value, 16> few;  // the usual case needs no allocation
  std::vector<Value> many(frame.entries > few.size() ? frame.entries : 0);
  const std::span<Value> room = many.empty() ? std::span<Value>(few) : std::span<Value>(many);
  std::size_t count = 0;
  for (auto i = document_.first(frame.item); i != document_.end_of(frame.item); i = document_.next(i)) {
    const std::uint32_t leaf = document_.member(i, list_key);
    if (leaf != Document::kRoot) room[count++] = {document_[leaf].number, document_[leaf].text};
  }
  const auto values = room.first(count);
  std::sort(values.begin(), values.end());
  if (std::adjacent_find(values.begin(), values.end()) == values.end()) return true;
  return fail(describe(*frame.node->attribute) + " has two entries with the same " +
              std::string(attribute(list_key).local_name()));
}

bool DocumentBuilder::number_in_range(const Attribute& attribute, std::uint64_t value) {
  if (value < attribute.range.min || value > attribute.range.max) {
    return fail(describe(attribute) + " must be from " + std::to_string(attribute.range.min) + " to " +
                std::to_string(attribute.range.max));
  }
  if (attribute.type == ValueType::enumeration && manner_ == Manner::strict && !enum_name(attribute, value)) {
    return fail(describe(attribute) + " has the unassigned code " + std::to_string(value));
  }
  return true;
}

bool DocumentBuilder::unsigned_integer(std::uint64_t value) {
  const ShapeNode* node = place();
  if (!value_allowed(ItemKind::unsigned_integer) || !number_in_range(*node->attribute, value)) return false;
  document_.add(stack_[depth_ - 1].item, *node->attribute, ItemKind::unsigned_integer, value);
  return true;
}

bool DocumentBuilder::negative_integer(std::uint64_t minus_one_minus_value) {
  const ShapeNode* node = place();
  if (!value_allowed(ItemKind::negative_integer)) return false;
  if (minus_one_minus_value != 0) {
    return fail(describe(*node->attribute) + " must be -1 or from 0 to " + std::to_string(node->attribute->range.max));
  }
  document_.add(stack_[depth_ - 1].item, *node->attribute, ItemKind::negative_integer, 0);
  return true;
}

bool DocumentBuilder::boolean(bool value) {
  const ShapeNode* node = place();
  if (!value_allowed(ItemKind::boolean)) return false;
  document_.add(stack_[depth_ - 1].item, *node->attribute, ItemKind::boolean, value ? 1 : 0);
  return true;
}

bool DocumentBuilder::decimal(std::uint64_t hundredths) {
  const ShapeNode* node = place();
  if (!value_allowed(ItemKind::decimal) || !number_in_range(*node->attribute, hundredths)) return false;
  document_.add(stack_[depth_ - 1].item, *node->attribute, ItemKind::decimal, hundredths);
  return true;
}

bool DocumentBuilder::text_fits(const Attribute& attribute, std::string_view value) {
  if (value.size() > attribute.range.max) {
    return fail(describe(attribute) + " is longer than " + std::to_string(attribute.range.max) + " bytes");
  }
  if (manner_ == Manner::tolerant) {
    return is_utf8(value) || fail(describe(attribute) + " is not UTF-8");
  }
  if (value.empty()) return fail(describe(attribute) + " is empty");
  if (!is_plain_text(value)) return fail(describe(attribute) + " has control characters or broken UTF-8");
  switch (attribute.type) {
    case ValueType::ip_prefix:
      if (const auto parsed = parse_prefix(value); !parsed) {
        return fail(describe(attribute) + ": " + parsed.error().message);
      }
      return true;
    case ValueType::ip_address:
      if (const auto parsed = parse_ip_address(value); !parsed) {
        return fail(describe(attribute) + ": " + parsed.error().message);
      }
      return true;
    case ValueType::domain_name:
      return is_domain_name(value) ||
             fail(describe(attribute) + ": '" + std::string(clip(value, 64)) + "' is not a domain name");
    case ValueType::uri:
      return is_uri(value) || fail(describe(attribute) + ": '" + std::string(clip(value, 64)) + "' is not a URI");
    default:
      return true;
  }
}

bool DocumentBuilder::text(std::string_view value) {
  const ShapeNode* node = place();
  if (!value_allowed(ItemKind::text) || !text_fits(*node->attribute, value)) return false;
  document_.add_text(stack_[depth_ - 1].item, *node->attribute, value);
  return true;
}

bool DocumentBuilder::foreign(std::string_view what) {
  if (const ShapeNode* node = place()) {
    return fail(describe(*node->attribute) + " must be of type " + describe_cbor(*node->attribute) + ", not " +
                std::string(what));
  }
  return fail("the body of a " + std::string(shape_.name) + " must be one map");
}

Document DocumentBuilder::take() {
  assert(started_ && depth_ == 0 && failure_.empty());
  return std::move(document_);
}

}  // namespace dots::model
