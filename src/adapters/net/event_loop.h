// The loop of one thread: sockets, tasks of other threads, one timer - in rounds.
//
// A round is everything that is ready now: all datagrams, all posted tasks, the timer when it is due; then after_round.
// So effects are handed over and committed once for many events. This is shell code: it reads the clocks.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "adapters/net/task.h"
#include "adapters/net/tcp_stream.h"
#include "adapters/net/udp_socket.h"
#include "base/time.h"
#include "model/peer.h"

namespace dots::adapters::net {

base::Now clock_now();

struct EventLoopOptions {
  std::size_t tasks = 65536;          // waiting at one time
  std::size_t reserved_tasks = 4096;  // of these, for Priority::reserved alone
};

// patient: work that may take milliseconds. One of them in a round, after the others, so that datagrams have their turn
// between two.
enum class Priority : std::uint8_t { normal, reserved, patient };

// Threads: run() is the loop's thread; post(), stop() and counters() are for all; the rest is for the loop's thread, or
// for any one thread before run().
class EventLoop {
 public:
  struct Handlers {
    std::function<void(std::span<model::Datagram>)> on_datagrams;  // may move the bytes out; pieces of streams as well
    std::function<void()> on_deadline;
    std::function<void()> after_round;
    // A stream is over, for a reason that is not close_stream; it is gone already.
    std::function<void(const model::Path&, const std::string& reason)> on_stream_ended = {};
    std::function<void(TcpStream)> on_accepted = {};
    // The kernel has taken all that waited for a stream.
    std::function<void(const model::Path&)> on_drained = {};
  };
  struct Counters {
    std::uint64_t received = 0, sent = 0, send_dropped = 0, tasks_refused = 0;
  };
  using SocketHandle = std::uint64_t;

  explicit EventLoop(const EventLoopOptions& options = {});
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  void set_handlers(Handlers handlers);
  // Reading begins with run().
  SocketHandle add_socket(UdpSocket socket);
  void remove_socket(SocketHandle socket);

  // TCP connections, named by their path. What a peer does not take waits, up to a bound (TcpOptions).
  void add_stream(TcpStream stream);
  // To be given to another loop; nothing when it is not there any more.
  std::optional<TcpStream> remove_stream(const model::Path& path);
  // What was sent leaves first; nothing is told of it.
  void close_stream(const model::Path& path);
  // A stream that is held is not read: what the peer sends waits with it.
  void hold_stream(const model::Path& path, bool held);
  std::size_t unsent(const model::Path& path) const;  // bytes; on_drained tells of the end of it
  void add_listener(TcpListener listener);
  void remove_listeners();

  // Returns after stop(). Tasks that wait then are dropped by the destructor.
  void run();
  void stop();

  // In order of arrival, normal and reserved ones together. False when full: the task is gone, and counted.
  bool post(Task task, Priority priority = Priority::normal);

  // Replaces the one before; on_deadline is called once, not before this time.
  void set_deadline(std::optional<base::SteadyTime> deadline);
  base::Now now() const;

  // Each from the socket that is bound to its local address, or on the stream of its path. What the kernel does not
  // take is dropped and counted.
  void send(std::span<const model::Datagram> datagrams);

  Counters counters() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dots::adapters::net
