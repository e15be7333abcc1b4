#include "adapters/mitigators/helper_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <thread>

#include "adapters/mitigators/spawn.h"

namespace dots::adapters::mitigators {
namespace {

using Clock = std::chrono::steady_clock;

// A list of the largest table comes in lines of about 100 KB; nothing sane is longer than this.
constexpr std::size_t kMaxLineBytes = 8u << 20;
constexpr int kHelperFd = 3;

std::string reason(int error) { return std::strerror(error); }

int left_ms(Clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return left <= 0 ? 0 : static_cast<int>(std::min<long long>(left + 1, 60'000));
}

// Waits until the descriptor is ready; false at the deadline.
bool wait_for(int fd, short events, Clock::time_point deadline) {
  for (;;) {
    pollfd entry{fd, events, 0};
    const int n = ::poll(&entry, 1, left_ms(deadline));
    if (n > 0) return true;
    if (n < 0 && errno == EINTR) continue;
    if (n == 0 && Clock::now() < deadline) continue;
    return false;
  }
}

}  // namespace

base::Result<void> HelperProcess::start() {
  stop();
  const std::string& program = command_.front();
  if (::access(program.c_str(), F_OK) != 0) return base::Error{"there is no helper program " + program};
  if (::access(program.c_str(), X_OK) != 0) {
    return base::Error{"the helper program " + program + " may not be executed by this user"};
  }
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return base::Error{"cannot make a socket pair: " + reason(errno)};
  }
  // Only this end may block-free time out; the helper's end blocks.
  ::fcntl(ends[0], F_SETFL, ::fcntl(ends[0], F_GETFL) | O_NONBLOCK);

  const bool streams = through_ == Through::standard_streams;
  SpawnOrder order{command_, {}, {ends[1], ends[1], SpawnOrder::kInherited}};
  if (streams) {
    // What starts it elsewhere looks for programs; the helper itself needs nothing.
    order.environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
  } else {
    order.words.insert(order.words.end(), {"--fd", std::to_string(kHelperFd)});
    order.descriptors = {SpawnOrder::kNothing, SpawnOrder::kNothing, SpawnOrder::kInherited, ends[1]};
  }
  const auto pid = spawn(order);
  ::close(ends[1]);
  if (!pid) {
    ::close(ends[0]);
    return pid.error();
  }
  pid_ = *pid;
  fd_ = ends[0];
  return {};
}

void HelperProcess::stop() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  buffer_.clear();
  searched_ = 0;
  if (pid_ <= 0) return;
  // It ends by itself when the socket closes, unless it hangs.
  for (int i = 0; i < 50; ++i) {
    if (::waitpid(pid_, nullptr, WNOHANG) != 0) {
      pid_ = -1;
      return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(i < 10 ? 1 : 5));
  }
  ::kill(-pid_, SIGKILL);  // with what it has started
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

std::string HelperProcess::last_words() {
  int status = 0;
  for (int i = 0; i < 20 && pid_ > 0; ++i) {
    if (::waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      if (WIFSIGNALED(status)) return "killed by signal " + std::to_string(WTERMSIG(status));
      return "exit status " + std::to_string(WEXITSTATUS(status));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return "it closed its socket";
}

base::Error HelperProcess::broken(const std::string& what) {
  stop();
  return base::Error{what};
}

base::Result<void> HelperProcess::send(const std::string& line, Clock::time_point deadline) {
  if (!running()) return base::Error{"the helper is not running"};
  const std::string text = line + "\n";
  for (std::size_t sent = 0; sent < text.size();) {
    const ssize_t n = ::send(fd_, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (n > 0) {
      sent += static_cast<std::size_t>(n);
    } else if (errno == EAGAIN) {
      if (!wait_for(fd_, POLLOUT, deadline)) return broken("the helper does not take requests in time");
    } else if (errno != EINTR) {
      return broken("the helper is gone: " + last_words());
    }
  }
  return {};
}

base::Result<std::string> HelperProcess::receive(Clock::time_point deadline) {
  if (!running()) return base::Error{"the helper is not running"};
  for (;;) {
    const auto end = buffer_.find('\n', searched_);
    if (end != std::string::npos) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      searched_ = 0;
      return line;
    }
    searched_ = buffer_.size();
    if (buffer_.size() > kMaxLineBytes) return broken("the helper's answer is too long");
    std::array<char, 65536> chunk;
    const ssize_t n = ::recv(fd_, chunk.data(), chunk.size(), 0);
    if (n > 0) {
      buffer_.append(chunk.data(), static_cast<std::size_t>(n));
    } else if (n < 0 && errno == EAGAIN) {
      if (!wait_for(fd_, POLLIN, deadline)) return broken("the helper does not answer in time");
    } else if (n == 0 || errno != EINTR) {
      return broken("the helper is gone: " + last_words());
    }
  }
}

}  // namespace dots::adapters::mitigators
