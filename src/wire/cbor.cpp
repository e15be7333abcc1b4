#include "wire/cbor.h"

#include <algorithm>
#include <string>
#include <vector>

#include "wire/cbor_syntax.h"

namespace dots::wire {
namespace {

using base::Error;
using model::DocumentBuilder;
using model::Item;
using model::ItemKind;
using model::Manner;
using model::ValueType;

constexpr unsigned kMaxSkippedDepth = 16;

class Decoder {
 public:
  Decoder(base::ByteView bytes, const model::Shape& shape, Manner manner, const model::DocumentLimits& limits)
      : reader_(bytes), builder_(shape, manner, limits) {}

  base::Result<model::Document> run() {
    cbor::Head head;
    if (!reader_.head(head)) return failure();
    if (head.major == cbor::Major::tag && head.argument == cbor::kTagDots && !reader_.head(head)) return failure();
    if (head.major != cbor::Major::map) {
      builder_.foreign("");
      return failure();
    }
    if (!map(head.argument)) return failure();
    if (!reader_.empty()) return Error{"bytes after the end of the body"};
    return builder_.take();
  }

 private:
  Error failure() const {
    if (!builder_.failure().empty()) return Error{builder_.failure()};
    return Error{std::string(cbor::describe(reader_.fault()))};
  }

  bool map(std::uint64_t members) {
    if (!builder_.begin_map()) return false;
    for (std::uint64_t i = 0; i < members; ++i) {
      cbor::Head key;
      if (!reader_.head(key)) return false;
      if (key.major != cbor::Major::unsigned_integer) return builder_.fail("map keys must be integers from 1 to 65535");
      switch (builder_.key(key.argument)) {
        case DocumentBuilder::Take::accept:
          if (!value()) return false;
          break;
        case DocumentBuilder::Take::skip:
          if (!skip(kMaxSkippedDepth)) return false;
          break;
        case DocumentBuilder::Take::refuse:
          return false;
      }
    }
    return builder_.end_map();
  }

  // One item of any type. Like Reader::skip, but the items count against the budget of the whole body.
  bool skip(unsigned depth) {
    cbor::Head item;
    if (!builder_.spend() || !reader_.head(item)) return false;
    std::uint64_t inside = 0;
    switch (item.major) {
      case cbor::Major::bytes:
      case cbor::Major::text:
        reader_.string(item);
        return true;
      case cbor::Major::array:
        inside = item.argument;
        break;
      case cbor::Major::map:
        inside = 2 * item.argument;
        break;
      case cbor::Major::tag:
        inside = 1;
        break;
      default:
        return true;
    }
    if (inside > 0 && depth == 0) return builder_.fail("the body is nested too deeply");
    for (; inside > 0; --inside) {
      if (!skip(depth - 1)) return false;
    }
    return true;
  }

  bool value() {
    cbor::Head head;
    if (!reader_.head(head)) return false;
    switch (head.major) {
      case cbor::Major::unsigned_integer:
        return builder_.unsigned_integer(head.argument);
      case cbor::Major::negative_integer:
        return builder_.negative_integer(head.argument);
      case cbor::Major::text:
        return builder_.text(reader_.string(head));
      case cbor::Major::map:
        return map(head.argument);
      case cbor::Major::array:
        return array(head.argument);
      case cbor::Major::tag:
        return tagged(head.argument);
      case cbor::Major::simple:
        if (head.is_float()) return builder_.foreign("a float");
        if (head.argument == cbor::kFalse || head.argument == cbor::kTrue) {
          return builder_.boolean(head.argument == cbor::kTrue);
        }
        return builder_.foreign("a simple value");
      case cbor::Major::bytes:
        return builder_.foreign("a byte string");
    }
    return false;
  }

  // Recursion ends where the shape ends: the builder refuses an array or map where none may stand.
  bool array(std::uint64_t entries) {
    if (!builder_.begin_array()) return false;
    for (; entries > 0; --entries) {
      if (!value()) return false;
    }
    return builder_.end_array();
  }

  bool tagged(std::uint64_t tag) {
    if (tag == cbor::kTagDecimal) return decimal();
    const model::Attribute* leaf = builder_.expected_leaf();
    // RFC 9132 4.4.2 wants mitigation-start without tag 1; a server that sends it means the same.
    if (tag == cbor::kTagEpoch && builder_.manner() == Manner::tolerant && leaf != nullptr &&
        leaf->type == ValueType::uint64) {
      cbor::Head head;
      if (!reader_.head(head)) return false;
      if (head.major == cbor::Major::unsigned_integer) return builder_.unsigned_integer(head.argument);
    }
    return builder_.foreign("tag " + std::to_string(tag));
  }

