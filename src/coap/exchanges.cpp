#include "coap/exchanges.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace dots::coap {

Exchanges::Match Exchanges::find(std::optional<std::uint16_t> message_id, std::uint64_t fingerprint, bool is_response,
                                 base::SteadyTime now) {
  Match match;
  const auto print = static_cast<std::uint32_t>(fingerprint);
  for (std::size_t i = first_; i < keys_.size(); ++i) {
    if (keys_[i].message_id != message_id && keys_[i].print != print) continue;
    Received& entry = entries_[i];
    if (entry.standing == Standing::retired || entry.expires <= now) continue;
    if (entry.message_id == message_id && entry.is_response == is_response) {
      match.duplicate = &entry;
      return match;
    }
    if (fingerprint != 0 && entry.fingerprint == fingerprint &&
        (entry.standing == Standing::pending || (entry.standing == Standing::answered && now < entry.due))) {
      match.repeat = &entry;
    }
  }
  return match;
}

Received* Exchanges::delivered(std::uint64_t exchange) {
  for (std::size_t i = entries_.size(); i-- > first_;) {
    Received& entry = entries_[i];
    if (entry.exchange == exchange && entry.standing != Standing::joined && entry.standing != Standing::retired) {
      return &entry;
    }
  }
  return nullptr;
}

Received& Exchanges::add(Received entry) {
  last_expiry_ = std::max(last_expiry_, entry.expires);
  if (entry.standing == Standing::pending) {
    ++pending_;
    if (awaits_acknowledgement(entry)) ++unacknowledged_;
  } else {
    ++settled_;
    reply_bytes_ += entry.reply.size();
  }
  keys_.push_back(key_of(entry));
  entries_.push_back(std::move(entry));
  return entries_.back();
}

void Exchanges::settle(Received& entry, Standing standing, base::Bytes reply) {
  if (awaits_acknowledgement(entry)) --unacknowledged_;
  if (entry.standing == Standing::pending) {
    --pending_;
    ++settled_;
  }
  reply_bytes_ += reply.size();
  reply_bytes_ -= entry.reply.size();
  entry.standing = standing;
  entry.reply = std::move(reply);
}

void Exchanges::set_acknowledged(Received& entry) {
  if (awaits_acknowledgement(entry)) --unacknowledged_;
  entry.acknowledged = true;
}

void Exchanges::retire_repeats(std::uint64_t fingerprint) {
  if (fingerprint == 0) return;
  for (std::size_t i = first_; i < entries_.size(); ++i) {
    if (entries_[i].fingerprint == fingerprint && entries_[i].standing == Standing::answered) {
      entries_[i].fingerprint = 0;
    }
  }
}

void Exchanges::retire(Received& entry) {
  if (entry.standing == Standing::retired) return;
  if (awaits_acknowledgement(entry)) --unacknowledged_;
  if (entry.standing == Standing::pending) {
    --pending_;
  } else {
    --settled_;
  }
  reply_bytes_ -= entry.reply.size();
  entry.standing = Standing::retired;
  entry.reply = {};
}

void Exchanges::drop_front() {
  retire(entries_[first_]);
  ++first_;
}

void Exchanges::compact() {
  if (first_ == entries_.size()) {
    entries_ = {};
    keys_ = {};
    first_ = 0;
  } else if (first_ >= 16 && first_ >= entries_.size() / 2) {
    entries_.erase(entries_.begin(), entries_.begin() + first_);
    keys_.erase(keys_.begin(), keys_.begin() + first_);
    first_ = 0;
  }
}

void Exchanges::expire(base::SteadyTime now) {
  if (entries_.empty()) return;
  if (last_expiry_ <= now) {
    while (first_ < entries_.size()) drop_front();
  }
  while (first_ < entries_.size() &&
         (entries_[first_].expires <= now || entries_[first_].standing == Standing::retired)) {
    drop_front();
  }
  compact();
}

std::uint64_t Exchanges::trim(std::size_t most_answered, std::size_t most_bytes) {
  std::uint64_t evicted = 0;
  std::size_t passed = 0;  // pending entries and holes that stay in front
  std::size_t holes = 0;
  for (std::size_t i = first_; i < entries_.size() && (settled_ > most_answered || reply_bytes_ > most_bytes); ++i) {
    Received& entry = entries_[i];
    if (entry.standing == Standing::pending) {
      ++passed;
      continue;
    }
    if (entry.standing == Standing::retired) {
      ++holes;
    } else {
      retire(entry);
      ++evicted;
      ++holes;
    }
    if (passed == 0) first_ = static_cast<std::uint32_t>(i + 1);
  }
  // A request that stays pending must not let holes pile up behind it.
  if (passed > 0 && holes > 16 + most_answered / 4) {
    std::erase_if(entries_, [](const Received& entry) { return entry.standing == Standing::retired; });
    keys_.clear();
    for (const Received& entry : entries_) keys_.push_back(key_of(entry));
    first_ = 0;
  }
  compact();
  return evicted;
}

std::optional<base::SteadyTime> Exchanges::next_deadline() const {
  if (entries_.empty()) return std::nullopt;
  base::SteadyTime next = last_expiry_;
  if (unacknowledged_ == 0) return next;
  for (std::size_t i = first_; i < entries_.size(); ++i) {
    if (awaits_acknowledgement(entries_[i])) next = std::min(next, entries_[i].due);
  }
  return next;
}

namespace {

std::uint64_t mix(std::uint64_t hash, std::uint64_t word) {
  hash = (hash ^ word) * 0xff51afd7ed558ccdU;
  return hash ^ (hash >> 32U);
}

std::uint64_t mix(std::uint64_t hash, base::ByteView bytes) {
  while (bytes.size() >= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), 8);
    hash = mix(hash, word);
    bytes = bytes.subspan(8);
  }
  std::uint64_t tail = bytes.size();
  for (const std::uint8_t byte : bytes) tail = tail << 8U | byte;
  return mix(hash, tail);
}

}  // namespace

std::uint64_t fingerprint(std::uint64_t key, std::uint8_t code, base::ByteView token, base::ByteView content) {
  const std::uint64_t hash = mix(mix(mix(mix(key, code), token), content), content.size());
  return hash == 0 ? 1 : hash;
}

}  // namespace dots::coap
