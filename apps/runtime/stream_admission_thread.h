// TLS handshakes over TCP, from the accepted connection to a proven session, on a thread of their own: a flood of
// connections delays neither live sessions nor those who come over UDP.
#pragma once

#include <functional>
#include <memory>
#include <thread>

#include "adapters/net/event_loop.h"
#include "agent/peers/stream_admission.h"
#include "apps/runtime/handshake_tally.h"
#include "ops/facts/messages.h"

namespace dots::runtime {

class StreamAdmissionThread {
 public:
  // `admitted` is called on this thread and must not block. The connection comes with its session.
  using OnAdmitted = std::function<void(agent::Admitted, adapters::net::TcpStream)>;
  StreamAdmissionThread(std::shared_ptr<ports::ChannelAcceptor> acceptor, const agent::AdmissionLimits& limits,
                        OnAdmitted admitted, ops::facts::Sink& sink);
  ~StreamAdmissionThread();

  void add_listener(adapters::net::TcpListener listener);  // before start()
  void start();
  void stop();
  // Runs `step` on this thread. False when the queue is full.
  bool post(std::function<void()> step);

  const HandshakeTally& handshakes() const { return handshakes_; }  // any thread

 private:
  void perform();

  agent::StreamAdmission table_;
  OnAdmitted admitted_;
  ops::facts::Sink& sink_;
  HandshakeTally handshakes_;
  adapters::net::EventLoop loop_;
  agent::StreamAdmissionEffects out_;  // of the event that runs
  std::thread thread_;
};

}  // namespace dots::runtime
