#include "wire/explain.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <optional>

#include "model/mitigation_document.h"
#include "model/text.h"
#include "wire/cbor.h"
#include "wire/cbor_syntax.h"
#include "wire/json_text.h"

namespace dots::wire {
namespace {

using base::Error;
using model::Attribute;
using model::Message;
using model::ValueType;

constexpr std::size_t kMaxBytes = 1 << 20;
constexpr std::size_t kMaxItems = 65536;
constexpr std::size_t kMaxDepth = 32;

// "18446744073709551615" or "-18446744073709551616"
std::string integer_text(const cbor::Head& head) {
  if (head.major == cbor::Major::unsigned_integer) return std::to_string(head.argument);
  if (head.argument == UINT64_MAX) return "-18446744073709551616";
  return "-" + std::to_string(head.argument + 1);
}

double float_value(const cbor::Head& head) {
  if (head.info == 27) return std::bit_cast<double>(head.argument);
  if (head.info == 26) return std::bit_cast<float>(static_cast<std::uint32_t>(head.argument));
  // RFC 8949 appendix D
  const auto half = static_cast<unsigned>(head.argument);
  const int exponent = static_cast<int>(half >> 10 & 0x1f);
  const double mantissa = half & 0x3ff;
  double value = 0;
  if (exponent == 0) {
    value = std::ldexp(mantissa, -24);
  } else if (exponent != 31) {
    value = std::ldexp(mantissa + 1024, exponent - 25);
  } else {
    value = mantissa == 0 ? INFINITY : NAN;
  }
  return (half & 0x8000) != 0 ? -value : value;
}

std::string float_text(const cbor::Head& head) {
  const double value = float_value(head);
  if (!std::isfinite(value)) return std::isnan(value) ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
  std::array<char, 40> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  return {text.data(), end};
}

class Explainer {
 public:
  explicit Explainer(base::ByteView bytes) : bytes_(bytes), reader_(bytes), json_(true) {}

  base::Result<Explanation> run() {
    cbor::Head head;
    if (!reader_.head(head)) return failure();
    if (head.major == cbor::Major::tag && head.argument == cbor::kTagDots) {
      out_.remarks.emplace_back("tag 271 stands before the body (RFC 9132 10.5)");
      if (!reader_.head(head)) return failure();
    }
    if (head.major != cbor::Major::map) return Error{"a DOTS body is a CBOR map; this is none"};
    if (!map(head, 0, nullptr)) return failure();
    if (!reader_.empty()) out_.remarks.push_back(std::to_string(reader_.left()) + " bytes follow the body");
    out_.json = json_.take();
    return std::move(out_);
  }

  const std::vector<std::uint64_t>& outermost() const { return outermost_; }

 private:
  Error failure() const {
    const std::string reason = problem_.empty() ? std::string(cbor::describe(reader_.fault())) : problem_;
    return Error{reason + " (near byte " + std::to_string(bytes_.size() - reader_.left()) + ")"};
  }
  bool stop(std::string problem) {
    problem_ = std::move(problem);
    return false;
  }

  void line(std::size_t depth, const std::string& text) { out_.lines.push_back(std::string(2 * depth, ' ') + text); }
  // Ends the line of the attribute whose value was just read.
  void finish_line(const std::string& value) {
    if (open_line_ < out_.lines.size()) out_.lines[open_line_] += value;
  }

  static std::string title(std::uint64_t key, const Attribute* known) {
    std::string out = std::to_string(key);
    if (known != nullptr) {
      const std::string from = known->rfc == 0 ? "extension" : "RFC " + std::to_string(known->rfc);
      return out + " " + std::string(known->name) + " [" + known->yang_type() + ", " + from + "]";
    }
    if (key == 0 || key > UINT16_MAX) return out + " [outside the registry]";
    out += key >= 49152 ? " [private use, " : " [unknown, ";
    return out + std::string(to_string(model::comprehension_of(key))) + "]";
  }

