// One daemon for each state directory: SO_REUSEPORT would hide a second one.
#pragma once

#include <string>

#include "base/result.h"

namespace dots::adapters::store {

// Held while the object lives, and gone with the process however it ends. Not inherited by programs that it starts.
class StateLock {
 public:
  // Checks the directory as well (state_dir.h). An error names the process that holds the lock.
  static base::Result<StateLock> take(const std::string& state_dir);
  ~StateLock();
  StateLock(StateLock&& other) noexcept;
  StateLock& operator=(StateLock&& other) noexcept;

 private:
  explicit StateLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace dots::adapters::store
