// What a client keeps of its sessions to resume them (RFC 5077): in memory, and as text over its own restart.
//
// A ticket comes with the keys of its session, so the text is as secret as a private key. A ticket serves for many
// sessions until it is too old; one that was offered in vain is left out of the next attempt, so that a server that
// cannot cope with it is reached by a full handshake.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/time.h"

namespace dots::adapters::net {

// Threads: any.
class TicketCache {
 public:
  // Told after each change that is worth a write; called on the thread of the change, which must not be held up.
  using Save = std::function<void(std::string text)>;
  static constexpr std::size_t kMostTickets = 64;
  static constexpr base::Duration kLongestLife = std::chrono::hours{7 * 24};  // RFC 8446 4.6.1

  explicit TicketCache(const std::string& text = {}, Save save = {});

  // `key` names server, transport and our own credential: tickets of one are nothing to another.
  struct Offer {
    base::Bytes session;
    std::uint64_t turn = 0;  // what was known of the ticket then
  };
  std::optional<Offer> offer(const std::string& key, base::WallTime now);
  void put(const std::string& key, base::Bytes session, base::WallTime now);
  // An attempt that offered it came to a session.
  void served(const std::string& key);
  // The attempt that offered it came to no session. Says nothing when another one, side by side, did.
  void in_vain(const std::string& key, std::uint64_t turn);
  // The server, or the check of its certificate, refused it.
  void forget(const std::string& key);
  std::size_t size() const;

 private:
  struct Entry {
    base::Bytes session;
    base::WallTime received;
    bool skip = false;  // at the next attempt
    std::uint64_t turn = 0;
  };
  void save() const;

  mutable std::mutex mutex_;  // guards entries_, turns_
  std::map<std::string, Entry> entries_;
  std::uint64_t turns_ = 0;
  Save save_;
};

}  // namespace dots::adapters::net
