// One body that comes in Q-Blocks (RFC 9177 4.3, 4.4, 7.2), pure; the same for requests and for answers.
//
// Blocks come in any order, each may be lost. After a block and when time has passed it says what the sender is to be
// told: to go on, or what is missing. The size is known from the first block on and never changes.
//
// Bounds: the caller's, before it makes one: memory is `bytes`, and a bit for each block.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "coap/block.h"
#include "coap/q_block/parameters.h"

namespace dots::coap {

class BodyReceiver {
 public:
  // REQUIRES: size_exponent <= 6.
  BodyReceiver(std::size_t bytes, std::uint8_t size_exponent, base::SteadyTime now);

  // What is wrong with a block for this body; nothing when it belongs.
  std::optional<std::string> objection(const Block& block, std::size_t payload_bytes) const;
  // The same for the first one that comes of a body of `bytes`.
  static std::optional<std::string> objection(std::size_t bytes, const Block& block, std::size_t payload_bytes);
  // False when it is here already; its payload is overlooked then. REQUIRES: no objection.
  bool take(const Block& block, base::ByteView payload, base::SteadyTime now);
  bool is_complete() const { return missing_count_ == 0; }
  base::Bytes release() { return std::move(bytes_); }

  // What the sender is to be told.
  struct Wish {
    std::optional<std::uint32_t> go_on;  // every block before this one, the first of a set, is here
    std::vector<std::uint32_t> missing;  // ascending, one set of them at most
    bool empty() const { return !go_on && missing.empty(); }
  };
  // After a block; a repeated block says again what the first one said.
  Wish after_block(const QBlockParameters& parameters, bool repeated);
  // REQUIRES: wish_at() <= now. An empty wish: it has been asked for often enough, or too long ago; drop the body.
  Wish on_timer(const QBlockParameters& parameters, base::SteadyTime now);
  base::SteadyTime wish_at(const QBlockParameters& parameters) const;

  // However often it is asked for: a partial body is not kept longer.
  base::SteadyTime expires_at(const QBlockParameters& parameters) const {
    return latest_ + parameters.non_partial_timeout;
  }

  std::size_t bytes() const { return size_; }
  std::uint8_t size_exponent() const { return size_exponent_; }
  std::uint32_t blocks() const { return static_cast<std::uint32_t>(here_.size()); }

 private:
  std::vector<std::uint32_t> missing(std::uint32_t begin, std::uint32_t end, std::size_t most) const;

  std::size_t size_;
  std::uint8_t size_exponent_;
  base::Bytes bytes_;
  std::vector<bool> here_;
  std::uint32_t missing_count_;
  std::uint32_t first_missing_ = 0;
  std::uint32_t end_ = 0;        // behind the highest block that is here
  std::uint32_t asked_end_ = 0;  // missing blocks before this one were asked for at once
  std::uint32_t told_ = 0;       // the latest go_on
  int asked_ = 0;                // requests for missing blocks since the last new block
  base::SteadyTime waiting_since_;
  base::SteadyTime latest_;  // new block
};

}  // namespace dots::coap
