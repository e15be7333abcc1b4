// Keys of back ends that are programs, services and people.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "ops/config.h"

namespace dots::ops {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

// Of the back end alone.
std::vector<std::string> problems(const std::string& keys) {
  const auto config = parse_config(
      "role = \"server\"\n[store]\nstate_dir = \"/var/lib/tidewall\"\n[[mitigator]]\n"
      "name = \"one\"\n" +
          keys,
      "dotsd.toml");
  std::vector<std::string> out;
  if (config) return out;
  for (const auto& problem : config.error()) {
    if (problem.key.starts_with("mitigator")) out.push_back(to_string(problem));
  }
  return out;
}

std::string file_of(const std::string& name, mode_t mode) {
  const std::string path = testing::TempDir() + "/" + name;
  std::ofstream{path} << "a secret of the tests\n";
  ::chmod(path.c_str(), mode);
  return "\"" + path + "\"";
}

TEST(ExternalMitigators, WhatIsMissingIsSaid) {
  const std::string ca = "url_ca_file = " + file_of("config-external-ca", 0644) + "\n";
  EXPECT_THAT(problems("kind = \"webhook\"\n"),
              ElementsAre(HasSubstr("there is no address to go to"), HasSubstr("could not know who asks")));
  EXPECT_THAT(problems("kind = \"notify\"\n"), ElementsAre(HasSubstr("there is nobody to be asked")));
  EXPECT_THAT(problems("kind = \"notify\"\nmail_to = [\"noc@example.net\"]\nmail_command = [\"sendmail\"]\n"),
              ElementsAre(HasSubstr("'sendmail' is no full path")));
  EXPECT_THAT(problems("kind = \"notify\"\nmail_to = [\"noc@example.net\"]\nmail_command = []\n"),
              ElementsAre(HasSubstr("there is no program to run")));
  EXPECT_THAT(problems("kind = \"notify\"\nmail_to = [\"noc@example.net\"]\n"), ElementsAre());
  EXPECT_THAT(problems("kind = \"notify\"\nurl = \"https://chat.example.net/x?y=z\"\n" + ca), ElementsAre());
  EXPECT_THAT(problems("kind = \"notify\"\nurl = \"https://chat.example.net\"\nurl_ca_file = \"/nonexistent\"\n"),
              ElementsAre(HasSubstr("there is no file '/nonexistent'")));
}

TEST(ExternalMitigators, NothingGoesWithoutProtection) {
  for (const char* url : {"http://127.0.0.1/", "http://scrubber.example.net/", "ftp://x/", "scrubber.example.net",
                          "https://", "https:///x", "https://user@host/", "https://host/a b", "https://host/#a"}) {
    EXPECT_THAT(problems("kind = \"webhook\"\nsecret_file = " + file_of("config-external-secret", 0600) + "\nurl = \"" +
                         std::string(url) + "\"\n"),
                Contains(HasSubstr(".url: ")))
        << url;
  }
  const std::string service = "kind = \"webhook\"\nurl = \"https://scrubber.example.net:8443/\"\nurl_ca_file = " +
                              file_of("config-external-ca", 0644) + "\nsecret_file = ";
  EXPECT_THAT(problems(service + file_of("config-external-secret", 0600) + "\n"), ElementsAre());
  EXPECT_THAT(problems(service + file_of("config-external-secret", 0604) + "\n"),
              ElementsAre(HasSubstr("every user may read or write the secret")));
}

// What stands there goes into the header of a mail.
TEST(ExternalMitigators, AMailAddressIsOneAddress) {
  for (const char* address : {"noc", "@example.net", "noc@", "a@b, c@d", "a@b\\nBcc: c@d", "-oQ/tmp@x", "<a@b>"}) {
    EXPECT_THAT(problems("kind = \"notify\"\nmail_to = [\"" + std::string(address) + "\"]\n"),
                Contains(HasSubstr("is no mail address")))
        << address;
  }
}

}  // namespace
}  // namespace dots::ops