  bool decimal() {
    cbor::Head array;
    cbor::Head exponent;
    cbor::Head mantissa;
    if (!reader_.head(array)) return false;
    if (array.major != cbor::Major::array || array.argument != 2) return builder_.foreign("a malformed tag 4");
    if (!reader_.head(exponent) || !reader_.head(mantissa)) return false;
    if (mantissa.major != cbor::Major::unsigned_integer) return builder_.foreign("a decimal below 0 or malformed");
    if (exponent.major == cbor::Major::negative_integer && exponent.argument == 1) {
      return builder_.decimal(mantissa.argument);
    }
    if (builder_.manner() == Manner::strict) return builder_.foreign("a decimal whose exponent is not -2");
    return normalised_decimal(exponent, mantissa.argument);
  }

  // The same value in hundredths, when it is one.
  bool normalised_decimal(const cbor::Head& exponent, std::uint64_t mantissa) {
    const bool negative = exponent.major == cbor::Major::negative_integer;
    if ((!negative && exponent.major != cbor::Major::unsigned_integer) || exponent.argument > 20) {
      return builder_.foreign("a decimal with an absurd exponent");
    }
    // 10^shift times the mantissa is the value in hundredths.
    int shift = (negative ? -1 - static_cast<int>(exponent.argument) : static_cast<int>(exponent.argument)) + 2;
    for (; shift > 0; --shift) {
      if (mantissa > UINT64_MAX / 10) return builder_.foreign("a decimal that is too large");
      mantissa *= 10;
    }
    for (; shift < 0; ++shift) {
      if (mantissa % 10 != 0) return builder_.foreign("a decimal with more than two fraction digits");
      mantissa /= 10;
    }
    return builder_.decimal(mantissa);
  }

  cbor::Reader reader_;
  DocumentBuilder builder_;
};

class Encoder {
 public:
  explicit Encoder(const model::Document& document) : document_(document), writer_(16 + 16 * document.items().size()) {}

  base::Bytes run() {
    item(model::Document::kRoot);
    return writer_.take();
  }

 private:
  void item(std::uint32_t at) {
    const Item& item = document_[at];
    switch (item.kind) {
      case ItemKind::map:
        map(at);
        break;
      case ItemKind::array:
        writer_.head(cbor::Major::array, count(at));
        for (auto i = document_.first(at); i != document_.end_of(at); i = document_.next(i)) this->item(i);
        break;
      case ItemKind::unsigned_integer:
        writer_.head(cbor::Major::unsigned_integer, item.number);
        break;
      case ItemKind::negative_integer:
        writer_.head(cbor::Major::negative_integer, item.number);
        break;
      case ItemKind::text:
        writer_.text(item.text);
        break;
      case ItemKind::boolean:
        writer_.boolean(item.number != 0);
        break;
      case ItemKind::decimal:
        writer_.head(cbor::Major::tag, cbor::kTagDecimal);
        writer_.head(cbor::Major::array, 2);
        writer_.head(cbor::Major::negative_integer, 1);
        writer_.head(cbor::Major::unsigned_integer, item.number);
        break;
    }
  }

  std::uint64_t count(std::uint32_t at) const {
    std::uint64_t n = 0;
    for (auto i = document_.first(at); i != document_.end_of(at); i = document_.next(i)) ++n;
    return n;
  }

  void member(std::uint32_t at) {
    writer_.head(cbor::Major::unsigned_integer, document_[at].attribute->number());
    item(at);
  }

  void map(std::uint32_t at) {
    std::uint64_t members = 0;
    bool ascending = true;
    model::Key last = model::Key::none;
    for (auto i = document_.first(at); i != document_.end_of(at); i = document_.next(i)) {
      const model::Key key = document_[i].attribute->key;
      ascending = ascending && last < key;
      last = key;
      ++members;
    }
    writer_.head(cbor::Major::map, members);
    if (ascending) {
      for (auto i = document_.first(at); i != document_.end_of(at); i = document_.next(i)) member(i);
      return;
    }
    std::vector<std::uint32_t> order;
    for (auto i = document_.first(at); i != document_.end_of(at); i = document_.next(i)) order.push_back(i);
    std::sort(order.begin(), order.end(), [this](std::uint32_t a, std::uint32_t b) {
      return document_[a].attribute->key < document_[b].attribute->key;
    });
    for (const std::uint32_t i : order) member(i);
  }

  const model::Document& document_;
  cbor::Writer writer_;
};

}  // namespace

base::Result<model::Document> decode_cbor(base::ByteView bytes, model::Message message, model::Manner manner,
                                          const BodyLimits& limits) {
  if (bytes.empty()) return Error{"the body is empty"};
  if (bytes.size() > limits.bytes) return Error{"the body is longer than " + std::to_string(limits.bytes) + " bytes"};
  return Decoder(bytes, model::shape_of(message), manner, limits.document).run();
}

base::Bytes encode_cbor(const model::Document& document) { return Encoder(document).run(); }

}  // namespace dots::wire
