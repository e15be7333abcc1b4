// Very many sessions that only beat. Each has an address of its own on the loopback, and they share a few sockets: one
// that is bound to all addresses sends and receives for every one of them, so that descriptors bound nothing.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "adapters/net/dtls_channel.h"
#include "adapters/net/udp_socket.h"
#include "base/result.h"
#include "dots-bench/load.h"

namespace dots::bench {

class Crowd {
 public:
  static base::Result<Crowd> open(const model::SocketAddress& server, const ClientCredentials& credentials,
                                  std::size_t sessions);
  // Each session sends once in `period`, so many times; their turns are spread evenly. Fails when an answer is wrong or
  // does not come.
  base::Result<LoadResult> beat(const Workload& workload, base::Duration period, unsigned periods);

 private:
  struct Member {
    std::unique_ptr<ports::SecureChannel> channel;
    std::uint16_t next_message_id = 0;
    base::SteadyTime sent{};
    std::uint64_t tag = 0;
    std::uint32_t token = 0;  // of the beat that waits; never the same again, or a cache would answer
    bool waits = false;
  };
  Crowd() = default;
  base::Result<void> bind();
  model::Path path_of(std::size_t member) const;
  base::Result<void> start(std::size_t member, adapters::net::DtlsConnector& connector);
  base::Result<void> send(std::size_t member, ports::ChannelEvents& events);
  void read(std::size_t socket);
  base::Result<void> take(std::size_t member, base::ByteView message, const Workload& workload, LoadResult& result);

  model::SocketAddress server_;
  std::vector<adapters::net::UdpSocket> sockets_;
  std::vector<Member> members_;
  std::uint32_t next_token_ = 1;
  std::unique_ptr<Poller> poller_ = std::make_unique<Poller>();
  std::unique_ptr<adapters::net::ReceiveBuffers> buffers_ = std::make_unique<adapters::net::ReceiveBuffers>();
  std::vector<model::Datagram> received_;
};

}  // namespace dots::bench
