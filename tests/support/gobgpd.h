// A real gobgpd for tests: no listening port, its interface on a unix socket in a folder of its own.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <string>
#include <thread>

#include "tests/support/temp_dir.h"

namespace dots::tests {

class Gobgpd {
 public:
  Gobgpd() { start(); }
  ~Gobgpd() { stop(); }
  Gobgpd(const Gobgpd&) = delete;
  Gobgpd& operator=(const Gobgpd&) = delete;

  // Why there is none here, or nothing.
  static std::string missing() {
    return ::access("/usr/bin/gobgpd", X_OK) == 0 ? std::string() : "there is no gobgpd here";
  }
  std::string api() const { return "unix://" + socket(); }

  void start() {
    std::ofstream(folder_.file("gobgpd.toml"))
        << "[global.config]\nas = 64512\nrouter-id = \"192.0.2.254\"\nport = -1\n";
    ::unlink(socket().c_str());
    const std::string config = folder_.file("gobgpd.toml"), api_hosts = api();
    const std::string log = folder_.file("gobgpd.log");
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
      ::dup2(out, 1);
      ::dup2(out, 2);
      ::execl("/usr/bin/gobgpd", "gobgpd", "-f", config.c_str(), "--api-hosts", api_hosts.c_str(), "--pprof-disable",
              static_cast<char*>(nullptr));
      ::_exit(127);
    }
    struct stat there {};
    for (int i = 0; i < 400 && ::stat(socket().c_str(), &there) != 0; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds{25});
    }
  }
  void stop() { signal(SIGKILL, true); }
  void pause() {
    signal(SIGSTOP, false);
    ::waitpid(pid_, nullptr, WUNTRACED);  // all its threads
  }
  void go_on() { signal(SIGCONT, false); }

 private:
  std::string socket() const { return folder_.file("api.sock"); }
  void signal(int number, bool ends) {
    if (pid_ <= 0) return;
    ::kill(pid_, number);
    if (!ends) return;
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

  TempDir folder_;
  pid_t pid_ = 0;
};

}  // namespace dots::tests
