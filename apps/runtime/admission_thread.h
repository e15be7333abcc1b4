// The admission thread: handshakes from the first hello to a proven session, apart from the live sessions.
#pragma once

#include <functional>
#include <memory>
#include <thread>

#include "adapters/net/event_loop.h"
#include "adapters/net/udp_socket.h"
#include "agent/peers/admission_table.h"
#include "apps/runtime/handshake_tally.h"
#include "ops/facts/messages.h"

namespace dots::runtime {

class AdmissionThread {
 public:
  // `admitted` and `forward` are called on this thread and must not block.
  AdmissionThread(std::shared_ptr<ports::Admission> admission, const agent::AdmissionLimits& limits,
                  std::function<void(agent::Admitted)> admitted, std::function<void(model::Datagram)> forward,
                  ops::facts::Sink& sink);
  ~AdmissionThread();

  void add_socket(adapters::net::UdpSocket socket);  // before start()
  void start();
  void stop();
  // Runs `step` on this thread. False when the queue is full.
  bool post(std::function<void()> step);

  const HandshakeTally& handshakes() const { return handshakes_; }  // any thread

 private:
  void finish_round();

  agent::AdmissionTable table_;
  std::function<void(agent::Admitted)> admitted_;
  std::function<void(model::Datagram)> forward_;
  ops::facts::Sink& sink_;
  HandshakeTally handshakes_;
  adapters::net::EventLoop loop_;
  agent::AdmissionEffects round_;
  std::thread thread_;
};

}  // namespace dots::runtime
