#include "dots-bench/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "dots-bench/descriptor.h"

namespace dots::bench {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kLineTime = 30s;
constexpr double kRestCpuS = 0.001;  // for each look; a process that does more is at work
constexpr std::chrono::milliseconds kRestLook = 50ms;
constexpr int kRestLooks = 600;
bool g_waits_for_rest = true;

// What the kernel counts for one live process, its threads included, to the nanosecond.
base::Result<double> own_cpu_s(pid_t pid) {
  clockid_t clock{};
  timespec time{};
  if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &time) != 0) {
    return base::Error{"process " + std::to_string(pid) + " is gone"};
  }
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

// Children that were waited for: fields 16 and 17 of /proc/PID/stat, in ticks.
double dead_children_cpu_s(pid_t pid) {
  std::ifstream file{"/proc/" + std::to_string(pid) + "/stat"};
  std::string text;
  std::getline(file, text);
  const auto end_of_name = text.rfind(')');
  if (end_of_name == std::string::npos) return 0;
  std::istringstream fields{text.substr(end_of_name + 1)};
  std::string skipped;
  for (int field = 3; field < 16; ++field) fields >> skipped;
  long user = 0;
  long system = 0;
  fields >> user >> system;
  return static_cast<double>(user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

std::vector<pid_t> children_of(pid_t pid) {
  std::vector<pid_t> children;
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task", error)) {
    std::ifstream file{task.path() / "children"};
    for (pid_t child = 0; file >> child;) children.push_back(child);
  }
  return children;
}

base::Result<double> tree_cpu_s(pid_t pid) {
  auto sum = own_cpu_s(pid);
  if (!sum) return sum;
  *sum += dead_children_cpu_s(pid);
  for (const pid_t child : children_of(pid)) {
    // One that ends right now is counted as a dead child at the next look.
    if (const auto more = tree_cpu_s(child)) *sum += *more;
  }
  return sum;
}

// Field 2 of /proc/PID/statm, in pages.
base::Result<std::uint64_t> tree_resident_bytes(pid_t pid) {
  std::ifstream file{"/proc/" + std::to_string(pid) + "/statm"};
  std::uint64_t size = 0;
  std::uint64_t resident = 0;
  if (!(file >> size >> resident)) return base::Error{"process " + std::to_string(pid) + " is gone"};
  std::uint64_t bytes = resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  for (const pid_t child : children_of(pid)) {
    if (const auto more = tree_resident_bytes(child)) bytes += *more;
  }
  return bytes;
}

}  // namespace

base::Result<std::unique_ptr<Process>> Process::start(const std::vector<std::string>& arguments,
                                                      const std::string& log_file, bool wait_for_line) {
  int pipe_ends[2];
  if (::pipe2(pipe_ends, O_CLOEXEC) != 0) return base::Error{std::string{"no pipe: "} + std::strerror(errno)};
  const Descriptor read_end{pipe_ends[0]};
  Descriptor write_end{pipe_ends[1]};
  Descriptor log{::open(log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)};
  if (!log.ok()) return base::Error{"cannot write '" + log_file + "': " + std::strerror(errno)};
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
    ::dup2(write_end.get(), STDOUT_FILENO);
    ::dup2(log.get(), STDERR_FILENO);
    ::execv(argv[0], argv.data());
    ::dprintf(STDERR_FILENO, "cannot run %s: %s\n", argv[0], std::strerror(errno));
    ::_exit(127);
  }
  log.reset();
  write_end.reset();
  if (pid < 0) return base::Error{std::string{"cannot fork: "} + std::strerror(errno)};
  std::unique_ptr<Process> process{new Process{pid}};
  std::string line;
  while (wait_for_line && line.find('\n') == std::string::npos) {
    pollfd ready{read_end.get(), POLLIN, 0};
    char buffer[256];
    if (::poll(&ready, 1, static_cast<int>(kLineTime.count())) <= 0) break;
    const ssize_t count = ::read(read_end.get(), buffer, sizeof buffer);
    if (count <= 0) break;
    line.append(buffer, static_cast<std::size_t>(count));
  }
  if (wait_for_line && line.find('\n') == std::string::npos) {
    return base::Error{"'" + arguments[0] + "' did not start: see " + log_file};
  }
  process->first_line_ = line.substr(0, line.find('\n'));
  return process;
}

Process::~Process() { stop(); }

bool Process::running() {
  if (!ended_ && ::waitpid(pid_, nullptr, WNOHANG) == pid_) ended_ = true;
  return !ended_;
}

void Process::stop() {
  if (!running()) return;
  ::kill(pid_, SIGTERM);
  for (int i = 0; i < 1000 && running(); ++i) std::this_thread::sleep_for(10ms);
  if (!running()) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  ended_ = true;
}

base::Result<double> Process::cpu_s() const { return tree_cpu_s(pid_); }

base::Result<std::uint64_t> Process::resident_bytes() const { return tree_resident_bytes(pid_); }

base::Result<double> Process::cpu_at_rest_s() const {
  auto last = cpu_s();
  if (!g_waits_for_rest) return last;
  int quiet = 0;
  for (int look = 0; look < kRestLooks && last; ++look) {
    std::this_thread::sleep_for(kRestLook);
    auto now = cpu_s();
    if (!now) return now;
    quiet = *now - *last < kRestCpuS ? quiet + 1 : 0;
    last = now;
    if (quiet == 2) return now;
  }
  if (!last) return last;
  return base::Error{"process " + std::to_string(pid_) + " does not come to rest"};
}

void do_not_wait_for_rest() { g_waits_for_rest = false; }

void allow_descriptors(std::size_t wanted) {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  if (files.rlim_max < wanted) {
    // Root may have more.
    const rlimit more{wanted, wanted};
    if (::setrlimit(RLIMIT_NOFILE, &more) == 0) return;
  }
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
}

std::size_t allowed_descriptors() {
  rlimit files{};
  return ::getrlimit(RLIMIT_NOFILE, &files) == 0 ? files.rlim_cur : 0;
}

}  // namespace dots::bench