  bool map(const cbor::Head& head, std::size_t depth, const Attribute* container) {
    if (depth > kMaxDepth) return stop("nested too deeply");
    json_.begin_object();
    std::vector<std::uint64_t> seen;
    std::optional<std::uint64_t> bounds[2];  // max, min
    for (std::uint64_t i = 0; i < head.argument; ++i) {
      cbor::Head key;
      if (!reader_.head(key)) return false;
      if (++items_ > kMaxItems) return stop("too many items");
      if (key.major != cbor::Major::unsigned_integer) {
        if (!odd_key(key, depth)) return false;
        continue;
      }
      const Attribute* known = model::find_attribute(key.argument);
      if (depth == 0) outermost_.push_back(key.argument);
      if (std::find(seen.begin(), seen.end(), key.argument) != seen.end()) {
        out_.remarks.push_back("key " + std::to_string(key.argument) + " is given twice in one map");
      }
      if (seen.size() < 64) seen.push_back(key.argument);
      json_.key(known != nullptr ? std::string(known->name) : std::to_string(key.argument));
      open_line_ = out_.lines.size();
      line(depth, title(key.argument, known));
      last_number_.reset();
      if (!value(known, container, depth + 1, false)) return false;
      if (known == nullptr) continue;
      if (known->key == model::Key::max_value || known->key == model::Key::max_value_decimal) bounds[0] = last_number_;
      if (known->key == model::Key::min_value || known->key == model::Key::min_value_decimal) bounds[1] = last_number_;
    }
    if (bounds[0] && bounds[1] && *bounds[0] < *bounds[1]) {
      out_.remarks.emplace_back(
          "a maximum is below its minimum: the sender follows the IANA registry, not RFC 9132 Table 5; read them "
          "swapped");
    }
    json_.end_object();
    return true;
  }

  // A key that is no unsigned integer, and its value.
  bool odd_key(const cbor::Head& key, std::size_t depth) {
    std::string name = "(key of another type)";
    if (key.major == cbor::Major::text) {
      const std::string_view text = reader_.string(key);
      if (model::is_utf8(text)) name = std::string(model::clip(text, 128));
    } else if (key.major == cbor::Major::negative_integer) {
      name = integer_text(key);
    } else if (!pass_over(key, depth)) {
      return false;
    }
    out_.remarks.push_back("key '" + name + "' is no integer from 1 to 65535");
    json_.key(name);
    open_line_ = out_.lines.size();
    line(depth, name + " [not a DOTS key]");
    return value(nullptr, nullptr, depth + 1, false);
  }

  // What is inside an item whose head was just read.
  bool pass_over(const cbor::Head& head, std::size_t depth) {
    std::uint64_t inside = 0;
    switch (head.major) {
      case cbor::Major::bytes:
      case cbor::Major::text:
        reader_.string(head);
        break;
      case cbor::Major::array:
        inside = head.argument;
        break;
      case cbor::Major::map:
        inside = 2 * head.argument;
        break;
      case cbor::Major::tag:
        inside = 1;
        break;
      default:
        break;
    }
    if (depth > kMaxDepth) return stop("nested too deeply");
    for (; inside > 0; --inside) {
      cbor::Head item;
      if (++items_ > kMaxItems) return stop("too many items");
      if (!reader_.head(item) || !pass_over(item, depth + 1)) return false;
    }
    return true;
  }

  bool value(const Attribute* known, const Attribute* container, std::size_t depth, bool entry) {
    cbor::Head head;
    if (!reader_.head(head)) return false;
    return value_of(head, known, container, depth, entry);
  }

  bool value_of(const cbor::Head& head, const Attribute* known, const Attribute* container, std::size_t depth,
                bool entry) {
    if (++items_ > kMaxItems) return stop("too many items");
    if (depth > kMaxDepth) return stop("nested too deeply");
    check_type(head, known, entry);
    switch (head.major) {
      case cbor::Major::unsigned_integer:
        number(head, known, container, entry);
        return true;
      case cbor::Major::negative_integer:
        leaf(entry, integer_text(head),
             known != nullptr && known->type == ValueType::lifetime && head.argument == 0 ? " (indefinite)" : "");
        json_.raw(integer_text(head));
        return true;
      case cbor::Major::text:
        text(reader_.string(head), entry);
        return true;
      case cbor::Major::bytes: {
        const std::string hex = "h'" + base::to_hex(base::as_bytes(reader_.string(head))) + "'";
        leaf(entry, hex, "");
        json_.string(hex);
        return true;
      }
      case cbor::Major::simple:
        simple(head, entry);
        return true;
      case cbor::Major::tag:
        return tagged(head, known, container, depth, entry);
      case cbor::Major::map:
        return map(head, depth, known);
      case cbor::Major::array:
        return array(head, known, container, depth);
    }
    return false;
  }

