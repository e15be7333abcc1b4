#include "wire/json.h"

#include <boost/json/basic_parser_impl.hpp>
#include <optional>
#include <string>
#include <utility>

#include "model/text.h"
#include "wire/json_text.h"

namespace dots::wire {
namespace {

namespace json = boost::json;
using base::Error;
using json::error_code;
using model::Attribute;
using model::DocumentBuilder;
using model::ItemKind;
using model::JsonType;
using model::Manner;
using model::ValueType;

std::optional<std::uint64_t> parse_uint64(std::string_view digits) {
  if (digits.empty() || (digits.size() > 1 && digits[0] == '0')) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (value > (UINT64_MAX - digit) / 10) return std::nullopt;
    value = value * 10 + digit;
  }
  return value;
}

// "2", "2.0", "2.00" -> 200
std::optional<std::uint64_t> parse_decimal(std::string_view text) {
  const std::size_t dot = text.find('.');
  const auto whole = parse_uint64(text.substr(0, dot));
  if (!whole || *whole > UINT64_MAX / 100 - 1) return std::nullopt;
  std::uint64_t hundredths = *whole * 100;
  if (dot == std::string_view::npos) return hundredths;
  const std::string_view fraction = text.substr(dot + 1);
  if (fraction.empty() || fraction.size() > 2) return std::nullopt;
  std::uint64_t unit = 10;
  for (const char c : fraction) {
    if (c < '0' || c > '9') return std::nullopt;
    hundredths += static_cast<std::uint64_t>(c - '0') * unit;
    unit /= 10;
  }
  return hundredths;
}

// Receives the events of Boost.JSON's parser and drives the builder; keeps no tree of its own.
struct Handler {
  static constexpr std::size_t max_object_size = SIZE_MAX;
  static constexpr std::size_t max_array_size = SIZE_MAX;
  static constexpr std::size_t max_key_size = 256;
  static constexpr std::size_t max_string_size = 4096;

  Handler(const model::Shape& shape, Manner manner, const model::DocumentLimits& limits)
      : builder(shape, manner, limits) {}

  DocumentBuilder builder;
  std::string part;         // of a key or string that comes in pieces
  bool skipping = false;    // inside the value of a member that is passed over
  std::size_t skipped = 0;  // its open maps and arrays

  static bool verdict(bool taken, error_code& ec) {
    if (!taken) ec = json::error::exception;  // the reason is in the builder
    return taken;
  }
  // A value that is passed over, or part of one.
  bool skip(error_code& ec) {
    if (skipped == 0) skipping = false;
    return verdict(builder.spend(), ec);
  }

  static bool on_document_begin(error_code&) { return true; }
  static bool on_document_end(error_code&) { return true; }
  bool on_object_begin(error_code& ec) { return begin(&DocumentBuilder::begin_map, ec); }
  bool on_array_begin(error_code& ec) { return begin(&DocumentBuilder::begin_array, ec); }
  bool on_object_end(std::size_t, error_code& ec) { return end(&DocumentBuilder::end_map, ec); }
  bool on_array_end(std::size_t, error_code& ec) { return end(&DocumentBuilder::end_array, ec); }

  bool on_key_part(json::string_view text, std::size_t, error_code&) {
    return part.append(text.data(), text.size()), true;
  }
  bool on_key(json::string_view text, std::size_t, error_code& ec) {
    part.append(text.data(), text.size());
    const std::string name = std::exchange(part, {});
    if (skipping) return true;
    switch (builder.key(std::string_view(name))) {
      case DocumentBuilder::Take::accept:
        return true;
      case DocumentBuilder::Take::skip:
        return skipping = true;
      case DocumentBuilder::Take::refuse:
        break;
    }
    return verdict(false, ec);
  }
  bool on_string_part(json::string_view text, std::size_t, error_code&) {
    return part.append(text.data(), text.size()), true;
  }
  bool on_string(json::string_view text, std::size_t, error_code& ec) {
    part.append(text.data(), text.size());
    std::string value = std::exchange(part, {});
    if (skipping) return skip(ec);
    return verdict(string(std::move(value)), ec);
  }
  static bool on_number_part(json::string_view, error_code&) { return true; }
  bool on_uint64(std::uint64_t value, json::string_view, error_code& ec) {
    if (skipping) return skip(ec);
    return verdict(number(value, false), ec);
  }
  bool on_int64(std::int64_t value, json::string_view text, error_code& ec) {
    if (value >= 0) return on_uint64(static_cast<std::uint64_t>(value), text, ec);
    if (skipping) return skip(ec);
    return verdict(number(static_cast<std::uint64_t>(-1 - value), true), ec);
  }
  bool on_double(double, json::string_view, error_code& ec) {
    return skipping ? skip(ec) : verdict(builder.foreign("a fraction or a number that is too large"), ec);
  }
  bool on_bool(bool value, error_code& ec) { return skipping ? skip(ec) : verdict(builder.boolean(value), ec); }
  bool on_null(error_code& ec) { return skipping ? skip(ec) : verdict(builder.foreign("null"), ec); }
  static bool on_comment_part(json::string_view, error_code&) { return true; }
  static bool on_comment(json::string_view, error_code&) { return true; }

