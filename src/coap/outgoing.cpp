#include "coap/outgoing.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "coap/encoding.h"
#include "wire/coap_writer.h"

namespace dots::coap {

namespace {

using wire::MessageType;

constexpr base::Duration kSequenceAge = std::chrono::seconds{128};
constexpr std::ptrdiff_t kFamilyBytes = 4;
constexpr base::Duration kLongest = std::chrono::hours{24};

// Fast repetitions of many clients must not stay in step with each other: up to an eighth longer, never shorter.
base::Duration spaced(const Outgoing& request, Random& random) {
  if (!request.jitter) return request.interval;
  const double stretch = 1.0 + random.fraction() / 8;
  return base::Duration{static_cast<base::Duration::rep>(static_cast<double>(request.interval.count()) * stretch)};
}

}  // namespace

bool Outgoing::freshens(std::uint32_t sequence, base::SteadyTime now) {
  constexpr std::uint32_t kHalf = 1U << 23U;
  if (freshest) {
    const std::uint32_t ahead = (sequence - *freshest) & 0xffffffU;
    const bool newer = ahead != 0 && ahead < kHalf;
    if (!newer && now <= freshest_at + kSequenceAge) return false;
  }
  freshest = sequence;
  freshest_at = now;
  return true;
}

bool Outgoing::sent_as(std::uint16_t message_id) const {
  return std::find(message_ids.begin(), message_ids.end(), message_id) != message_ids.end();
}

bool Outgoing::has_token(base::ByteView other) const {
  const base::ByteView own = token.view();
  const std::size_t same = family ? kFamilyBytes : own.size();
  return other.size() == own.size() &&
         std::equal(own.begin(), own.begin() + static_cast<std::ptrdiff_t>(same), other.begin());
}

Token Outgoing::next_token() {
  std::array<std::uint8_t, 8> bytes{};
  const base::ByteView own = token.view();
  std::copy(own.begin(), own.end(), bytes.begin());
  ++next_of_family;
  for (std::size_t i = kFamilyBytes; i < bytes.size(); ++i) {
    bytes[i] ^= static_cast<std::uint8_t>(next_of_family >> (8 * (i - kFamilyBytes)));
  }
  return Token{bytes};
}

void Outgoing::record_send(std::uint16_t message_id, base::SteadyTime now) {
  message_ids[static_cast<std::size_t>(sends) % message_ids.size()] = message_id;
  ++sends;
  last_send = now;
}

Token OutgoingRequests::new_token(Random& random, bool family) {
  for (;;) {
    std::uint64_t number = random.next();
    std::array<std::uint8_t, 8> bytes{};
    for (auto& byte : bytes) {
      byte = static_cast<std::uint8_t>(number & 0xffU);
      number >>= 8U;
    }
    const auto taken = [&](const Outgoing& request) {
      const base::ByteView own = request.token.view();
      return request.has_token(bytes) || (family && std::equal(own.begin(), own.begin() + kFamilyBytes, bytes.begin()));
    };
    if (std::none_of(requests_.begin(), requests_.end(), taken)) return Token{bytes};
  }
}

std::optional<RequestId> OutgoingRequests::send(const Request& request, const Repetition& repetition,
                                                const OutgoingLimits& limits, MessageIds& ids, Random& random,
                                                bool reliable, base::SteadyTime now, std::vector<base::Bytes>& send,
                                                bool& limited) {
  const auto in_flight = std::count_if(requests_.begin(), requests_.end(), [](auto& r) { return !r.observing; });
  const auto observing = std::count_if(requests_.begin(), requests_.end(), [](auto& r) { return r.observe; });
  const bool observe = request.observe == 0U;
  limited = static_cast<std::size_t>(in_flight) >= limits.requests ||
            (observe && static_cast<std::size_t>(observing) >= limits.observing);
  if (limited) return std::nullopt;

  Outgoing outgoing;
  outgoing.family = request.q_block1 || !request.q_block2.empty();
  outgoing.token = new_token(random, outgoing.family);
  outgoing.confirmable = request.confirmable && !reliable;
  outgoing.observe = observe;
  const auto type = outgoing.confirmable ? MessageType::confirmable : MessageType::non_confirmable;
  auto datagram = write_request({type, 0}, outgoing.token, request);
  if (!datagram) return std::nullopt;
  const Transmission transmission{repetition};
  const auto message_id = ids.take(now, outgoing.confirmable ? transmission.exchange_lifetime() : kNonLifetime);
  limited = !message_id;
  if (limited) return std::nullopt;
  wire::readdress(*datagram, type, *message_id);

  outgoing.id = RequestId{++last_id_};
  outgoing.message_ids.fill(*message_id);
  outgoing.sends = 1;
  outgoing.last_send = now;
  outgoing.patience = std::clamp(repetition.patience, base::Duration::zero(), kLongest);
  if (outgoing.confirmable) {
    outgoing.retransmission = Retransmission{transmission, random, now};
    outgoing.next_at = outgoing.retransmission.next_at();
  } else {
    outgoing.tries = std::max(repetition.tries, 1);
    outgoing.interval = std::clamp(repetition.interval, repetition.rtt_known ? kLeastSpacing : kBlindSpacing, kLongest);
    if (reliable) {
      outgoing.patience = std::min(kLongest, outgoing.interval * (outgoing.tries - 1) + outgoing.patience);
      outgoing.tries = 1;
    }
    outgoing.jitter = repetition.rtt_known;
    outgoing.next_at = now + (outgoing.tries > 1 ? spaced(outgoing, random) : outgoing.patience);
  }
  send.push_back(*datagram);
  outgoing.datagram = std::move(*datagram);
  requests_.push_back(std::move(outgoing));
  return requests_.back().id;
}

Outgoing* OutgoingRequests::find(base::ByteView token) {
  for (Outgoing& request : requests_) {
    if (request.has_token(token)) return &request;
  }
  return nullptr;
}

Outgoing* OutgoingRequests::find(RequestId id) {
  const auto it = std::find_if(requests_.begin(), requests_.end(), [&](const Outgoing& r) { return r.id == id; });
  return it == requests_.end() ? nullptr : &*it;
}

void OutgoingRequests::forget(RequestId id) {
  std::erase_if(requests_, [&](const Outgoing& request) { return request.id == id; });
  if (requests_.empty()) requests_ = {};
}

void OutgoingRequests::on_acknowledgement(std::uint16_t message_id, base::SteadyTime now) {
  for (Outgoing& request : requests_) {
    if (!request.confirmable || request.observing || request.acknowledged || !request.sent_as(message_id)) continue;
    request.acknowledged = true;
    request.next_at = now + request.patience;
    return;
  }
}

std::optional<OutgoingRequests::Failure> OutgoingRequests::on_reset(std::uint16_t message_id) {
  for (const Outgoing& request : requests_) {
    if (request.observing || !request.sent_as(message_id)) continue;
    Failure failure{request.id, "rejected by reset"};
    forget(request.id);
    return failure;
  }
  return std::nullopt;
}

bool OutgoingRequests::advance(Outgoing& request, MessageIds& ids, Random& random, base::SteadyTime now,
                               std::vector<base::Bytes>& send) {
  if (request.confirmable) {
    if (request.acknowledged || !request.retransmission.again(now)) return false;
    request.next_at = request.retransmission.next_at();
  } else {
    if (request.sends >= request.tries) return false;
    const auto message_id = ids.take(now, kNonLifetime);
    if (!message_id) {  // all in use: this send is left out, the next comes in its turn
      request.next_at = now + request.interval;
      return true;
    }
    wire::readdress(request.datagram, MessageType::non_confirmable, *message_id);
    request.message_ids[static_cast<std::size_t>(request.sends) % request.message_ids.size()] = *message_id;
    request.next_at = now + (request.sends + 1 < request.tries ? spaced(request, random) : request.patience);
  }
  ++request.sends;
  request.last_send = now;
  send.push_back(request.datagram);
  return true;
}

void OutgoingRequests::on_timer(MessageIds& ids, Random& random, base::SteadyTime now, std::vector<base::Bytes>& send,
                                std::vector<Failure>& failures) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < requests_.size(); ++i) {
    Outgoing& request = requests_[i];
    if (request.observing || request.held || request.next_at > now || advance(request, ids, random, now, send)) {
      if (kept != i) requests_[kept] = std::move(request);
      ++kept;
      continue;
    }
    failures.push_back({request.id, request.acknowledged ? "acknowledged, but no answer came"
                                                         : "no answer after " + std::to_string(request.sends) +
                                                               (request.sends == 1 ? " send" : " sends")});
  }
  requests_.erase(requests_.begin() + static_cast<std::ptrdiff_t>(kept), requests_.end());
  if (requests_.empty()) requests_ = {};
}

