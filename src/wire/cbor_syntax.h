// CBOR as syntax (RFC 8949): heads and strings.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

#include "base/bytes.h"

namespace dots::wire::cbor {

enum class Major : std::uint8_t { unsigned_integer, negative_integer, bytes, text, array, map, tag, simple };

inline constexpr std::uint8_t kFalse = 20;
inline constexpr std::uint8_t kTrue = 21;
inline constexpr std::uint64_t kTagEpoch = 1;
inline constexpr std::uint64_t kTagDecimal = 4;
inline constexpr std::uint64_t kTagDots = 271;

struct Head {
  Major major{};
  std::uint8_t info = 0;       // the lower five bits
  std::uint64_t argument = 0;  // the simple value or the bits of a float for Major::simple

  bool is_float() const { return major == Major::simple && info >= 25; }
};

enum class Fault : std::uint8_t { none, truncated, indefinite, reserved };
std::string_view describe(Fault fault);

class Reader {
 public:
  explicit Reader(base::ByteView bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  bool empty() const { return at_ == end_; }
  std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }
  const std::uint8_t* position() const { return at_; }
  Fault fault() const { return fault_; }

  // The next head. Arguments that are not in their shortest form are accepted; indefinite lengths are not. The length
  // of a string is checked against what is left.
  bool head(Head& out);
  // The content of a byte or text string whose head was just read.
  std::string_view string(const Head& head);

 private:
  bool fail(Fault fault) {
    fault_ = fault;
    return false;
  }

  const std::uint8_t* at_;
  const std::uint8_t* end_;
  Fault fault_ = Fault::none;
};

// Shortest heads only.
class Writer {
 public:
  explicit Writer(std::size_t expected_bytes) { out_.reserve(expected_bytes); }
  void head(Major major, std::uint64_t argument);
  void text(std::string_view value);
  void boolean(bool value) { head(Major::simple, value ? kTrue : kFalse); }
  base::Bytes take() { return std::move(out_); }

 private:
  base::Bytes out_;
};

}  // namespace dots::wire::cbor
