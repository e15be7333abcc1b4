#include "dots-bench/machine.h"

#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

#include "dots-bench/stats.h"

namespace dots::bench {
namespace {

std::string cpu_model() {
  std::ifstream file{"/proc/cpuinfo"};
  for (std::string line; std::getline(file, line);) {
    const auto colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

// The mount with the longest path that leads to `folder`; a later one lies over an earlier one.
std::string file_system_of(const std::string& folder) {
  std::array<char, 4096> real{};
  const std::string path = ::realpath(folder.c_str(), real.data()) != nullptr ? real.data() : folder;
  std::ifstream file{"/proc/self/mountinfo"};
  std::string best = "unknown";
  std::size_t longest = 0;
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields{line};
    std::string id, parent, device, root, mount, word;
    fields >> id >> parent >> device >> root >> mount;
    while (fields >> word && word != "-") {
    }
    std::string type, source;
    fields >> type >> source;
    const bool leads = mount == "/" || path == mount || (path.starts_with(mount) && path[mount.size()] == '/');
    if (!leads || mount.size() < longest) continue;
    longest = mount.size();
    best = std::move(type);
    best.append(" on ").append(source);
  }
  return best;
}

}  // namespace

Machine this_machine() {
  Machine machine;
  machine.cpu_model = cpu_model();
  machine.cpus = ::sysconf(_SC_NPROCESSORS_ONLN);
  utsname names{};
  if (::uname(&names) == 0) machine.kernel = std::string{names.sysname} + " " + names.release;
  machine.tls_library = std::string{"GnuTLS "} + gnutls_check_version(nullptr);
  double load[1] = {0};
  if (::getloadavg(load, 1) == 1) machine.load = load[0];
#ifdef __OPTIMIZE__
  machine.optimised = true;
#endif
#ifndef NDEBUG
  machine.assertions = true;
#endif
  return machine;
}

base::Result<Disk> measure_disk(const std::string& folder, int writes) {
  Disk disk;
  disk.file_system = file_system_of(folder);
  const std::string path = folder + "/fsync-probe";
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return base::Error{"cannot write '" + path + "': " + std::strerror(errno)};
  ::unlink(path.c_str());
  const std::vector<char> page(4096, 'x');
  std::vector<base::Duration> times;
  for (int i = 0; i < writes; ++i) {
    const auto start = std::chrono::steady_clock::now();
    if (::write(fd, page.data(), page.size()) != static_cast<ssize_t>(page.size()) || ::fsync(fd) != 0) {
      const base::Error error{"cannot write to '" + folder + "': " + std::strerror(errno)};
      ::close(fd);
      return error;
    }
    times.push_back(std::chrono::steady_clock::now() - start);
  }
  ::close(fd);
  const Percentiles found = percentiles(std::move(times));
  disk.fsync_p50_ms = found.p50_us / 1000;
  disk.fsync_p99_ms = found.p99_us / 1000;
  return disk;
}

}  // namespace dots::bench
