#include "coap/q_block/body_receiver.h"

#include <algorithm>

namespace dots::coap {

namespace {

std::uint32_t blocks_of(std::size_t bytes, std::uint8_t size_exponent) {
  const std::size_t unit = Block{0, false, size_exponent}.unit();
  return static_cast<std::uint32_t>(std::max<std::size_t>(1, (bytes + unit - 1) / unit));
}

}  // namespace

BodyReceiver::BodyReceiver(std::size_t bytes, std::uint8_t size_exponent, base::SteadyTime now)
    : size_(bytes),
      size_exponent_(size_exponent),
      bytes_(bytes),
      here_(blocks_of(bytes, size_exponent)),
      missing_count_(blocks_of(bytes, size_exponent)),
      waiting_since_(now),
      latest_(now) {}

std::optional<std::string> BodyReceiver::objection(const Block& block, std::size_t payload_bytes) const {
  if (block.size_exponent != size_exponent_) return "the blocks of a body have one size";
  return objection(size_, block, payload_bytes);
}

std::optional<std::string> BodyReceiver::objection(std::size_t bytes, const Block& block, std::size_t payload_bytes) {
  const std::uint32_t blocks = blocks_of(bytes, block.size_exponent);
  if (block.number >= blocks) return "the body has no block " + std::to_string(block.number);
  const bool last = block.number + 1 == blocks;
  if (block.more == last) return "the M bit is not that of block " + std::to_string(block.number) + " of this size";
  if (payload_bytes != std::min(block.unit(), bytes - block.offset())) return "the block has a wrong length";
  return std::nullopt;
}

bool BodyReceiver::take(const Block& block, base::ByteView payload, base::SteadyTime now) {
  if (here_[block.number]) return false;
  here_[block.number] = true;
  --missing_count_;
  std::copy(payload.begin(), payload.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(block.offset()));
  end_ = std::max(end_, block.number + 1);
  while (first_missing_ < blocks() && here_[first_missing_]) ++first_missing_;
  asked_ = 0;
  waiting_since_ = latest_ = now;
  return true;
}

std::vector<std::uint32_t> BodyReceiver::missing(std::uint32_t begin, std::uint32_t end, std::size_t most) const {
  std::vector<std::uint32_t> out;
  for (std::uint32_t number = std::max(begin, first_missing_); number < std::min(end, blocks()) && out.size() < most;
       ++number) {
    if (!here_[number]) out.push_back(number);
  }
  return out;
}

BodyReceiver::Wish BodyReceiver::after_block(const QBlockParameters& parameters, bool repeated) {
  Wish wish;
  if (is_complete()) return wish;
  const std::uint32_t most = parameters.max_payloads;
  // A block of a later set: what the earlier ones lack will not come by itself.
  const std::uint32_t begin_of_set = (end_ - 1) / most * most;
  if (begin_of_set > asked_end_ && first_missing_ < begin_of_set) {
    asked_end_ = begin_of_set;
    wish.missing = missing(0, begin_of_set, most);
    return wish;
  }
  const bool whole_sets = end_ == first_missing_ && end_ % most == 0;
  if (whole_sets && (end_ > told_ || repeated)) wish.go_on = told_ = end_;
  return wish;
}

BodyReceiver::Wish BodyReceiver::on_timer(const QBlockParameters& parameters, base::SteadyTime now) {
  Wish wish;
  if (asked_ >= parameters.non_max_retransmit || now >= expires_at(parameters)) return wish;
  const std::uint32_t most = parameters.max_payloads;
  const std::uint32_t end_of_set = (end_ + most - 1) / most * most;
  wish.missing = missing(0, end_of_set, most);
  if (wish.missing.empty()) wish.missing = missing(end_of_set, end_of_set + most, most);
  ++asked_;
  waiting_since_ = now;
  return wish;
}

base::SteadyTime BodyReceiver::wish_at(const QBlockParameters& parameters) const {
  return std::min(waiting_since_ + parameters.time_to_wait(asked_), expires_at(parameters));
}

}  // namespace dots::coap
