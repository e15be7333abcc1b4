// TLS handshakes over TCP, from the accepted connection to a proven session, on a thread of their own: a flood of
// connections delays neither live sessions nor those who come over UDP.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>

#include "adapters/net/event_loop.h"
#include "agent/peers/stream_admission.h"
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

  // Handshakes that came to a session since the start. Any thread.
  std::uint64_t full() const { return full_; }
  std::uint64_t resumed() const { return resumed_; }

 private:
  void perform();

  agent::StreamAdmission table_;
  OnAdmitted admitted_;
  ops::facts::Sink& sink_;
  adapters::net::EventLoop loop_;
  agent::StreamAdmissionEffects out_;  // of the event that runs
  std::atomic<std::uint64_t> full_{0}, resumed_{0};
  std::thread thread_;
};

}  // namespace dots::runtime
