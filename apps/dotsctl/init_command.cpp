#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <ostream>

#include "adapters/pki/authority.h"
#include "dotsctl/commands.h"
#include "dotsctl/exit_code.h"
#include "dotsctl/text.h"
#include "ops/config_values.h"
#include "ops/init.h"

namespace dots::dotsctl {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr std::chrono::hours kAuthorityLife = 24h * 3650;
constexpr std::chrono::hours kCertificateLife = 24h * 730;
constexpr std::size_t kPskBytes = 32;
constexpr std::size_t kMaxSocketPath = 107;

struct File {
  std::string name;  // inside the folder
  std::string content;
  mode_t mode = 0644;
};

base::Error failed(const std::string& what, const std::string& path) {
  return base::Error{what + " '" + path + "': " + std::strerror(errno)};
}

base::Result<std::vector<File>> contents(const ops::InitOptions& set) {
  const base::WallTime now{std::chrono::system_clock::now().time_since_epoch()};
  const auto authority = adapters::pki::Authority::create("Tidewall test authority", now, kAuthorityLife);
  if (!authority) return authority.error();
  const adapters::pki::Subject server{ops::kInitServerName,
                                      {"localhost", ops::kInitServerName},
                                      {*model::parse_ip_address("127.0.0.1"), *model::parse_ip_address("::1")},
                                      true};
  const adapters::pki::Subject client{ops::kInitClientName, {ops::kInitClientName}, {}, false};
  const auto server_pair = authority->issue(server, now, kCertificateLife);
  if (!server_pair) return server_pair.error();
  const auto client_pair = authority->issue(client, now, kCertificateLife);
  if (!client_pair) return client_pair.error();
  const auto psk = adapters::pki::random_key(kPskBytes);
  if (!psk) return psk.error();
  return std::vector<File>{
      {"pki/ca.crt", authority->own().certificate_pem},
      {"pki/ca.key", authority->own().key_pem, 0600},
      {"pki/server.crt", server_pair->certificate_pem},
      {"pki/server.key", server_pair->key_pem, 0600},
      {"pki/client.crt", client_pair->certificate_pem},
      {"pki/client.key", client_pair->key_pem, 0600},
      {"psk.txt", std::string{ops::kInitClientName} + ":" + base::to_hex(*psk) + "\n", 0600},
      {"server.toml", ops::init_server_toml(set)},
      {"client.toml", ops::init_client_toml(set)},
  };
}

base::Result<void> write(const fs::path& folder, const File& file) {
  const std::string path = (folder / file.name).string();
  const std::string fresh = path + ".new";
  ::unlink(fresh.c_str());
  const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, file.mode);
  if (fd < 0) return failed("cannot make", fresh);
  const bool written =
      ::write(fd, file.content.data(), file.content.size()) == static_cast<ssize_t>(file.content.size()) &&
      ::fchmod(fd, file.mode) == 0 && ::fsync(fd) == 0;
  const base::Error error = failed("cannot write", fresh);
  ::close(fd);
  if (!written) {
    ::unlink(fresh.c_str());
    return error;
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0) return failed("cannot put in its place", path);
  return {};
}

base::Result<void> make_folder(const fs::path& path, mode_t mode) {
  std::error_code error;
  if (fs::is_directory(path, error)) return {};
  if (::mkdir(path.c_str(), mode) != 0) return failed("cannot make the folder", path.string());
  return {};
}

}  // namespace

int run_init(const Options& options, Streams streams) {
  ops::InitOptions set = options.init.set;
  if (const auto id = ops::read_identifier(set.domain); !id)
    return fail(options, streams, kUsage, "--domain: " + id.error().what, id.error().remedy);
  for (const auto& prefix : set.prefixes)
    if (const auto read = ops::read_owned_prefix(prefix); !read)
      return fail(options, streams, kUsage, "--prefix: " + read.error().what, read.error().remedy);

  std::error_code error;
  const fs::path folder = fs::absolute(options.init.folder, error).lexically_normal();
  if ((folder / "state/server/dotsd.sock").string().size() > kMaxSocketPath)
    return fail(options, streams, kUsage, "the path '" + folder.string() + "' is too long for the sockets in it",
                "use a shorter one");
  const auto files = contents(set);
  if (!files) return fail(options, streams, kRefused, files.error().message, "");
  if (!options.init.force)
    for (const File& file : *files)
      if (fs::exists(fs::symlink_status(folder / file.name, error)))
        return fail(options, streams, kRefused, "'" + (folder / file.name).string() + "' is there already",
                    "choose another folder, or overwrite with --force (new keys: old clients no longer fit)");
  fs::create_directories(folder, error);
  if (error)
    return fail(options, streams, kRefused, "cannot make the folder '" + folder.string() + "': " + error.message(), "");
  for (const char* inner : {"pki", "state", "state/server", "state/client"})
    if (const auto made = make_folder(folder / inner, 0700); !made)
      return fail(options, streams, kRefused, made.error().message, "check the permissions of the folder above");
  for (const File& file : *files)
    if (const auto written = write(folder, file); !written)
      return fail(options, streams, kRefused, written.error().message, "check the space and the permissions there");

  const std::string at = folder.string();
  if (options.json) {
    boost::json::array names;
    for (const File& file : *files) names.emplace_back((folder / file.name).string());
    streams.out << boost::json::serialize(boost::json::object{{"folder", at}, {"files", std::move(names)}}) << "\n";
    return kOk;
  }
  streams.out << "A server and a client for this machine are in " << at << ".\n\n"
              << "  dotsd --config " << at << "/server.toml\n"
              << "  dotsd --config " << at << "/client.toml\n"
              << "  dotsctl --config " << at << "/client.toml mitigate --target-prefix " << set.prefixes.front()
              << " --protocol udp --wait\n"
              << "  dotsctl --config " << at << "/server.toml explain\n";
  if (set.mitigator == "nftables")
    streams.out << "\nnftables needs CAP_NET_ADMIN: dotsctl check-config " << at
                << "/server.toml says whether it is there.\n";
  return kOk;
}

}  // namespace dots::dotsctl
