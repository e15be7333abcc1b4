// The TCP half of an event loop: connections and listeners that wait for readiness. Not for other rooms.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "adapters/net/event_loop.h"
#include "adapters/net/tcp_stream.h"

namespace dots::adapters::net {

class StreamSet {
 public:
  StreamSet(boost::asio::io_context& io, const EventLoop::Handlers& handlers);
  ~StreamSet();

  void add(TcpStream stream);
  std::optional<TcpStream> remove(const model::Path& path);
  void close(const model::Path& path);
  bool send(const model::Path& path, base::ByteView bytes);
  void hold(const model::Path& path, bool held);
  std::size_t unsent(const model::Path& path) const;
  void add(TcpListener listener);
  void remove_listeners();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dots::adapters::net
