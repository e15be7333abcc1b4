// Room on the disk that is kept for withdrawals: a file of allocated blocks, given back when the disk is full.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace dots::adapters::store {

// Threads: one at a time.
class DiskReserve {
 public:
  // size_bytes 0: no reserve is kept, and it always counts as whole.
  DiskReserve(std::string path, std::uint64_t size_bytes);

  // Allocates what is missing; an error leaves no half file behind.
  base::Result<void> make();
  // Gives the blocks back; false when there was nothing to give.
  bool give();
  // True while the whole reserve is allocated.
  bool whole() const { return size_bytes_ == 0 || whole_; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  std::uint64_t size_bytes_;
  bool whole_ = false;
};

}  // namespace dots::adapters::store
