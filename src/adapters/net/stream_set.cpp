#include "adapters/net/stream_set.h"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <utility>
#include <vector>

namespace dots::adapters::net {
namespace {

namespace asio = boost::asio;
using Descriptor = asio::posix::stream_descriptor;

constexpr int kReadsPerTurn = 4;  // of one connection; then the others have their turn
constexpr int kAcceptsPerTurn = 64;
// How long a connection that we have closed may take for what still waits, and for the peer's end.
constexpr auto kLinger = std::chrono::seconds{5};
// So many of them at a time; past it they are cut off, and the descriptors stay for those who are served.
constexpr std::size_t kMostLingering = 1024;
// A process without free descriptors asks again after this.
constexpr auto kPause = std::chrono::milliseconds{200};

}  // namespace

struct StreamSet::State {
  struct Entry {
    Entry(asio::io_context& io, TcpStream s) : stream(std::move(s)), ready(io, stream.fd()), linger(io) {}
    ~Entry() { ready.release(); }  // the descriptor belongs to `stream`
    TcpStream stream;
    Descriptor ready;
    asio::steady_timer linger;
    bool reading = false;  // waits until it is readable
    bool writing = false;  // waits until it is writable
    bool held = false;     // is not read
    bool closing = false;
  };
  struct Listening {
    Listening(asio::io_context& io, TcpListener l) : listener(std::move(l)), ready(io, listener.fd()), pause(io) {}
    ~Listening() { ready.release(); }
    TcpListener listener;
    Descriptor ready;
    asio::steady_timer pause;
  };
  using Shared = std::shared_ptr<Entry>;

  State(asio::io_context& i, const EventLoop::Handlers& h) : io(i), handlers(h) {}

  void watch_read(const Shared& entry) {
    if (entry->held || entry->reading) return;
    entry->reading = true;
    entry->ready.async_wait(Descriptor::wait_read, [this, weak = std::weak_ptr<Entry>{entry}](const auto& error) {
      const auto alive = weak.lock();
      if (!alive || error == asio::error::operation_aborted) return;
      alive->reading = false;
      if (!alive->held) read(alive);
    });
  }
  void watch_write(const Shared& entry) {
    if (entry->writing || !entry->stream.wants_write()) return;
    entry->writing = true;
    entry->ready.async_wait(Descriptor::wait_write, [this, weak = std::weak_ptr<Entry>{entry}](const auto& error) {
      const auto alive = weak.lock();
      if (!alive || error == asio::error::operation_aborted) return;
      alive->writing = false;
      if (auto flushed = alive->stream.flush(); !flushed) return end(alive, flushed.error().message);
      watch_write(alive);
      shut_down_when_empty(*alive);
      if (!alive->stream.wants_write() && !alive->closing && handlers.on_drained) {
        handlers.on_drained(alive->stream.path());
      }
    });
  }
  bool holds(const Shared& entry) const {
    const auto found = streams.find(entry->stream.path());
    return found != streams.end() && found->second == entry;
  }

  void read(const Shared& entry) {
    for (int i = 0; i < kReadsPerTurn && !entry->held; ++i) {
      model::Datagram piece{entry->stream.path(), {}};
      const auto got = entry->stream.receive(piece.bytes);
      if (!got) return end(entry, got.error().message);
      if (!*got) break;
      if (!entry->closing && handlers.on_datagrams) handlers.on_datagrams(std::span{&piece, 1});
      if (!holds(entry)) return;
    }
    watch_read(entry);
  }

  // Forgets a connection that is over, and tells it unless it was ours to close.
  void end(const Shared& entry, const std::string& reason) {
    const Shared keep = entry;
    if (!holds(entry)) return;
    const model::Path path = entry->stream.path();
    entry->ready.cancel();
    streams.erase(path);
    if (entry->closing) --lingering;
    if (!entry->closing && handlers.on_stream_ended) handlers.on_stream_ended(path, reason);
  }
  static void shut_down_when_empty(Entry& entry) {
    if (entry.closing && entry.stream.unsent() == 0) entry.stream.shut_down();
  }

