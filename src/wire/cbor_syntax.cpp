#include "wire/cbor_syntax.h"

namespace dots::wire::cbor {

std::string_view describe(Fault fault) {
  switch (fault) {
    case Fault::none:
      return "no fault";
    case Fault::truncated:
      return "the CBOR data ends too early";
    case Fault::indefinite:
      return "indefinite lengths are not taken";
    case Fault::reserved:
      return "the CBOR data is not well-formed";
      return "the body is nested too deeply";
      return "the body has too many items";
  }
  return "";
}

bool Reader::head(Head& out) {
  if (at_ == end_) return fail(Fault::truncated);
  const std::uint8_t first = *at_++;
  out.major = static_cast<Major>(first >> 5);
  out.info = first & 0x1f;
  if (out.info < 24) {
    out.argument = out.info;
  } else if (out.info < 28) {
    const std::size_t size = std::size_t{1} << (out.info - 24);
    if (left() < size) return fail(Fault::truncated);
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i) value = value << 8 | at_[i];
    at_ += size;
    out.argument = value;
    // RFC 8949 3.3: simple values below 32 have one encoding, in the first byte.
    if (out.major == Major::simple && out.info == 24 && value < 32) return fail(Fault::reserved);
  } else {
    const bool can_be_open = out.major >= Major::bytes && out.major != Major::tag;
    return fail(out.info == 31 && can_be_open ? Fault::indefinite : Fault::reserved);
  }
  const bool string = out.major == Major::bytes || out.major == Major::text;
  if (string && out.argument > left()) return fail(Fault::truncated);
  // Every entry takes at least one byte: an absurd count needs no further look.
  if (out.major == Major::array && out.argument > left()) return fail(Fault::truncated);
  if (out.major == Major::map && out.argument > left() / 2) return fail(Fault::truncated);
  return true;
}

std::string_view Reader::string(const Head& head) {
  const auto size = static_cast<std::size_t>(head.argument);
  const std::string_view value{reinterpret_cast<const char*>(at_), size};
  at_ += size;
  return value;
}

void Writer::head(Major major, std::uint64_t argument) {
  const auto type = static_cast<std::uint8_t>(static_cast<unsigned>(major) << 5);
  if (argument < 24) {
    out_.push_back(static_cast<std::uint8_t>(type | argument));
    return;
  }
  const unsigned log = argument <= 0xff ? 0 : argument <= 0xffff ? 1 : argument <= 0xffffffff ? 2 : 3;
  out_.push_back(static_cast<std::uint8_t>(type | (24 + log)));
  for (int shift = (8 << log) - 8; shift >= 0; shift -= 8) {
    out_.push_back(static_cast<std::uint8_t>(argument >> shift));
  }
}

void Writer::text(std::string_view value) {
  head(Major::text, value.size());
  out_.insert(out_.end(), value.begin(), value.end());
}

}  // namespace dots::wire::cbor
