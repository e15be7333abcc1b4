#include "adapters/mitigators/spawn.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>

#include <cstring>

namespace dots::adapters::mitigators {
namespace {

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

}  // namespace

base::Result<pid_t> spawn(const SpawnOrder& order) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  int at = 0;
  for (const int descriptor : order.descriptors) {
    if (descriptor == SpawnOrder::kNothing) {
      posix_spawn_file_actions_addopen(&actions, at, "/dev/null", at == 0 ? O_RDONLY : O_WRONLY, 0);
    } else if (descriptor != SpawnOrder::kInherited) {
      posix_spawn_file_actions_adddup2(&actions, descriptor, at);
    }
    ++at;
  }
  posix_spawn_file_actions_addclosefrom_np(&actions, at);
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  std::vector<std::string> words = order.words;
  std::vector<std::string> environment = order.environment;
  pid_t pid = -1;
  const int error = ::posix_spawn(&pid, order.words.front().c_str(), &actions, &attributes, pointers_to(words).data(),
                                  pointers_to(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return base::Error{"cannot start " + order.words.front() + ": " + std::strerror(error)};
  return pid;
}

}  // namespace dots::adapters::mitigators
