// Options that all our UDP sockets share; not for other rooms.
#pragma once

#include <cstdint>

namespace dots::adapters::net {

// As much as asked for, or as much as the kernel gives without privilege. Returns the bytes really there.
std::uint32_t raise_receive_buffer(int fd, std::uint32_t bytes);

// Our datagrams fit the configured path MTU (RFC 9132 7.3), so forged "fragmentation needed" messages must not shrink
// them: no path MTU is learnt, and IPv4 leaves without DF, which a path below the configured MTU then may fragment.
void ignore_path_mtu_messages(int fd, int family);

// Each datagram comes with the address that it was sent to.
bool tell_local_address(int fd, int family);

}  // namespace dots::adapters::net
