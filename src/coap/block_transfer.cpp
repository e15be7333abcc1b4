#include "coap/block_transfer.h"

#include <utility>

namespace dots::coap {

using model::ResponseCode;

namespace {

Response failure(std::string_view text) {
  Response response;
  response.code = ResponseCode::internal_server_error;
  response.payload.assign(text.begin(), text.end());
  return response;
}

bool is_question(wire::Method method) { return method == wire::Method::get || method == wire::Method::fetch; }

}  // namespace

bool comes_in_blocks(const Response& response) {
  if (!model::is_success(response.code) || !response.block2) return false;
  const Block block = Block::of(*response.block2);
  return block.more || block.number > 0;
}

BlockTransfer::BlockTransfer(Request whole, const BlockLimits& limits) : whole_(std::move(whole)), limits_(limits) {}

void BlockTransfer::split(std::size_t room, bool bert) {
  split_ = true;
  room_ = room;
  sending_exponent_ = bert && room >= 1024 ? Block::kBert : exponent_for(room);
}

Block BlockTransfer::sending() const {
  Block block{0, false, sending_exponent_};
  block.number = static_cast<std::uint32_t>(sent_ / block.unit());
  block.more = sent_ + full_block(sending_exponent_, room_) < whole_.payload.size();
  return block;
}

Request BlockTransfer::next() const {
  Request request = whole_;
  if (fetching_) {
    request.observe.reset();  // RFC 7959 3.4: only the first block is observed
    const std::size_t have = collected_ ? collected_->payload.size() : 0;
    Block block{0, false, fetching_exponent_};
    block.number = static_cast<std::uint32_t>(have / block.unit());
    request.block2 = block.value();
    if (collected_ && collected_->etag) request.etag = {*collected_->etag};
    return request;
  }
  if (!split_) return request;
  const Block block = sending();
  const auto begin = whole_.payload.begin() + static_cast<std::ptrdiff_t>(sent_);
  const std::size_t left = whole_.payload.size() - sent_;
  request.payload.assign(begin,
                         begin + static_cast<std::ptrdiff_t>(std::min(left, full_block(sending_exponent_, room_))));
  request.block1 = block.value();
  if (sent_ == 0) request.size1 = static_cast<std::uint32_t>(whole_.payload.size());
  return request;
}

void BlockTransfer::begin_again(bool asked) {
  fetching_ = true;
  stale_ = asked;
  collected_.reset();
}

std::optional<Response> BlockTransfer::restart(Response otherwise) {
  if (++restarts_ > limits_.restarts) return otherwise;
  sent_ = 0;
  collected_.reset();
  return std::nullopt;
}

std::optional<Response> BlockTransfer::on_response(Response response) {
  if (std::exchange(stale_, false)) return restart(failure("the answer changes faster than its blocks can be fetched"));
  if (split_ && !fetching_) {
    bool settled = false;
    auto final = on_sent(response, settled);
    if (settled) return final;
  }
  if (fetching_ && !model::is_success(response.code)) {
    // RFC 7959 2.9.2: these blocks are no longer kept.
    if (response.code != ResponseCode::request_entity_incomplete) return response;
    return restart(failure("the server does not keep its answer long enough for its blocks to be fetched"));
  }
  // The answer to anything but a question cannot be asked for again.
  if (!is_question(whole_.method) || !response.block2) return response;
  return collect(std::move(response));
}

// An answer to a block of the body; `settled` is false when it is the server's word on the whole.
std::optional<Response> BlockTransfer::on_sent(Response& response, bool& settled) {
  settled = true;
  const Block ours = sending();
  const auto theirs = response.block1 ? std::optional(Block::of(*response.block1)) : std::nullopt;
  const bool smaller = theirs && theirs->size_exponent < sending_exponent_;
  if (response.code == ResponseCode::continue_ && ours.more) {
    if (theirs && theirs->offset() != ours.offset())
      return std::nullopt;  // about an earlier block: send this one again
    sent_ += full_block(sending_exponent_, room_);
    if (smaller) sending_exponent_ = theirs->size_exponent;
    return std::nullopt;
  }
  if (response.code == ResponseCode::request_entity_too_large && smaller && sent_ == 0) {
    sending_exponent_ = theirs->size_exponent;  // RFC 7959 2.9.3
    return restart(std::move(response));
  }
  if (response.code == ResponseCode::request_entity_incomplete || response.code == ResponseCode::continue_) {
    return restart(failure("the server loses the blocks of the request: make it smaller"));
  }
  settled = false;
  return std::nullopt;
}

std::optional<Response> BlockTransfer::collect(Response response) {
  const Block block = Block::of(*response.block2);
  if (response.size2 && *response.size2 > limits_.answer_bytes) return failure("the answer is too large");
  if (!block.allows(response.payload.size())) return failure("a block of the answer has a wrong length");
  fetching_ = true;
  const bool other = collected_ && collected_->etag != response.etag;
  if (block.number == 0) {
    collected_.reset();  // the beginning, perhaps of a newer answer
  } else if (!collected_ || other || block.offset() != collected_->payload.size()) {
    return restart(failure("the answer changes faster than its blocks can be fetched"));
  }
  fetching_exponent_ = block.size_exponent;
  if (!collected_) {
    collected_ = std::move(response);
  } else {
    collected_->payload.insert(collected_->payload.end(), response.payload.begin(), response.payload.end());
  }
  if (collected_->payload.size() > limits_.answer_bytes) return failure("the answer is too large");
  if (block.more) return std::nullopt;
  collected_->block2.reset();
  return std::exchange(collected_, std::nullopt);
}

}  // namespace dots::coap
