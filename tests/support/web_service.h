// Real web services over HTTPS for tests: Python programs with certificates of a test authority.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "adapters/mitigators/web_service.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_pki.h"

namespace dots::tests {

inline constexpr char kSecret[] = "a secret of the tests";

// A child that prints its port and serves until it is destroyed.
class ServiceProcess {
 public:
  explicit ServiceProcess(std::vector<std::string> words) {
    std::array<int, 2> out{};
    if (::pipe(out.data()) != 0) throw std::runtime_error("no pipe");
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::dup2(out[1], 1);
      std::vector<char*> arguments;
      for (std::string& word : words) arguments.push_back(word.data());
      arguments.push_back(nullptr);
      ::execv(arguments[0], arguments.data());
      ::_exit(127);
    }
    ::close(out[1]);
    std::string line;
    for (char c = 0; ::read(out[0], &c, 1) == 1 && c != '\n';) line += c;
    ::close(out[0]);
    port_ = std::atoi(line.c_str());
  }
  ~ServiceProcess() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  ServiceProcess(const ServiceProcess&) = delete;
  ServiceProcess& operator=(const ServiceProcess&) = delete;
  int port() const { return port_; }

 private:
  pid_t pid_ = -1;
  int port_ = 0;
};

struct WebPki {
  test::TestPki authority;
  test::IssuedCertificate localhost = authority.issue({.name = "localhost", .dns = {"localhost"}});
};
inline WebPki& web_pki() {
  static WebPki one;
  return one;
}

inline adapters::mitigators::WebServiceOptions service_at(int port, const TempDir& folder) {
  adapters::mitigators::WebServiceOptions out;
  out.url = "https://localhost:" + std::to_string(port) + "/tidewall";
  out.ca_file = web_pki().authority.ca_file();
  out.secret_file = folder.file("secret");
  folder.write("secret", std::string(kSecret) + "\n");
  ::chmod(out.secret_file.c_str(), 0600);
  return out;
}

// The service that is shown in docs/examples.
inline std::vector<std::string> example_service(const TempDir& folder, const std::string& sources) {
  folder.write("secret", std::string(kSecret) + "\n");
  return {"/usr/bin/python3",
          sources + "/docs/examples/mitigators/rule-service.py",
          "--certificate",
          web_pki().localhost.certificate_file,
          "--key",
          web_pki().localhost.key_file,
          "--secret",
          folder.file("secret"),
          "--rules",
          folder.file("rules.json"),
          "--notices",
          folder.file("notices")};
}

}  // namespace dots::tests
