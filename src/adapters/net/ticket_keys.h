// The keys that session tickets of the server are sealed with (RFC 5077): session resumption without state.
//
// One set serves all threads and every transport. It survives a restart through the text that `save` keeps. A new key
// takes over every `period`; the one before still opens tickets for one period more. What a key sealed can be read by
// whoever gets the key, so keys do not live longer than that. docs/decisions/session-tickets.md.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "adapters/net/credentials.h"
#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"

namespace dots::adapters::net {

// Threads: any; the set that is in force is replaced as a whole.
class TicketKeys {
 public:
  // Keeps the text durably and for the daemon's user alone.
  using Save = std::function<base::Result<void>(const std::string& text)>;
  static constexpr base::Duration kLongestPeriod = std::chrono::hours{7 * 24};  // RFC 8446 4.6.1; GnuTLS too

  // `text` is what was saved last, or empty. A PSK identity whose key is another one than then voids every key: a
  // session that began with the old key must not go on with it. REQUIRES: 0 < period <= kLongestPeriod.
  static base::Result<std::shared_ptr<TicketKeys>> open(const std::string& text, const std::vector<Psk>& psk,
                                                        base::Duration period, base::WallTime now, Save save);
  ~TicketKeys();

  // Call about once a minute. True: a new key took over and is saved; an error: it could not be saved, and the keys
  // stay as they are.
  base::Result<bool> turn(base::WallTime now);
  // Other PSKs are in force from now on. True: their change voided the keys.
  base::Result<bool> rebind(const std::vector<Psk>& psk, base::WallTime now);

  base::Duration period() const;

  struct Set;  // for this room
  std::shared_ptr<const Set> current() const;

 private:
  TicketKeys();
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dots::adapters::net
