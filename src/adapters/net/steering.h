// One listening address: a socket for each shard, one for handshakes, and the program in the kernel that chooses.
//
// All sockets share the address (SO_REUSEPORT). Live sessions' records go to the shard that model::shard_of names;
// handshakes and everything that is not protected go to the admission socket, so that a flood of hellos never queues
// before live sessions. docs/decisions/admission-and-steering.md.
#pragma once

#include <cstdint>
#include <vector>

#include "adapters/net/udp_socket.h"
#include "base/result.h"
#include "model/peer.h"

namespace dots::adapters::net {

struct ListenGroup {
  std::vector<UdpSocket> shards;           // index = shard
  std::vector<UdpSocket> admission;        // exactly one
  model::SocketAddress bound;              // with the real port
  std::uint32_t receive_buffer_bytes = 0;  // what the kernel gave
};

// Every socket is bound and the steering is on when this returns, so nothing is read before. A port that anybody else
// holds, another daemon of ours included, is refused. `shards` is 1 to 256.
base::Result<ListenGroup> open_listen_group(const model::SocketAddress& address, std::uint32_t shards,
                                            std::uint32_t receive_buffer_bytes = 4u << 20);

}  // namespace dots::adapters::net