  bool array(const cbor::Head& head, const Attribute* known, const Attribute* container, std::size_t depth) {
    json_.begin_array();
    if (head.argument == 0) finish_line(" = (empty)");
    for (std::uint64_t i = 0; i < head.argument; ++i) {
      cbor::Head item;
      if (!reader_.head(item)) return false;
      if (item.major == cbor::Major::map) line(depth, "- entry " + std::to_string(i + 1));
      if (!value_of(item, known, container, depth + 1, true)) return false;
    }
    json_.end_array();
    return true;
  }

  void leaf(bool entry, const std::string& value, std::string_view after) {
    finish_line((entry && continued() ? ", " : " = ") + value + std::string(after));
  }
  bool continued() const {
    return open_line_ < out_.lines.size() && out_.lines[open_line_].find("] = ") != std::string::npos;
  }

  void number(const cbor::Head& head, const Attribute* known, const Attribute* container, bool entry) {
    last_number_ = head.argument;
    const std::string digits = std::to_string(head.argument);
    if (known != nullptr && known->type == ValueType::enumeration) {
      const auto name = model::enum_name(*known, head.argument);
      leaf(entry, digits, name ? " (" + std::string(*name) + ")" : " (unassigned)");
      return name ? json_.string(*name) : json_.raw(digits);
    }
    leaf(entry, digits, unit(known, container));
    if (known != nullptr && known->json_type_of_value() == model::JsonType::string) return json_.string(digits);
    json_.raw(digits);
  }

  static std::string unit(const Attribute* known, const Attribute* container) {
    if (known == nullptr) return "";
    std::string_view unit = known->unit;
    const auto key = known->key;
    const bool of_container = (key >= model::Key::max_value && key <= model::Key::current_value) ||
                              (key >= model::Key::max_value_decimal && key <= model::Key::current_value_decimal);
    if (of_container && container != nullptr) unit = container->unit;
    return unit.empty() ? "" : " " + std::string(unit);
  }

  void text(std::string_view value, bool entry) {
    if (model::is_utf8(value)) {
      JsonText quoted(false);
      quoted.string(value);
      leaf(entry, quoted.take(), "");
      return json_.string(value);
    }
    out_.remarks.emplace_back("a text string is not UTF-8; its bytes are shown");
    const std::string hex = "h'" + base::to_hex(base::as_bytes(value)) + "'";
    leaf(entry, hex, "");
    json_.string(hex);
  }

  void simple(const cbor::Head& head, bool entry) {
    std::string text = "\"simple(" + std::to_string(head.argument) + ")\"";
    if (head.is_float()) text = float_text(head);
    if (head.info == cbor::kFalse) text = "false";
    if (head.info == cbor::kTrue) text = "true";
    if (head.info == 22) text = "null";
    leaf(entry, text, "");
    json_.raw(text);
  }

  bool tagged(const cbor::Head& tag, const Attribute* known, const Attribute* container, std::size_t depth,
              bool entry) {
    cbor::Head inner;
    if (!reader_.head(inner)) return false;
    if (tag.argument == cbor::kTagDecimal && inner.major == cbor::Major::array && inner.argument == 2) {
      const cbor::Reader before = reader_;
      cbor::Head exponent;
      cbor::Head mantissa;
      if (reader_.head(exponent) && is_integer(exponent) && reader_.head(mantissa) && is_integer(mantissa)) {
        decimal(exponent, mantissa, known, container, entry);
        return true;
      }
      reader_ = before;
    }
    out_.remarks.push_back("tag " + std::to_string(tag.argument) + " has no meaning here");
    return value_of(inner, known, container, depth + 1, entry);
  }

  static bool is_integer(const cbor::Head& head) { return head.major <= cbor::Major::negative_integer; }

