#include "adapters/net/event_loop.h"

#include <algorithm>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <map>
#include <mutex>
#include <utility>

#include "adapters/net/stream_set.h"

namespace dots::adapters::net {
namespace {

namespace asio = boost::asio;

constexpr int kReadsPerTurn = 8;       // of kDatagramsPerCall; then the other sockets have their turn
constexpr int kHandlersPerRound = 64;  // so that after_round comes under any load

bool same_or_any(const model::IpAddress& bound, const model::IpAddress& local) {
  return bound == local || std::ranges::all_of(bound.bytes, [](std::uint8_t byte) { return byte == 0; });
}

}  // namespace

base::Now clock_now() {
  return {base::SteadyTime{std::chrono::steady_clock::now().time_since_epoch()},
          base::WallTime{std::chrono::system_clock::now().time_since_epoch()}};
}

struct EventLoop::State {
  explicit State(const EventLoopOptions& o) : options(o) {}

  struct Entry {
    Entry(asio::io_context& io, UdpSocket s) : socket(std::move(s)), ready(io, socket.fd()) {}
    ~Entry() { ready.release(); }  // the descriptor belongs to `socket`
    UdpSocket socket;
    asio::posix::stream_descriptor ready;
  };

  EventLoopOptions options;
  Handlers handlers;
  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{io.get_executor()};
  asio::steady_timer timer{io};
  std::optional<base::SteadyTime> deadline;
  std::optional<base::SteadyTime> armed;  // when the timer fires
  std::uint64_t armed_number = 0;
  std::map<SocketHandle, std::shared_ptr<Entry>> sockets;
  StreamSet streams{io, handlers};
  SocketHandle next_handle = 1;
  ReceiveBuffers buffers;
  std::vector<model::Datagram> received;

  std::mutex mutex;  // guards `waiting`, `patient` and `woken`
  std::vector<Task> waiting;
  std::deque<Task> patient;
  bool woken = false;
  std::vector<Task> now_running;
  bool round_over = false;  // whatever else is ready

  std::atomic<bool> stopped{false};
  std::atomic<std::uint64_t> count_received{0}, count_sent{0}, count_dropped{0}, count_refused{0};

  void watch(SocketHandle handle, const std::shared_ptr<Entry>& entry) {
    entry->ready.async_wait(asio::posix::stream_descriptor::wait_read,
                            [this, handle, weak = std::weak_ptr<Entry>{entry}](const boost::system::error_code& error) {
                              const auto alive = weak.lock();
                              if (!alive || error == asio::error::operation_aborted) return;
                              read(handle, alive);
                            });
  }

  void read(SocketHandle handle, const std::shared_ptr<Entry>& entry) {
    for (int i = 0; i < kReadsPerTurn; ++i) {
      const std::size_t count = entry->socket.receive(buffers, received);
      if (count == 0) break;
      count_received.fetch_add(count, std::memory_order_relaxed);
      if (!received.empty() && handlers.on_datagrams) handlers.on_datagrams(received);
      received.clear();
      if (count < kDatagramsPerCall || !sockets.contains(handle)) break;
    }
    if (sockets.contains(handle)) watch(handle, entry);
  }

  void run_tasks() {
    Task long_one;
    bool more = false;
    {
      const std::lock_guard lock{mutex};
      std::swap(waiting, now_running);
      if (!patient.empty()) {
        long_one = std::move(patient.front());
        patient.pop_front();
      }
      woken = more = !patient.empty();
    }
    for (Task& task : now_running) task();
    now_running.clear();
    if (long_one) {
      long_one();
      round_over = true;
    }
    if (more) asio::post(io, [this] { run_tasks(); });
  }

