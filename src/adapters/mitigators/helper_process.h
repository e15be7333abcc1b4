// A child process that answers one line with another over a socket pair. Private to src/adapters/mitigators.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace dots::adapters::mitigators {

// Threads: one at a time.
class HelperProcess {
 public:
  // How the helper gets its end of the socket: as a descriptor of its own with --fd, or, through programs that pass no
  // other on (ssh), as its standard input and output.
  enum class Through : std::uint8_t { descriptor, standard_streams };
  HelperProcess(std::vector<std::string> command, Through through) : command_(std::move(command)), through_(through) {}
  ~HelperProcess() { stop(); }
  HelperProcess(const HelperProcess&) = delete;
  HelperProcess& operator=(const HelperProcess&) = delete;

  bool running() const { return pid_ > 0; }
  pid_t pid() const { return pid_; }
  base::Result<void> start();
  // Closes the socket, waits a little, then kills. Always reaps.
  void stop();

  // After a failure of one of these the process is stopped: what it still does is not known.
  base::Result<void> send(const std::string& line, std::chrono::steady_clock::time_point deadline);
  base::Result<std::string> receive(std::chrono::steady_clock::time_point deadline);

 private:
  base::Error broken(const std::string& what);
  std::string last_words();

  std::vector<std::string> command_;  // the program's path, then its arguments
  Through through_;
  pid_t pid_ = -1;
  int fd_ = -1;
  std::string buffer_;
  std::size_t searched_ = 0;
};

}  // namespace dots::adapters::mitigators
