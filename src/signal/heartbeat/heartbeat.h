// Heartbeats and the loss verdict of one session, pure, for both sides (RFC 9132 4.7).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/time.h"
#include "model/session_config.h"

namespace dots::signal {

enum class Side : std::uint8_t { client, server };

// RFC 9132 4.5 and RFC 8085: heartbeats are never closer together than this, whatever is configured.
inline constexpr base::Duration kMinHeartbeatInterval = std::chrono::seconds{15};

struct HeartbeatConfig {
  base::Duration interval = std::chrono::seconds{30};  // zero: off; otherwise raised to kMinHeartbeatInterval
  int missing_hb_allowed = 15;
};

// REQUIRES: a set with every parameter.
HeartbeatConfig heartbeat_config(const model::ParameterSet& parameters);

struct HeartbeatEffects {
  // Send PUT hb with this peer-hb-status; non-confirmable, not repeated.
  std::optional<bool> send_peer_hb_status;
  bool lost = false;   // client: missing_hb_allowed consecutive heartbeats unanswered (its caller decides whether an
                       // attack saturates the link); server: no traffic at all for missing_hb_allowed x interval
  bool quiet = false;  // server: no traffic at all for half of that time
  bool recovered = false;  // traffic came back after `lost` or `quiet`
};

// One for each session. Any traffic of the peer is a sign of life; heartbeats matter when the channel is quiet.
class Heartbeat {
 public:
  Heartbeat(Side side, const HeartbeatConfig& config, base::SteadyTime opened);

  HeartbeatEffects on_traffic(base::SteadyTime now);  // any authenticated message of the peer
  HeartbeatEffects on_peer_heartbeat(bool peer_hb_status,
                                     base::SteadyTime now);  // PUT hb of the peer (counts as traffic)
  HeartbeatEffects on_answer(base::SteadyTime now);          // 2.04 to ours (counts as traffic)
  HeartbeatEffects on_no_answer(base::SteadyTime now);       // ours failed
  HeartbeatEffects on_timer(base::SteadyTime now);
  std::optional<base::SteadyTime> next_deadline() const;

  // Idle and mitigating sets differ (RFC 9132 4.5); takes effect at once.
  void reconfigure(const HeartbeatConfig& config, base::SteadyTime now);
  // What the next heartbeat of ours says: did heartbeats of the peer arrive in the last 2 x interval? True at the
  // start.
  bool peer_hb_status(base::SteadyTime now) const;
  int missed() const;
  bool is_lost() const;
  bool is_quiet() const;
  // How long nothing may be heard; zero while heartbeats are off.
  base::Duration silence_allowed() const { return config_.interval * config_.missing_hb_allowed; }

 private:
  void count_unanswered(HeartbeatEffects& effects);
  void send(base::SteadyTime now, HeartbeatEffects& effects);

  Side side_;
  HeartbeatConfig config_;
  base::SteadyTime opened_;
  base::SteadyTime last_traffic_;
  base::SteadyTime last_peer_heartbeat_;
  base::SteadyTime next_send_;
  std::optional<base::SteadyTime> last_sent_;
  int missed_ = 0;
  bool awaiting_answer_ = false;
  bool lost_ = false;
  bool quiet_ = false;
  bool follow_peer_ = false;  // server: the client said false, so send right after its heartbeats (RFC 9132 4.7)
};

}  // namespace dots::signal