 private:
  bool begin(bool (DocumentBuilder::*open)(), error_code& ec) {
    if (!skipping) return verdict((builder.*open)(), ec);
    ++skipped;
    return verdict(builder.spend(), ec);
  }
  bool end(bool (DocumentBuilder::*close)(), error_code& ec) {
    if (!skipping) return verdict((builder.*close)(), ec);
    if (--skipped == 0) skipping = false;
    return verdict(true, ec);
  }

  bool wrong_form(const Attribute& leaf, std::string_view want) {
    return builder.fail(model::describe(leaf) + " must be " + std::string(want));
  }

  bool number(std::uint64_t magnitude, bool negative) {
    const Attribute* leaf = builder.expected_leaf();
    if (leaf != nullptr) {
      const bool nameless_code = leaf->type == ValueType::enumeration && builder.manner() == Manner::tolerant;
      const bool timer = leaf->key == model::Key::retry_timer;
      if (leaf->json_type_of_value() == JsonType::string && !timer && !nameless_code)
        return wrong_form(*leaf, "a string");
    }
    return negative ? builder.negative_integer(magnitude) : builder.unsigned_integer(magnitude);
  }

  bool string(std::string value) {
    const Attribute* leaf = builder.expected_leaf();
    if (leaf == nullptr) return builder.text(value);  // refused there: no text may stand here
    switch (leaf->type) {
      case ValueType::enumeration: {
        const auto code = model::enum_code(*leaf, value);
        if (!code)
          return builder.fail(model::describe(*leaf) + " has no code '" + std::string(model::clip(value, 64)) + "'");
        return builder.unsigned_integer(*code);
      }
      case ValueType::decimal64: {
        const auto hundredths = parse_decimal(value);
        return hundredths ? builder.decimal(*hundredths)
                          : wrong_form(*leaf, "a decimal with at most two fraction digits");
      }
      default:
        break;
    }
    if (leaf->cbor_type_of_value() == model::CborType::text) return builder.text(builder.keep(std::move(value)));
    if (leaf->json_type_of_value() == JsonType::string) {
      const auto parsed = parse_uint64(value);
      return parsed ? builder.unsigned_integer(*parsed) : wrong_form(*leaf, "a number written as a string");
    }
    return wrong_form(*leaf, leaf->json_type_of_value() == JsonType::boolean ? "true or false" : "a number");
  }
};

class Encoder {
 public:
  Encoder(const model::Document& document, bool pretty) : document_(document), out_(pretty) {}

  std::string run() {
    item(model::Document::kRoot);
    return out_.take();
  }

 private:
  void item(std::uint32_t at) {
    const model::Item& item = document_[at];
    switch (item.kind) {
      case ItemKind::map:
        out_.begin_object();
        for (auto i = document_.first(at); i != document_.end_of(at); i = document_.next(i)) {
          out_.key(document_[i].attribute->name);
          this->item(i);
        }
        out_.end_object();
        break;
      case ItemKind::array:
        out_.begin_array();
        for (auto i = document_.first(at); i != document_.end_of(at); i = document_.next(i)) this->item(i);
        out_.end_array();
        break;
      case ItemKind::unsigned_integer:
        number(*item.attribute, item.number);
        break;
      case ItemKind::negative_integer:
        out_.raw("-1");
        break;
      case ItemKind::text:
        out_.string(item.text);
        break;
      case ItemKind::boolean:
        out_.boolean(item.number != 0);
        break;
      case ItemKind::decimal:
        out_.string(decimal_text(item.number));
        break;
    }
  }

  void number(const Attribute& attribute, std::uint64_t value) {
    if (attribute.type == ValueType::enumeration) {
      const auto name = model::enum_name(attribute, value);
      return name ? out_.string(*name) : out_.number(value);
    }
    if (attribute.json_type_of_value() == JsonType::string) return out_.string(std::to_string(value));
    out_.number(value);
  }

  const model::Document& document_;
  JsonText out_;
};

}  // namespace

base::Result<model::Document> decode_json(std::string_view text, model::Message message, model::Manner manner,
                                          const BodyLimits& limits) {
  if (text.size() > limits.bytes) return Error{"the body is longer than " + std::to_string(limits.bytes) + " bytes"};
  json::parse_options options;
  options.max_depth = DocumentBuilder::kMaxDepth + 16;
  json::basic_parser<Handler> parser(options, model::shape_of(message), manner, limits.document);
  error_code ec;
  const std::size_t used = parser.write_some(false, text.data(), text.size(), ec);
  Handler& handler = parser.handler();
  if (!handler.builder.failure().empty()) return Error{handler.builder.failure()};
  if (ec) return Error{"not JSON: " + ec.message() + " near byte " + std::to_string(used)};
  if (used != text.size()) return Error{"text after the end of the body"};
  return handler.builder.take();
}

std::string encode_json(const model::Document& document, bool pretty) { return Encoder(document, pretty).run(); }

}  // namespace dots::wire
