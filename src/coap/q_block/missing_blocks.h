// How the receiver of a body names blocks: application/missing-blocks+cbor-seq (RFC 9177 section 5), and the Q-Block2
// options of a request (4.4).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "coap/block.h"

namespace dots::coap {

inline constexpr std::uint16_t kContentFormatMissingBlocks = 272;

// As many of the numbers as fit `room` bytes.
base::Bytes write_missing(std::span<const std::uint32_t> numbers, std::size_t room);
// Nothing when it is no ascending sequence of block numbers (such a message is dropped).
std::optional<std::vector<std::uint32_t>> read_missing(base::ByteView payload);

// The Q-Block2 options of one request.
struct Wanted {
  std::vector<Block> blocks;  // ascending

  // A request for the body from its beginning; `more` false: for its first block alone.
  bool begins() const { return blocks.size() == 1 && blocks[0].number == 0; }
  bool is_whole() const { return begins() && blocks[0].more; }
  // Where the sender is to go on, when this is a 'Continue'.
  std::optional<std::uint32_t> go_on(std::uint32_t max_payloads) const;
  // The numbers of the blocks below `count`, each once.
  std::vector<std::uint32_t> numbers(std::uint32_t max_payloads, std::uint32_t count) const;
};
// What is wrong with them, or what they want. REQUIRES: at least one.
std::variant<std::string, Wanted> read_wanted(std::span<const std::uint32_t> options);

}  // namespace dots::coap