std::optional<base::SteadyTime> OutgoingRequests::next_deadline() const {
  std::optional<base::SteadyTime> next;
  for (const Outgoing& request : requests_) {
    if (!request.observing && !request.held && (!next || request.next_at < *next)) next = request.next_at;
  }
  return next;
}

base::Bytes question_about(const Outgoing& request, const Token& token, std::uint16_t message_id,
                           const std::vector<std::uint32_t>& q_block2) {
  auto message = wire::parse(request.datagram, {SIZE_MAX, SIZE_MAX, SIZE_MAX});
  assert(message.ok());
  std::erase_if(message->options, [](const wire::Option& option) {
    switch (static_cast<wire::OptionNumber>(option.number)) {
      case wire::OptionNumber::observe:
      case wire::OptionNumber::etag:
      case wire::OptionNumber::content_format:
      case wire::OptionNumber::q_block1:
      case wire::OptionNumber::q_block2:
      case wire::OptionNumber::size1:
        return true;
      default:
        return false;
    }
  });
  for (const std::uint32_t value : q_block2) {
    message->options.push_back({static_cast<std::uint16_t>(wire::OptionNumber::q_block2), wire::uint_value(value)});
  }
  message->payload.clear();
  message->type = MessageType::non_confirmable;
  message->message_id = message_id;
  const base::ByteView bytes = token.view();
  message->token.assign(bytes.begin(), bytes.end());
  return wire::serialise(*message);
}

base::Bytes deregistration(const Outgoing& registration, std::uint16_t message_id) {
  // Our own datagram: limits do not concern it.
  auto message = wire::parse(registration.datagram, {SIZE_MAX, SIZE_MAX, SIZE_MAX});
  assert(message.ok());
  constexpr auto kObserve = static_cast<std::uint16_t>(wire::OptionNumber::observe);
  for (wire::Option& option : message->options) {
    if (option.number == kObserve) option.value = wire::uint_value(1);
  }
  message->message_id = message_id;
  return wire::serialise(*message);
}

}  // namespace dots::coap
