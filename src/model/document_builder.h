// Builds a Document out of the events of a decoder and holds it against a shape: what may stand where, which types and
// ranges, what is missing, how much is too much. Both codecs drive it, so that both judge alike.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "model/document.h"
#include "model/shapes.h"

namespace dots::model {

// How to judge what a peer sent.
enum class Manner : std::uint8_t {
  // Requests at a server: every rule of RFC 9132 4.4.1.1, 5.3 and 6.
  strict,
  // Answers at a client: well-formed, known types and ranges; but empty arrays, missing attributes, codes without a
  // name, and any attribute that is not expected (skipped) are taken.
  tolerant,
};

struct DocumentLimits {
  std::uint32_t items = 1024;  // maps, arrays and values, the skipped ones included
};

class DocumentBuilder {
 public:
  static constexpr std::size_t kMaxDepth = 16;

  // REQUIRES: `shape` outlives the builder.
  DocumentBuilder(const Shape& shape, Manner manner, DocumentLimits limits);

  enum class Take : std::uint8_t { accept, skip, refuse };

  // The key of the next member of the open map. `skip`: pass over its value, call spend() for each item in it.
  Take key(std::uint64_t key);
  Take key(std::string_view name);
  bool spend();

  // Values. False: refused, failure() says why; the builder is then of no further use.
  bool begin_map();
  bool end_map();
  bool begin_array();
  bool end_array();
  bool unsigned_integer(std::uint64_t value);
  bool negative_integer(std::uint64_t minus_one_minus_value);
  bool text(std::string_view value);  // the view must outlive the document
  bool boolean(bool value);
  bool decimal(std::uint64_t hundredths);
  // A value of a kind that no attribute has.
  bool foreign(std::string_view what);
  bool fail(std::string message);

  // The attribute whose leaf value comes next; null when a map, an array or nothing is expected.
  const Attribute* expected_leaf() const;
  Manner manner() const { return manner_; }
  const std::string& failure() const { return failure_; }
  // Makes the document own a text before it is given to text().
  std::string_view keep(std::string text) { return document_.keep(std::move(text)); }
  // REQUIRES: every map and array was ended and nothing failed.
  Document take();

 private:
  struct Frame {
    std::uint32_t item = 0;
    const ShapeNode* node = nullptr;  // null: the message itself
    std::uint16_t first = 0;          // members in the shape, of a map
    std::uint16_t members = 0;
    std::uint16_t cursor = 0;
    bool array = false;
    std::uint32_t entries = 0;
    std::uint64_t seen = 0;
  };

  const ShapeNode* place() const;
  bool value_allowed(ItemKind kind);
  bool push(const Frame& frame);
  bool number_in_range(const Attribute& attribute, std::uint64_t value);
  bool text_fits(const Attribute& attribute, std::string_view value);
  bool unique_entries(const Frame& frame);
  bool wrong_type(const ShapeNode& node);
  Take refuse_key(std::uint64_t key, const ShapeNode* node);
  std::string place_name() const;
  void order_bounds(std::uint32_t map, Key max, Key min);

  const Shape& shape_;
  Manner manner_;
  std::uint32_t budget_;
  Document document_;
  std::array<Frame, kMaxDepth> stack_;
  std::size_t depth_ = 0;
  const ShapeNode* pending_ = nullptr;  // after key(), until its value
  bool started_ = false;
  std::string failure_;
};

// "attribute 6 (target-prefix)"
std::string describe(const Attribute& attribute);

}  // namespace dots::model