  void accept(const std::shared_ptr<Listening>& listening) {
    bool full = false;
    for (int i = 0; i < kAcceptsPerTurn; ++i) {
      auto stream = listening->listener.accept(full);
      if (!stream) break;
      if (handlers.on_accepted) handlers.on_accepted(std::move(*stream));
    }
    if (!full) return watch_accept(listening);
    listening->pause.expires_after(kPause);
    listening->pause.async_wait([this, weak = std::weak_ptr<Listening>{listening}](const auto& error) {
      const auto alive = weak.lock();
      if (alive && !error) watch_accept(alive);
    });
  }
  void watch_accept(const std::shared_ptr<Listening>& listening) {
    listening->ready.async_wait(Descriptor::wait_read,
                                [this, weak = std::weak_ptr<Listening>{listening}](const auto& error) {
                                  const auto alive = weak.lock();
                                  if (alive && error != asio::error::operation_aborted) accept(alive);
                                });
  }

  asio::io_context& io;
  const EventLoop::Handlers& handlers;
  std::map<model::Path, Shared> streams;
  std::size_t lingering = 0;  // of these
  std::vector<std::shared_ptr<Listening>> listeners;
};

StreamSet::StreamSet(asio::io_context& io, const EventLoop::Handlers& handlers)
    : state_(std::make_unique<State>(io, handlers)) {}
StreamSet::~StreamSet() = default;

void StreamSet::add(TcpStream stream) {
  State& s = *state_;
  const auto entry = std::make_shared<State::Entry>(s.io, std::move(stream));
  // The path may come again while an old connection of ours still lingers.
  if (const auto old = s.streams.find(entry->stream.path()); old != s.streams.end() && old->second->closing)
    --s.lingering;
  s.streams.insert_or_assign(entry->stream.path(), entry);
  s.watch_read(entry);
  s.watch_write(entry);
}

std::optional<TcpStream> StreamSet::remove(const model::Path& path) {
  State& s = *state_;
  const auto found = s.streams.find(path);
  if (found == s.streams.end() || found->second->closing) return std::nullopt;
  const State::Shared entry = found->second;
  s.streams.erase(found);
  // The descriptor leaves this loop's poller before it is another's.
  entry->ready.release();
  return std::move(entry->stream);
}

void StreamSet::close(const model::Path& path) {
  State& s = *state_;
  const auto found = s.streams.find(path);
  if (found == s.streams.end() || found->second->closing) return;
  const State::Shared entry = found->second;
  if (s.lingering >= kMostLingering) {
    s.streams.erase(found);
    return;
  }
  entry->closing = true;
  entry->held = false;
  s.watch_read(entry);
  ++s.lingering;
  State::shut_down_when_empty(*entry);
  entry->linger.expires_after(kLinger);
  entry->linger.async_wait([&s, weak = std::weak_ptr<State::Entry>{entry}](const auto& error) {
    const auto alive = weak.lock();
    if (alive && !error) s.end(alive, "");
  });
}

bool StreamSet::send(const model::Path& path, base::ByteView bytes) {
  State& s = *state_;
  const auto found = s.streams.find(path);
  if (found == s.streams.end() || found->second->closing) return false;
  const State::Shared entry = found->second;
  if (auto sent = entry->stream.send(bytes); !sent) {
    // Told later: the caller is in the middle of its own round.
    asio::post(s.io, [&s, weak = std::weak_ptr<State::Entry>{entry}, reason = sent.error().message] {
      if (const auto alive = weak.lock()) s.end(alive, reason);
    });
    return false;
  }
  s.watch_write(entry);
  return true;
}

void StreamSet::hold(const model::Path& path, bool held) {
  State& s = *state_;
  const auto found = s.streams.find(path);
  if (found == s.streams.end() || found->second->closing) return;
  const State::Shared entry = found->second;
  entry->held = held;
  s.watch_read(entry);
}

std::size_t StreamSet::unsent(const model::Path& path) const {
  const auto found = state_->streams.find(path);
  return found == state_->streams.end() ? 0 : found->second->stream.unsent();
}

void StreamSet::remove_listeners() { state_->listeners.clear(); }

void StreamSet::add(TcpListener listener) {
  State& s = *state_;
  s.listeners.push_back(std::make_shared<State::Listening>(s.io, std::move(listener)));
  s.watch_accept(s.listeners.back());
}

}  // namespace dots::adapters::net
