#include "api/listen_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace dots::api {
namespace {

base::Error failed(const std::string& what, const std::string& path, const std::string& remedy) {
  return base::Error{what + " '" + path + "': " + std::strerror(errno) + (remedy.empty() ? "" : "; " + remedy)};
}

struct Descriptor {
  int fd = -1;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
  int release() { return std::exchange(fd, -1); }
};

// What stands at the path: nothing, a socket that nobody serves, or something that must stay.
base::Result<void> make_room(const std::string& path, const sockaddr_un& address) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return {};
    return failed("cannot look at the socket", path, "check the permissions of its folder");
  }
  if (!S_ISSOCK(info.st_mode))
    return base::Error{"'" + path + "' is there and is no socket; remove it, or write another api.socket"};
  Descriptor probe{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (probe.fd < 0) return failed("cannot open a socket for", path, "");
  if (::connect(probe.fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 || errno == EAGAIN)
    return base::Error{"another daemon listens on '" + path + "'; stop it, or write another api.socket"};
  if (errno != ECONNREFUSED) return failed("cannot tell whether a daemon listens on", path, "");
  if (::unlink(path.c_str()) != 0) return failed("cannot remove the left-over socket", path, "remove it by hand");
  return {};
}

}  // namespace

base::Result<int> listen_unix(const UnixSocketOptions& options) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (options.path.empty() || options.path.size() >= sizeof address.sun_path)
    return base::Error{"the socket path '" + options.path + "' has to be 1 to " +
                       std::to_string(sizeof address.sun_path - 1) + " bytes long; write a shorter api.socket"};
  std::memcpy(address.sun_path, options.path.c_str(), options.path.size());

  const std::filesystem::path folder = std::filesystem::path{options.path}.parent_path();
  if (::mkdir(folder.c_str(), 0750) != 0 && errno != EEXIST)
    return failed("cannot make the folder of the socket", folder.string(), "make it and give it to the daemon's user");
  if (const auto room = make_room(options.path, address); !room) return room.error();

  Descriptor socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (socket.fd < 0) return failed("cannot open a socket for", options.path, "");
  // The mode before bind() is what the file is born with: nobody slips in before the group is right.
  if (::fchmod(socket.fd, 0600) != 0) return failed("cannot restrict the socket", options.path, "");
  if (::bind(socket.fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return failed("cannot make the socket", options.path,
                  "check that its folder is there and belongs to the daemon's user");
  if (options.group && ::lchown(options.path.c_str(), static_cast<uid_t>(-1), *options.group) != 0) {
    const auto error = failed("cannot give to its group the socket", options.path,
                              "make the daemon's user a member of the group, or start it as root");
    ::unlink(options.path.c_str());
    return error;
  }
  if (::chmod(options.path.c_str(), options.open_to_all ? 0666 : 0660) != 0 || ::listen(socket.fd, 64) != 0) {
    const auto error = failed("cannot open for others the socket", options.path, "");
    ::unlink(options.path.c_str());
    return error;
  }
  return socket.release();
}

}  // namespace dots::api
