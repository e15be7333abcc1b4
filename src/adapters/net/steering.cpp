#include "adapters/net/steering.h"

#include <linux/filter.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "adapters/net/socket_address.h"
#include "adapters/net/socket_options.h"

namespace dots::adapters::net {
namespace {

constexpr std::uint16_t kRecordHeaderBytes = 13;
constexpr std::uint32_t kNetwork = static_cast<std::uint32_t>(SKF_NET_OFF);

sock_filter op(int code, std::uint32_t k) { return {static_cast<std::uint16_t>(code), 0, 0, k}; }

// Assembles the classic BPF program. It sees the UDP payload at offset 0 and the IP header at kNetwork, and returns the
// index of a socket: 0..shards-1 or `shards` for the admission socket.
class Assembler {
 public:
  Assembler(model::Family family, std::uint32_t shards) : shards_(shards) {
    classify();
    family == model::Family::ipv4 ? hash_ipv4() : hash_ipv6();
    finish();
  }
  std::vector<sock_filter>& program() { return code_; }

 private:
  void add(int code, std::uint32_t k) { code_.push_back(op(code, k)); }
  // Goes to the admission socket when the comparison comes out as `when`.
  void divert(int comparison, std::uint32_t k, bool when) {
    diversions_.push_back({code_.size(), when});
    add(BPF_JMP | comparison | BPF_K, k);
  }

  void classify() {
    add(BPF_LD | BPF_W | BPF_LEN, 0);
    divert(BPF_JGE, kRecordHeaderBytes, false);
    add(BPF_LD | BPF_B | BPF_ABS, 0);  // content type
    divert(BPF_JEQ, 20, true);
    divert(BPF_JEQ, 22, true);
    add(BPF_LD | BPF_H | BPF_ABS, 3);  // epoch
    divert(BPF_JEQ, 0, true);
  }

  // The hash of model::shard_of, word for word.
  void hash_ipv4() {
    add(BPF_LDX | BPF_B | BPF_MSH, kNetwork);  // X = header length
    add(BPF_LD | BPF_H | BPF_IND, kNetwork);   // source port
    add(BPF_ST, 0);
    add(BPF_LD | BPF_W | BPF_ABS, kNetwork + 12);
    mix_port();
  }
  void hash_ipv6() {
    // Behind extension headers the port stands elsewhere: the admission thread hands such datagrams on.
    add(BPF_LD | BPF_B | BPF_ABS, kNetwork + 6);
    divert(BPF_JEQ, IPPROTO_UDP, false);
    add(BPF_LD | BPF_H | BPF_ABS, kNetwork + 40);
    add(BPF_ST, 0);
    add(BPF_LD | BPF_W | BPF_ABS, kNetwork + 8);
    for (std::uint32_t at = 12; at <= 20; at += 4) {
      add(BPF_MISC | BPF_TAX, 0);
      add(BPF_LD | BPF_W | BPF_ABS, kNetwork + at);
      add(BPF_ALU | BPF_XOR | BPF_X, 0);
    }
    mix_port();
  }
  // A ^= port << 16 | port, with the port in M[0].
  void mix_port() {
    add(BPF_ST, 1);
    add(BPF_LD | BPF_MEM, 0);
    add(BPF_ALU | BPF_MUL | BPF_K, 0x10001);
    add(BPF_LDX | BPF_MEM, 1);
    add(BPF_ALU | BPF_XOR | BPF_X, 0);
  }
  void finish() {
    add(BPF_ALU | BPF_MUL | BPF_K, 0x9e3779b1U);
    add(BPF_ALU | BPF_RSH | BPF_K, 16);
    add(BPF_ALU | BPF_MOD | BPF_K, shards_);
    add(BPF_RET | BPF_A, 0);
    const std::size_t target = code_.size();
    add(BPF_RET | BPF_K, shards_);
    for (const auto& [at, when] : diversions_) {
      const auto distance = static_cast<std::uint8_t>(target - at - 1);
      (when ? code_[at].jt : code_[at].jf) = distance;
    }
  }

  std::uint32_t shards_;
  std::vector<sock_filter> code_;
  std::vector<std::pair<std::size_t, bool>> diversions_;
};

base::Error failed(const std::string& what, const model::SocketAddress& address) {
  return base::Error{what + " " + model::to_string(address) + ": " + std::strerror(errno)};
}

base::Error cannot_bind(const model::SocketAddress& address) {
  const std::string where = model::to_string(address);
  switch (errno) {
    case EADDRINUSE:
      return base::Error{"UDP " + where + " is in use by another process; stop it ('ss -lunp sport = :" +
                         std::to_string(address.port) + "' names it) or listen elsewhere"};
    case EADDRNOTAVAIL:
      return base::Error{"UDP " + where + " is not an address of this machine; check the listen addresses"};
    case EACCES:
      return base::Error{"UDP " + where + " may not be bound: ports below 1024 need CAP_NET_BIND_SERVICE"};
    default:
      return failed("cannot listen on UDP", address);
  }
}

}  // namespace

base::Result<ListenGroup> open_listen_group(const model::SocketAddress& address, std::uint32_t shards,
                                            std::uint32_t receive_buffer_bytes) {
  if (shards < 1 || shards > 256) return base::Error{std::to_string(shards) + " shards: 1 to 256 are possible"};
  const int family = native_family(address.ip.family);
  ListenGroup group;
  group.bound = address;
  for (std::uint32_t i = 0; i <= shards; ++i) {
    const int fd = ::socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return failed("no UDP socket for", address);
    UdpSocket socket{fd, group.bound};  // owns fd from here on
    const int on = 1;
    if (family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    group.receive_buffer_bytes = raise_receive_buffer(fd, receive_buffer_bytes);
    ignore_path_mtu_messages(fd, family);
    if (!tell_local_address(fd, family)) return failed("no destination addresses on UDP", address);
    // The first socket binds alone: the kernel refuses it when anybody holds the port, also with SO_REUSEPORT. It takes
    // the option afterwards, so there is no moment in which two daemons could both believe that the port is theirs.
    if (i > 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0)
      return failed("no SO_REUSEPORT on", address);
    const NativeAddress native{group.bound};
    if (::bind(fd, &native.any, native.length) != 0) return cannot_bind(address);
    if (i == 0) {
      if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) return failed("no SO_REUSEPORT on", address);
      NativeAddress real;
      if (::getsockname(fd, &real.any, &real.length) != 0) return failed("no port for", address);
      group.bound.port = real.value().port;
      socket.set_bound(group.bound);
    }
    (i < shards ? group.shards : group.admission).push_back(std::move(socket));
  }
  Assembler assembler{address.ip.family, shards};
  const sock_fprog program{static_cast<std::uint16_t>(assembler.program().size()), assembler.program().data()};
  if (setsockopt(group.admission[0].fd(), SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program) != 0) {
    return failed("the kernel does not take the steering program (SO_ATTACH_REUSEPORT_CBPF) for", address);
  }
  return group;
}

}  // namespace dots::adapters::net
