// Requests of the peer: which are new, which are duplicates or repeats, and what they were answered.
//
// Two messages are duplicates when they carry the same message id (RFC 7252 4.5), repeats when token and content are
// the same under a new message id (RFC 9132 4.4). Bounded by count and bytes; entries die with the lifetime of their
// id.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "coap/token.h"

namespace dots::coap {

enum class Standing : std::uint8_t {
  pending,   // delivered, not answered yet
  joined,    // a repeat of a pending request; shares its exchange
  answered,  // `reply` was sent
  silent,    // no answer by design, or no room to keep it
  retired,   // gave way to newer entries
};

struct Received {
  std::uint64_t exchange = 0;
  std::uint64_t fingerprint = 0;  // of code, token and content; 0: takes no repeats
  base::SteadyTime expires;
  // pending: when an empty acknowledgement is due; answered: until when repeats get `reply`.
  base::SteadyTime due;
  base::Bytes reply;
  Token token;
  std::uint16_t message_id = 0;
  Standing standing = Standing::pending;
  bool confirmable = false;
  bool acknowledged = false;  // by an empty acknowledgement
  bool is_response = false;   // a confirmable answer to a request of ours, remembered for its acknowledgement
  bool safe_method = false;
  bool wants_observation = false;
};

class Exchanges {
 public:
  struct Match {
    Received* duplicate = nullptr;
    Received* repeat = nullptr;
  };

  // Without a message id no duplicate is looked for, with `fingerprint` 0 no repeat. Requests and responses do not
  // match each other.
  Match find(std::optional<std::uint16_t> message_id, std::uint64_t fingerprint, bool is_response,
             base::SteadyTime now);
  // The request that was delivered under this id; null when it is unknown or was forgotten.
  Received* delivered(std::uint64_t exchange);
  // Pointers of earlier calls end here.
  Received& add(Received entry);
  void settle(Received& entry, Standing standing, base::Bytes reply);
  // Repeats of this content are requests of their own from now on.
  void retire_repeats(std::uint64_t fingerprint);

  void expire(base::SteadyTime now);
  // Oldest answers give way; returns how many did.
  std::uint64_t trim(std::size_t most_answered, std::size_t most_bytes);

  // Calls act(entry) for each pending confirmable request whose empty acknowledgement is due.
  template <class Act>
  void for_each_unacknowledged(base::SteadyTime now, Act act) {
    if (unacknowledged_ == 0) return;
    for (std::size_t i = first_; i < entries_.size(); ++i) {
      if (awaits_acknowledgement(entries_[i]) && entries_[i].due <= now) act(entries_[i]);
    }
  }
  void set_acknowledged(Received& entry);

  std::size_t pending() const { return pending_; }
  // Room in use, entries that gave way included.
  std::size_t slots() const { return entries_.size(); }
  // The next empty acknowledgement, else the time when the last entry has expired.
  std::optional<base::SteadyTime> next_deadline() const;

 private:
  static bool awaits_acknowledgement(const Received& entry) {
    return entry.standing == Standing::pending && entry.confirmable && !entry.acknowledged;
  }
  void retire(Received& entry);
  void drop_front();
  void compact();

  // What find() looks at first: an entry may have become something else since, but never has another id or content.
  struct Key {
    std::uint32_t print = 0;  // the lower half of the fingerprint
    std::uint16_t message_id = 0;
  };
  static Key key_of(const Received& entry) { return {static_cast<std::uint32_t>(entry.fingerprint), entry.message_id}; }

  std::vector<Received> entries_;  // in order of arrival, from first_ on
  std::vector<Key> keys_;          // of the same index: small, so that looking through all of them is cheap
  std::uint32_t first_ = 0;
  std::uint32_t pending_ = 0;
  std::uint32_t unacknowledged_ = 0;
  std::uint32_t settled_ = 0;  // joined, answered and silent
  std::size_t reply_bytes_ = 0;
  base::SteadyTime last_expiry_{};
};

// Never 0. `key` keeps collisions out of the peer's hands.
std::uint64_t fingerprint(std::uint64_t key, std::uint8_t code, base::ByteView token, base::ByteView content);

}  // namespace dots::coap
