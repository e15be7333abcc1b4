// TLS handshakes in progress, pure: from an accepted TCP connection to a proven session.
//
// The counterpart of AdmissionTable for TCP, with the same limits: bounded in number, per source prefix and in time.
// TCP's own handshake proves the address.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/peers/admission_table.h"

namespace dots::agent {

struct StreamAdmissionEffects {
  std::vector<model::Datagram> send;
  std::vector<Admitted> admitted;  // the connection goes with it to shard_of(path.peer)
  std::vector<model::Path> close;  // after `send`
  std::vector<model::Path> drop;   // at once: nothing was said to them
  std::vector<std::string> refusals;
  AdmissionCounters counters;
};

class StreamAdmission {
 public:
  StreamAdmission(std::shared_ptr<ports::ChannelAcceptor> acceptor, const AdmissionLimits& limits);
  StreamAdmission(StreamAdmission&&) noexcept;
  StreamAdmission& operator=(StreamAdmission&&) noexcept;
  ~StreamAdmission();

  void on_accepted(const model::Path& path, base::Now now, StreamAdmissionEffects& out);
  void on_bytes(const model::Path& path, base::ByteView bytes, StreamAdmissionEffects& out);
  void on_ended(const model::Path& path, const std::string& reason, StreamAdmissionEffects& out);
  void on_timer(base::Now now, StreamAdmissionEffects& out);
  std::optional<base::SteadyTime> next_deadline() const;
  std::size_t size() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dots::agent