  void decimal(const cbor::Head& exponent, const cbor::Head& mantissa, const Attribute* known,
               const Attribute* container, bool entry) {
    std::string text = integer_text(mantissa) + "e" + integer_text(exponent);
    if (exponent.major == cbor::Major::negative_integer && exponent.argument == 1 &&
        mantissa.major == cbor::Major::unsigned_integer) {
      last_number_ = mantissa.argument;
      text = decimal_text(mantissa.argument);
    } else {
      out_.remarks.push_back("decimal " + text + " does not have exactly two fraction digits");
    }
    leaf(entry, text, unit(known, container));
    json_.string(text);
  }

  void check_type(const cbor::Head& head, const Attribute* known, bool entry) {
    if (known == nullptr) return;
    bool fits = false;
    if (!entry && known->arity == model::Arity::many) {
      fits = head.major == cbor::Major::array;
    } else {
      switch (known->cbor_type_of_value()) {
        case model::CborType::unsigned_integer:
          fits = head.major == cbor::Major::unsigned_integer;
          break;
        case model::CborType::unsigned_or_negative:
          fits = head.major <= cbor::Major::negative_integer;
          break;
        case model::CborType::text:
          fits = head.major == cbor::Major::text;
          break;
        case model::CborType::map:
          fits = head.major == cbor::Major::map;
          break;
        case model::CborType::array:
          fits = head.major == cbor::Major::array;
          break;
        case model::CborType::decimal:
          fits = head.major == cbor::Major::tag;
          break;
        case model::CborType::boolean:
          fits = head.major == cbor::Major::simple && (head.info == cbor::kFalse || head.info == cbor::kTrue);
          break;
      }
    }
    if (!fits && head.major != cbor::Major::tag) {
      out_.remarks.push_back(model::describe(*known) + " must be of type " + describe_cbor(*known));
    }
  }

  base::ByteView bytes_;
  cbor::Reader reader_;
  JsonText json_;
  Explanation out_;
  std::vector<std::uint64_t> outermost_;
  std::size_t open_line_ = SIZE_MAX;
  std::size_t items_ = 0;
  std::optional<std::uint64_t> last_number_;
  std::string problem_;
};

Explanation::Verdict judge(base::ByteView bytes, Message message) {
  const auto document = decode_cbor(bytes, message, model::Manner::strict, kAnswerLimits);
  if (!document) return {message, false, document.error().message};
  if (model::shape_of(message).direction == model::Direction::client_to_server &&
      document->member(model::Document::kRoot, model::Key::mitigation_scope) != model::Document::kRoot) {
    const auto request = model::to_mitigation_request(*document);
    if (!request) return {message, false, request.error().message};
  }
  return {message, true, ""};
}

void describe_members(const model::Shape& shape, std::span<const model::ShapeNode> members, std::size_t depth,
                      std::vector<std::string>& out) {
  for (const model::ShapeNode& node : members) {
    if (node.presence == model::Presence::forbidden) continue;
    const Attribute& attribute = *node.attribute;
    out.push_back(std::string(2 * depth, ' ') + std::to_string(attribute.number()) + " " + std::string(attribute.name) +
                  " [" + attribute.yang_type() + ", " + std::string(to_string(node.presence)) + ", " +
                  (node.section == "extension" ? "" : "RFC ") + std::string(node.section) + "]");
    describe_members(shape, shape.members_of(node), depth + 1, out);
  }
}

}  // namespace

base::Result<Explanation> explain_cbor(base::ByteView bytes) {
  if (bytes.empty()) return Error{"there is nothing to decode"};
  if (bytes.size() > kMaxBytes) return Error{"longer than " + std::to_string(kMaxBytes) + " bytes"};
  Explainer explainer(bytes);
  auto explanation = explainer.run();
  if (!explanation) return explanation.error();
  for (const Message message : model::messages()) {
    const auto root = model::shape_of(message).root();
    const bool candidate = std::any_of(root.begin(), root.end(), [&explainer](const model::ShapeNode& node) {
      const auto& keys = explainer.outermost();
      return std::find(keys.begin(), keys.end(), node.attribute->number()) != keys.end();
    });
    if (candidate) explanation->verdicts.push_back(judge(bytes, message));
  }
  return std::move(*explanation);
}

std::vector<std::string> explain_message(Message message) {
  const model::Shape& shape = model::shape_of(message);
  std::vector<std::string> out{std::string(shape.name) + " (" + std::string(to_string(shape.direction)) + ")"};
  describe_members(shape, shape.root(), 1, out);
  return out;
}

}  // namespace dots::wire
