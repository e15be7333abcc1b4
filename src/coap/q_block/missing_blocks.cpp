#include "coap/q_block/missing_blocks.h"

#include <algorithm>

#include "wire/cbor_syntax.h"

namespace dots::coap {

base::Bytes write_missing(std::span<const std::uint32_t> numbers, std::size_t room) {
  base::Bytes out;
  for (const std::uint32_t number : numbers) {
    wire::cbor::Writer writer{5};
    writer.head(wire::cbor::Major::unsigned_integer, number);
    const base::Bytes one = writer.take();
    if (out.size() + one.size() > room) break;
    out.insert(out.end(), one.begin(), one.end());
  }
  return out;
}

std::optional<std::vector<std::uint32_t>> read_missing(base::ByteView payload) {
  std::vector<std::uint32_t> out;
  wire::cbor::Reader reader{payload};
  while (!reader.empty()) {
    wire::cbor::Head head;
    if (!reader.head(head) || head.major != wire::cbor::Major::unsigned_integer) return std::nullopt;
    if (head.argument > Block::kMostNumber) return std::nullopt;
    const auto number = static_cast<std::uint32_t>(head.argument);
    if (!out.empty() && number == out.back()) continue;  // RFC 9177 section 5: duplicates are ignored
    if (!out.empty() && number < out.back()) return std::nullopt;
    out.push_back(number);
  }
  if (out.empty()) return std::nullopt;
  return out;
}

std::optional<std::uint32_t> Wanted::go_on(std::uint32_t max_payloads) const {
  if (blocks.size() != 1 || !blocks[0].more || blocks[0].number == 0) return std::nullopt;
  if (blocks[0].number % max_payloads != 0) return std::nullopt;
  return blocks[0].number;
}

std::vector<std::uint32_t> Wanted::numbers(std::uint32_t max_payloads, std::uint32_t count) const {
  std::vector<std::uint32_t> out;
  std::uint32_t next = 0;  // no block twice
  for (const Block& block : blocks) {
    const std::uint32_t end = block.more ? (block.number / max_payloads + 1) * max_payloads : block.number + 1;
    for (std::uint32_t number = std::max(block.number, next); number < std::min(end, count); ++number) {
      out.push_back(number);
    }
    next = std::max(next, end);
  }
  return out;
}

std::variant<std::string, Wanted> read_wanted(std::span<const std::uint32_t> options) {
  Wanted wanted;
  for (const std::uint32_t option : options) {
    const Block block = Block::of(option);
    if (block.is_bert()) return "SZX 7 of Q-Block2 is reserved";
    if (!wanted.blocks.empty() && block.number <= wanted.blocks.back().number) {
      return "the blocks of several Q-Block2 options ascend";
    }
    if (!wanted.blocks.empty() && block.size_exponent != wanted.blocks.back().size_exponent) {
      return "the blocks of a body have one size";
    }
    wanted.blocks.push_back(block);
  }
  return wanted;
}

}  // namespace dots::coap
