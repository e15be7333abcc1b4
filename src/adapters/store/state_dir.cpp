#include "adapters/store/state_dir.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace dots::adapters::store {
namespace {

base::Error failure(const std::string& what, const std::string& path, int code) {
  return base::Error{"cannot " + what + " '" + path + "': " + std::strerror(code)};
}

base::Result<void> write_all(int fd, const std::string& path, const std::string& content) {
  std::size_t done = 0;
  while (done < content.size()) {
    const ssize_t n = ::write(fd, content.data() + done, content.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failure("write", path, errno);
    done += static_cast<std::size_t>(n);
  }
  if (::fsync(fd) != 0) return failure("make durable", path, errno);
  return {};
}

}  // namespace

base::Result<void> check_state_dir(const std::string& state_dir) {
  const std::string named = "the state directory '" + state_dir + "' ";
  struct stat facts {};
  if (::stat(state_dir.c_str(), &facts) != 0) {
    const int code = errno;
    if (code == ENOENT) {
      return base::Error{named + "does not exist; create it with: install -d -m 0700 '" + state_dir +
                         "' (owned by the daemon's user)"};
    }
    return base::Error{named + "cannot be reached (" + std::strerror(code) +
                       "); check the owner and the mode of the folders above it"};
  }
  if (!S_ISDIR(facts.st_mode)) return base::Error{named + "is not a directory; set state_dir to one"};
  if (::faccessat(AT_FDCWD, state_dir.c_str(), W_OK | X_OK | R_OK, AT_EACCESS) == 0) return {};
  const int code = errno;
  if (code == EROFS) {
    return base::Error{named + "is on a read-only file system; remount it writable or set another state_dir"};
  }
  return base::Error{named + "is not writable (" + std::strerror(code) +
                     "); give it to the daemon's user with: chown " + std::to_string(::geteuid()) + " '" + state_dir +
                     "' && chmod 0700 '" + state_dir + "'"};
}

base::Result<void> sync_directory(const std::string& state_dir) {
  const int fd = ::open(state_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return failure("open", state_dir, errno);
  const int code = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  if (code != 0) return failure("make durable", state_dir, code);
  return {};
}

base::Result<void> write_durably(const std::string& state_dir, const std::string& name, const std::string& content) {
  const std::string path = state_dir + "/" + name;
  const std::string fresh = path + ".new";
  const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return failure("write", fresh, errno);
  auto written = write_all(fd, fresh, content);
  ::close(fd);
  if (!written) {
    ::unlink(fresh.c_str());
    return written;
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0) return failure("write", path, errno);
  return sync_directory(state_dir);
}

base::Result<bool> remove_durably(const std::string& state_dir, const std::string& name) {
  const std::string path = state_dir + "/" + name;
  if (::unlink(path.c_str()) != 0) {
    if (errno == ENOENT) return false;
    return failure("remove", path, errno);
  }
  if (auto synced = sync_directory(state_dir); !synced) return synced.error();
  return true;
}

}  // namespace dots::adapters::store
