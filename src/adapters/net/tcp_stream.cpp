#include "adapters/net/tcp_stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "adapters/net/socket_address.h"

namespace dots::adapters::net {
namespace {

constexpr std::size_t kReadBytes = 16384;
constexpr int kBacklog = 1024;

void set(int fd, int level, int option, int value) { setsockopt(fd, level, option, &value, sizeof value); }

void prepare(int fd, const TcpOptions& options) {
  const auto dead_ms = std::chrono::duration_cast<std::chrono::milliseconds>(options.dead_after).count();
  set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set(fd, IPPROTO_TCP, TCP_KEEPIDLE, 60);
  set(fd, IPPROTO_TCP, TCP_KEEPINTVL, 30);
  set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(std::clamp<std::int64_t>(dead_ms, 1000, 1 << 30)));
}

std::string reason_of(int error) {
  switch (error) {
    case ECONNREFUSED:
      return "the connection was refused: nothing listens there";
    case ECONNRESET:
    case EPIPE:
      return "the peer reset the connection";
    case ETIMEDOUT:
      return "the peer does not answer on TCP";
    default:
      return std::strerror(error);
  }
}

}  // namespace

TcpStream::TcpStream(int fd, const model::Path& path, const TcpOptions& options, bool connecting)
    : fd_(fd), path_(path), options_(options), connecting_(connecting) {
  path_.transport = model::Transport::tcp;
  prepare(fd_, options_);
}

TcpStream::TcpStream(TcpStream&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      path_(other.path_),
      options_(other.options_),
      unsent_(std::move(other.unsent_)),
      sent_(other.sent_),
      connecting_(other.connecting_) {}

TcpStream& TcpStream::operator=(TcpStream&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = std::exchange(other.fd_, -1);
    path_ = other.path_;
    options_ = other.options_;
    unsent_ = std::move(other.unsent_);
    sent_ = other.sent_;
    connecting_ = other.connecting_;
  }
  return *this;
}

TcpStream::~TcpStream() {
  if (fd_ >= 0) ::close(fd_);
}

base::Result<TcpStream> TcpStream::connect(const model::SocketAddress& server, const TcpOptions& options) {
  const int fd = ::socket(native_family(server.ip.family), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return base::Error{std::string{"no TCP socket: "} + std::strerror(errno)};
  TcpStream stream{fd, {server, {}, model::Transport::tcp}, options, true};
  const NativeAddress to{server};
  NativeAddress own;
  if (::connect(fd, &to.any, to.length) != 0 && errno != EINPROGRESS) {
    return base::Error{"no way to " + model::to_string(server) + ": " + reason_of(errno)};
  }
  if (::getsockname(fd, &own.any, &own.length) != 0) return base::Error{std::strerror(errno)};
  stream.path_.local = own.value();
  return stream;
}

base::Result<bool> TcpStream::receive(base::Bytes& out) {
  if (connecting_) return false;
  const std::size_t before = out.size();
  out.resize(before + kReadBytes);
  ssize_t count = 0;
  do {
    count = ::recv(fd_, out.data() + before, kReadBytes, MSG_DONTWAIT);
  } while (count < 0 && errno == EINTR);
  const int error = errno;
  out.resize(before + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  if (count > 0) return true;
  if (count == 0) return base::Error{"the peer closed the connection"};
  if (error == EAGAIN || error == EWOULDBLOCK) return false;
  return base::Error{reason_of(error)};
}

base::Result<void> TcpStream::send(base::ByteView bytes) {
  if (unsent() + bytes.size() > options_.unsent_bytes) {
    return base::Error{"the peer does not read: more than " + std::to_string(options_.unsent_bytes) +
                       " bytes wait for it"};
  }
  unsent_.insert(unsent_.end(), bytes.begin(), bytes.end());
  return connecting_ ? base::Result<void>{} : flush();
}

base::Result<void> TcpStream::flush() {
  if (connecting_) {
    int error = 0;
    socklen_t length = sizeof error;
    if (::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
    if (error != 0) return base::Error{reason_of(error)};
    connecting_ = false;
  }
  while (unsent() > 0) {
    const ssize_t count = ::send(fd_, unsent_.data() + sent_, unsent(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count > 0) {
      sent_ += static_cast<std::size_t>(count);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      break;
    } else if (errno != EINTR) {
      return base::Error{reason_of(errno)};
    }
  }
  if (unsent() == 0) {
    unsent_ = {};
    sent_ = 0;
  } else if (sent_ >= unsent_.size() / 2) {
    unsent_.erase(unsent_.begin(), unsent_.begin() + static_cast<std::ptrdiff_t>(sent_));
    sent_ = 0;
  }
  return {};
}

void TcpStream::shut_down() { ::shutdown(fd_, SHUT_WR); }

TcpListener::TcpListener(TcpListener&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), bound_(other.bound_), options_(other.options_) {}
TcpListener& TcpListener::operator=(TcpListener&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = std::exchange(other.fd_, -1);
    bound_ = other.bound_;
    options_ = other.options_;
  }
  return *this;
}
TcpListener::~TcpListener() {
  if (fd_ >= 0) ::close(fd_);
}

base::Result<TcpListener> TcpListener::listen(const model::SocketAddress& address, const TcpOptions& options) {
  const auto failed = [&](const char* what) {
    const std::string where = "TCP " + model::to_string(address);
    if (errno == EADDRINUSE) {
      return base::Error{where + " is in use by another process; stop it ('ss -ltnp sport = :" +
                         std::to_string(address.port) + "' names it), listen elsewhere, or " + options.remedy};
    }
    const int error = errno;
    std::string out = std::string{what} + " " + where + ": " + std::strerror(error);
    if (error == EACCES && address.port < 1024) out += "; a port below 1024 needs CAP_NET_BIND_SERVICE";
    return base::Error{out};
  };
  const int family = native_family(address.ip.family);
  const int fd = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return failed("no socket for");
  TcpListener listener{fd, options};
  // A restart must not wait for the ends of old connections; the port of a running daemon stays its own.
  set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (family == AF_INET6) set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  const NativeAddress native{address};
  NativeAddress real;
  if (::bind(fd, &native.any, native.length) != 0) return failed("cannot bind");
  if (::listen(fd, kBacklog) != 0) return failed("cannot listen on");
  if (::getsockname(fd, &real.any, &real.length) != 0) return failed("no port for");
  listener.bound_ = real.value();
  return listener;
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

std::optional<TcpStream> TcpListener::accept(bool& full) {
  for (int tries = 0; tries < 16; ++tries) {
    NativeAddress peer, own;
    const int fd = ::accept4(fd_, &peer.any, &peer.length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK) return std::nullopt;
      full = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
      if (full) return std::nullopt;
      continue;  // the error of a connection that is gone already
    }
    if (::getsockname(fd, &own.any, &own.length) != 0) {
      ::close(fd);
      continue;
    }
    return TcpStream{fd, {peer.value(), own.value(), model::Transport::tcp}, options_, false};
  }
  return std::nullopt;
}

}  // namespace dots::adapters::net
