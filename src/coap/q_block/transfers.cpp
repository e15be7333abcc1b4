#include "coap/q_block/transfers.h"

#include "coap/body_assembly.h"

namespace dots::coap {

namespace {

template <class List, class Bytes>
void make_room(List& list, std::size_t most, std::size_t most_bytes, std::size_t more, Bytes bytes_of) {
  const auto sum = [&] {
    std::size_t bytes = more;
    for (const auto& one : list) bytes += bytes_of(one);
    return bytes;
  };
  while (!list.empty() && (list.size() >= most || sum() > most_bytes)) list.erase(list.begin());
}

std::size_t partial_bytes(const std::optional<BodyReceiver>& receiver) { return receiver ? receiver->bytes() : 0; }

}  // namespace

Request BodyGoing::block(std::uint32_t number) const {
  Request request = head;
  Block block = Block::of(*head.q_block1);
  block.number = number;
  block.more = number + 1 < sender.blocks();
  request.q_block1 = block.value();
  const std::size_t end = std::min(block.offset() + block.unit(), payload.size());
  request.payload.assign(payload.begin() + static_cast<std::ptrdiff_t>(block.offset()),
                         payload.begin() + static_cast<std::ptrdiff_t>(end));
  return request;
}

BodyComing* QTransfers::find_coming(const Request& head) {
  for (BodyComing& body : bodies_coming) {
    if (same_transfer(body.head, head)) return &body;
  }
  return nullptr;
}

BodyComing& QTransfers::add_coming(const Request& head, std::size_t bytes, std::uint8_t size_exponent,
                                   base::SteadyTime now) {
  make_room(bodies_coming, kBodies, most_bytes, bytes,
            [](const BodyComing& body) { return partial_bytes(body.receiver); });
  BodyComing& body = bodies_coming.emplace_back();
  body.head = head;
  body.head.payload = {};
  body.receiver.emplace(bytes, size_exponent, now);
  return body;
}

AnswerGoing* QTransfers::find_going(std::uint64_t resource) {
  for (auto it = answers_going.rbegin(); it != answers_going.rend(); ++it) {
    if (it->resource == resource) return &*it;
  }
  return nullptr;
}

AnswerGoing& QTransfers::add_going(AnswerGoing answer) {
  // What is told under this token later makes the earlier stale.
  std::erase_if(answers_going, [&](const AnswerGoing& one) { return one.token == answer.token; });
  make_room(answers_going, kBodies, 2 * most_bytes, answer.whole.payload.size(),
            [](const AnswerGoing& one) { return one.whole.payload.size(); });
  answers_going.push_back(std::move(answer));
  return answers_going.back();
}

AnswerComing& QTransfers::add_coming_answer(AnswerComing answer) {
  std::erase_if(answers_coming, [&](const AnswerComing& one) { return one.id == answer.id; });
  answers_coming.push_back(std::move(answer));
  return answers_coming.back();
}

std::size_t QTransfers::partial_answers(RequestId beside) const {
  return static_cast<std::size_t>(std::count_if(answers_coming.begin(), answers_coming.end(),
                                                [&](const auto& one) { return one.receiver && one.id != beside; }));
}

void QTransfers::forget(RequestId id) {
  std::erase_if(bodies_going, [&](const BodyGoing& one) { return one.id == id; });
  std::erase_if(answers_coming, [&](const AnswerComing& one) { return one.id == id; });
}

void QTransfers::drop_partial(RequestId id) {
  if (AnswerComing* answer = find(answers_coming, id)) answer->receiver.reset();
}

void QTransfers::on_reset(std::uint16_t message_id) {
  std::erase_if(answers_going, [&](const AnswerGoing& one) { return one.sent.contains(message_id); });
  std::erase_if(bodies_coming, [&](const BodyComing& one) { return one.receiver && one.asked.contains(message_id); });
}

base::Bytes QTransfers::label(std::uint32_t& next) {
  const std::uint32_t value = next++;
  return {static_cast<std::uint8_t>(value >> 24U), static_cast<std::uint8_t>(value >> 16U),
          static_cast<std::uint8_t>(value >> 8U), static_cast<std::uint8_t>(value)};
}

}  // namespace dots::coap
