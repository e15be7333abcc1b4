#include "adapters/mitigators/program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include "adapters/mitigators/spawn.h"

namespace dots::adapters::mitigators {
namespace {

using Clock = std::chrono::steady_clock;

// Of the standard error only the end is shown; the rest is read so that the program does not wait for us.
constexpr std::size_t kMostErrorBytes = 4096;
constexpr std::size_t kShownErrorBytes = 300;
// After the end of the program: what is still in its pipes is there already.
constexpr int kPieces = 1024;

std::string reason(int error) { return std::strerror(error); }

class Descriptor {
 public:
  Descriptor() = default;
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  void take(int fd) { close(), fd_ = fd; }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

struct Pipe {
  Descriptor read, write;
  bool make() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return false;
    read.take(ends[0]);
    write.take(ends[1]);
    return true;
  }
};

void no_waiting(const Descriptor& end) { ::fcntl(end.get(), F_SETFL, ::fcntl(end.get(), F_GETFL) | O_NONBLOCK); }

// The words of a program for people: the end of its standard error on one line.
std::string last_words(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  while (!text.empty() && text.back() == ' ') text.pop_back();
  if (text.size() > kShownErrorBytes) text = "... " + text.substr(text.size() - kShownErrorBytes);
  return text.empty() ? text : ": " + text;
}

class Run {
 public:
  explicit Run(const ProgramRun& run) : run_(run), deadline_(Clock::now() + run.timeout) {}
  ~Run() { end_group(); }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  base::Result<std::string> all() {
    if (auto started = start(); !started) return started.error();
    while (!over_) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - Clock::now()).count();
      if (left <= 0) {
        return base::Error{name() + " did not end in " + std::to_string(run_.timeout.count()) + " ms and was killed" +
                           last_words(errors_)};
      }
      std::array<pollfd, 4> waits{pollfd{in_.write.get(), POLLOUT, 0}, pollfd{out_.read.get(), POLLIN, 0},
                                  pollfd{err_.read.get(), POLLIN, 0}, pollfd{process_.get(), POLLIN, 0}};
      if (::poll(waits.data(), waits.size(), static_cast<int>(std::min<long long>(left + 1, 60'000))) < 0) continue;
      if (waits[0].revents != 0) give();
      if (waits[1].revents != 0) take(out_.read, output_, run_.most_output_bytes);
      if (waits[2].revents != 0) take(err_.read, errors_, kMostErrorBytes);
      if (too_much_) break;
      over_ = waits[3].revents != 0;
    }
    if (over_) drain();
    if (too_much_) {
      return base::Error{name() + " answers with more than " + std::to_string(run_.most_output_bytes) +
                         " bytes and was killed"};
    }
    return verdict();
  }

 private:
  std::string name() const { return run_.words.front(); }

  base::Result<void> start() {
    if (::access(name().c_str(), F_OK) != 0) return base::Error{"there is no program " + name()};
    if (::access(name().c_str(), X_OK) != 0) return base::Error{name() + " may not be executed by this user"};
    if (!in_.make() || !out_.make() || !err_.make()) return base::Error{"cannot make a pipe: " + reason(errno)};
    no_waiting(in_.write);
    no_waiting(out_.read);
    no_waiting(err_.read);
    const auto pid = spawn({run_.words,
                            {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"},
                            {in_.read.get(), out_.write.get(), err_.write.get()}});
    if (!pid) return pid.error();
    pid_ = *pid;
    in_.read.close();
    out_.write.close();
    err_.write.close();
    // Not by the name that Debian 12 declares: it has no C++ linkage there.
    process_.take(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
    if (!process_.open()) return base::Error{"cannot watch " + name() + ": " + reason(errno)};
    if (run_.input.empty()) in_.write.close();
    return {};
  }

  // A program that ends without reading all of it is no fault of its own: its answer and status count.
  void give() {
    const ssize_t n = write_without_signal();
    if (n > 0) given_ += static_cast<std::size_t>(n);
    if ((n < 0 && errno != EAGAIN && errno != EINTR) || given_ == run_.input.size()) in_.write.close();
  }

  // SIGPIPE would end this daemon when nobody else has it ignored.
  ssize_t write_without_signal() {
    sigset_t pipe;
    sigset_t before;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe, &before);
    const ssize_t n = ::write(in_.write.get(), run_.input.data() + given_, run_.input.size() - given_);
    const int error = errno;
    if (n < 0 && error == EPIPE && sigismember(&before, SIGPIPE) == 0) {
      const timespec at_once{};
      ::sigtimedwait(&pipe, nullptr, &at_once);
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    errno = error;
    return n;
  }

  // False when nothing is left to be read for now.
  bool take(Descriptor& from, std::string& into, std::size_t most) {
    std::array<char, 65536> chunk;
    const ssize_t n = ::read(from.get(), chunk.data(), chunk.size());
    if (n > 0) {
      into.append(chunk.data(), static_cast<std::size_t>(n));
      if (into.size() <= most) return true;
      if (&into == &errors_) {
        into.erase(0, into.size() - most);
      } else {
        too_much_ = true;
      }
      return !too_much_;
    }
    if (n == 0 || (errno != EAGAIN && errno != EINTR)) from.close();
    return false;
  }

  void drain() {
    for (int i = 0; i < kPieces && out_.read.open() && take(out_.read, output_, run_.most_output_bytes); ++i) {
    }
    for (int i = 0; i < 2 && err_.read.open() && take(err_.read, errors_, kMostErrorBytes); ++i) {
    }
  }

  base::Result<std::string> verdict() {
    const int status = end_group();
    if (WIFSIGNALED(status)) {
      return base::Error{name() + " was killed by signal " + std::to_string(WTERMSIG(status)) + last_words(errors_)};
    }
    if (WEXITSTATUS(status) != 0) {
      return base::Error{name() + " ended with status " + std::to_string(WEXITSTATUS(status)) + last_words(errors_)};
    }
    return std::move(output_);
  }

  // Before the leader is reaped nobody else can have its number.
  int end_group() {
    if (pid_ <= 0) return 0;
    ::kill(-pid_, SIGKILL);
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return status;
  }

  const ProgramRun& run_;
  const Clock::time_point deadline_;
  pid_t pid_ = -1;
  Pipe in_, out_, err_;
  Descriptor process_;
  std::size_t given_ = 0;
  std::string output_, errors_;
  bool over_ = false;
  bool too_much_ = false;
};

}  // namespace

base::Result<std::string> run_program(const ProgramRun& run) {
  if (run.words.empty()) return base::Error{"there is no program to run"};
  return Run(run).all();
}

}  // namespace dots::adapters::mitigators
