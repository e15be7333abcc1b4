// Live sessions of one shard, pure: address <-> session, decrypting, sending, replacement, eviction.
//
// An old session at an address gives way only to a proven new one (adopt). Past the limit the longest-silent session
// that is quiet for at least `evictable_after` is evicted; when there is none, the newcomer is refused.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/peers/admission_table.h"
#include "base/ids.h"
#include "base/time.h"
#include "model/peer.h"
#include "ports/secure_channel.h"

namespace dots::agent {

// In a resumed handshake the client speaks last, and its first request follows at once: to the shard's socket, while
// the session comes from the admission thread. So the newest few records of unknown addresses are kept for a moment.
inline constexpr std::size_t kEarlyRecords = 64;
inline constexpr base::Duration kEarlyTime = std::chrono::seconds{2};

struct SessionLimits {
  std::size_t sessions = 100000;
  base::Duration evictable_after = std::chrono::seconds{450};
};

struct SessionOpened {
  base::SessionId session;
  model::Path path;
  model::PeerIdentity identity;
  bool resumed = false;
};
struct SessionPlaintext {
  base::SessionId session;
  base::Bytes bytes;
};
struct SessionClosed {
  base::SessionId session;
  std::string reason;
  bool credential = false;  // recheck() found the peer's credential good no longer
};

struct SessionEffects {
  std::vector<model::Datagram> send;
  std::vector<SessionOpened> opened;
  std::vector<SessionPlaintext> plaintexts;
  std::vector<SessionClosed> closed;
  std::vector<std::string> refusals;     // newcomers for whom there was no room, one sentence each
  std::vector<model::Path> turned_away;  // their paths: a connection is to be closed
  std::uint64_t unknown_peer = 0;        // datagrams of addresses without a session: dropped
};

class SessionTable {
 public:
  // Session ids carry `shard` in their upper 16 bits.
  SessionTable(std::uint16_t shard, const SessionLimits& limits);
  SessionTable(SessionTable&&) noexcept;
  SessionTable& operator=(SessionTable&&) noexcept;
  ~SessionTable();

  void adopt(Admitted admitted, base::Now now, SessionEffects& out);
  void on_datagram(const model::Datagram& datagram, base::Now now, SessionEffects& out);
  // The connection that carried the session is over (TCP alone).
  void on_disconnected(const model::Path& path, const std::string& reason, SessionEffects& out);
  // False when the session is gone or the plaintext does not fit one datagram.
  bool send(base::SessionId session, base::ByteView plaintext, base::Now now, SessionEffects& out);
  void close(base::SessionId session, const std::string& reason, base::Now now, SessionEffects& out);
  void close_all(const std::string& reason, base::Now now, SessionEffects& out);
  // Looks again at the credentials of all sessions, a few in each on_timer() from now on; those that are good no
  // longer are closed.
  void begin_recheck(base::Now now);
  void on_timer(base::Now now, SessionEffects& out);
  std::optional<base::SteadyTime> next_deadline() const;

  std::size_t size() const;
  std::size_t max_plaintext(base::SessionId session) const;
  // REQUIRES: the session is there.
  const model::PeerIdentity& identity(base::SessionId session) const;
  std::optional<model::Path> path(base::SessionId session) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dots::agent
