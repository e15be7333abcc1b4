#include "adapters/store/disk_reserve.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace dots::adapters::store {

DiskReserve::DiskReserve(std::string path, std::uint64_t size_bytes)
    : path_(std::move(path)), size_bytes_(size_bytes) {}

base::Result<void> DiskReserve::make() {
  if (size_bytes_ == 0) return {};
  const auto failure = [this](int code) {
    return base::Error{"cannot allocate the disk reserve '" + path_ + "': " + std::strerror(code)};
  };
  const int fd = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return failure(errno);
  struct stat facts {};
  // st_blocks counts 512-byte units: a file with holes reserves nothing
  const bool there = ::fstat(fd, &facts) == 0 && static_cast<std::uint64_t>(facts.st_size) == size_bytes_ &&
                     static_cast<std::uint64_t>(facts.st_blocks) * 512 >= size_bytes_;
  int code = 0;
  if (!there) {
    if (::ftruncate(fd, 0) != 0) code = errno;
    if (code == 0) code = ::posix_fallocate(fd, 0, static_cast<off_t>(size_bytes_));
    if (code == 0 && ::fsync(fd) != 0) code = errno;
  }
  ::close(fd);
  whole_ = code == 0;
  if (whole_) return {};
  ::unlink(path_.c_str());
  return failure(code);
}

bool DiskReserve::give() {
  const bool had = size_bytes_ != 0 && ::unlink(path_.c_str()) == 0;
  whole_ = false;
  return had;
}

}  // namespace dots::adapters::store