  // The timer is only moved to an earlier time: moving it runs a handler, which ends a round, after which the deadline
  // is often moved again. Where it fires too early it is set anew.
  void arm() {
    if (!deadline || (armed && *armed <= *deadline)) return;
    armed = deadline;
    const std::uint64_t number = ++armed_number;
    timer.expires_at(std::chrono::steady_clock::time_point{
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(deadline->time_since_epoch())});
    timer.async_wait([this, number](const boost::system::error_code& error) {
      if (error || number != armed_number) return;
      armed.reset();
      if (!deadline) return;
      if (clock_now().steady < *deadline) return arm();
      deadline.reset();
      if (handlers.on_deadline) handlers.on_deadline();
    });
  }
};

EventLoop::EventLoop(const EventLoopOptions& options) : state_(std::make_unique<State>(options)) {}
EventLoop::~EventLoop() = default;

void EventLoop::set_handlers(Handlers handlers) { state_->handlers = std::move(handlers); }

EventLoop::SocketHandle EventLoop::add_socket(UdpSocket socket) {
  State& s = *state_;
  const SocketHandle handle = s.next_handle++;
  const auto entry = std::make_shared<State::Entry>(s.io, std::move(socket));
  s.sockets.emplace(handle, entry);
  s.watch(handle, entry);
  return handle;
}

void EventLoop::remove_socket(SocketHandle socket) {
  const auto found = state_->sockets.find(socket);
  if (found == state_->sockets.end()) return;
  found->second->ready.cancel();
  state_->sockets.erase(found);
}

void EventLoop::add_stream(TcpStream stream) { state_->streams.add(std::move(stream)); }
std::optional<TcpStream> EventLoop::remove_stream(const model::Path& path) { return state_->streams.remove(path); }
void EventLoop::close_stream(const model::Path& path) { state_->streams.close(path); }
void EventLoop::hold_stream(const model::Path& path, bool held) { state_->streams.hold(path, held); }
std::size_t EventLoop::unsent(const model::Path& path) const { return state_->streams.unsent(path); }
void EventLoop::add_listener(TcpListener listener) { state_->streams.add(std::move(listener)); }
void EventLoop::remove_listeners() { state_->streams.remove_listeners(); }

void EventLoop::run() {
  State& s = *state_;
  while (!s.stopped.load()) {
    if (s.io.run_one() == 0) return;
    for (int i = 1; i < kHandlersPerRound && !s.round_over && !s.stopped.load() && s.io.poll_one() > 0; ++i) {
    }
    s.round_over = false;
    if (s.handlers.after_round) s.handlers.after_round();
  }
}

void EventLoop::stop() {
  state_->stopped.store(true);
  asio::post(state_->io, [] {});
}

bool EventLoop::post(Task task, Priority priority) {
  State& s = *state_;
  bool wake = false;
  {
    const std::lock_guard lock{s.mutex};
    const std::size_t limit = priority == Priority::reserved
                                  ? s.options.tasks
                                  : s.options.tasks - std::min(s.options.tasks, s.options.reserved_tasks);
    if (s.waiting.size() + s.patient.size() >= limit) {
      s.count_refused.fetch_add(1, std::memory_order_relaxed);
      return false;
    }
    if (priority == Priority::patient) {
      s.patient.push_back(std::move(task));
    } else {
      s.waiting.push_back(std::move(task));
    }
    wake = !std::exchange(s.woken, true);
  }
  if (wake) asio::post(s.io, [&s] { s.run_tasks(); });
  return true;
}

void EventLoop::set_deadline(std::optional<base::SteadyTime> deadline) {
  if (state_->deadline == deadline) return;
  state_->deadline = deadline;
  state_->arm();
}

base::Now EventLoop::now() const { return clock_now(); }

void EventLoop::send(std::span<const model::Datagram> datagrams) {
  State& s = *state_;
  const auto socket_for = [&s](const model::Path& path) -> UdpSocket* {
    UdpSocket* fallback = nullptr;
    for (auto& [handle, entry] : s.sockets) {
      UdpSocket& socket = entry->socket;
      if (socket.connected()
              ? socket.peer() == path.peer && socket.bound() == path.local
              : socket.bound().port == path.local.port && socket.bound().ip.family == path.local.ip.family &&
                    same_or_any(socket.bound().ip, path.local.ip)) {
        // A socket of exactly this address before one of all addresses.
        if (socket.bound().ip == path.local.ip) return &socket;
        fallback = &socket;
      }
    }
    return fallback;
  };
  const auto flush = [&s](UdpSocket* socket, std::span<const model::Datagram> part) {
    if (part.empty()) return;
    const SendCount count = socket == nullptr ? SendCount{0, part.size()} : socket->send(part);
    s.count_sent.fetch_add(count.sent, std::memory_order_relaxed);
    s.count_dropped.fetch_add(count.dropped, std::memory_order_relaxed);
  };
  // Runs of datagrams for one socket go out in one call.
  std::size_t begin = 0;
  UdpSocket* current = nullptr;
  for (std::size_t i = 0; i < datagrams.size(); ++i) {
    if (datagrams[i].path.transport == model::Transport::tcp) {
      flush(current, datagrams.subspan(begin, i - begin));
      begin = i + 1;
      const bool taken = s.streams.send(datagrams[i].path, datagrams[i].bytes);
      (taken ? s.count_sent : s.count_dropped).fetch_add(1, std::memory_order_relaxed);
      continue;
    }
    UdpSocket* const socket = socket_for(datagrams[i].path);
    if (i > begin && socket != current) {
      flush(current, datagrams.subspan(begin, i - begin));
      begin = i;
    }
    current = socket;
  }
  flush(current, datagrams.subspan(begin));
}

EventLoop::Counters EventLoop::counters() const {
  const State& s = *state_;
  return {s.count_received.load(std::memory_order_relaxed), s.count_sent.load(std::memory_order_relaxed),
          s.count_dropped.load(std::memory_order_relaxed), s.count_refused.load(std::memory_order_relaxed)};
}

}  // namespace dots::adapters::net
