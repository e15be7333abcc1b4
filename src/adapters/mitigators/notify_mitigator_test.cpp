// People as a back end: what they are told, how often, and what a peer's text may do there (docs/mitigators.md).
#include "adapters/mitigators/notify_mitigator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <sstream>
#include <thread>

#include "adapters/mitigators/notice.h"
#include "tests/support/rules.h"
#include "tests/support/web_service.h"

namespace dots::adapters::mitigators {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using tests::example_service;
using tests::rule_of;
using tests::service_at;
using tests::ServiceProcess;

ports::RuleChange wanted(model::Rule rule, const std::string& cuid = "cuid-a", std::uint32_t mid = 7) {
  return {ports::RuleChange::Kind::install,
          std::move(rule),
          {{{base::DomainId{"acme"}, base::Cuid{cuid}, base::Mid{mid}}, "requested by client edge", {}}}};
}

// Mail goes to a program that keeps it in files 1, 2, ...; it fails while there is a file "broken".
class Notify : public testing::Test {
 protected:
  Notify() {
    folder.write("mail", "#!/bin/sh\ncd " + folder.path() +
                             "\n[ -e broken ] && { echo no route >&2; exit 1; }\nn=$(ls mail-* 2>/dev/null | wc -l)\n"
                             "cat > mail-$((n + 1))\n");
    ::chmod(folder.file("mail").c_str(), 0755);
    options.name = "noc";
    options.mail_to = {"noc@example.net", "duty@example.net"};
    options.mail_command = {folder.file("mail"), "-t"};
    options.notice_every = 0ms;
    options.state_dir = folder.path();
    start();
  }
  void start() { back_end = make_notify_mitigator(options); }
  std::string mail(int number) const {
    std::stringstream text;
    text << std::ifstream{folder.file("mail-" + std::to_string(number))}.rdbuf();
    return text.str();
  }
  bool no_mail(int number) const { return ::access(folder.file("mail-" + std::to_string(number)).c_str(), F_OK) != 0; }
  std::string waits_for() {
    const auto listing = back_end->list();
    if (!listing) return listing.error().message;
    return listing->rules.empty() ? "no rules" : listing->rules.front().not_in_force;
  }

  const tests::TempDir folder;
  NotifyOptions options;
  std::unique_ptr<ports::Mitigator> back_end;
  const model::Rule dns = rule_of("192.0.2.1/32", 17, {{53, 53}});
};

//
TEST_F(Notify, APersonIsToldOnceWithTheCommandsToDecide) {
  ASSERT_TRUE(back_end->open().ok());
  ASSERT_TRUE(back_end->apply({wanted(dns)}).ok());
  EXPECT_EQ(waits_for(), "") << "told, so that it is in force as far as this back end is concerned";
  EXPECT_THAT(mail(1), StartsWith("From: noc@example.net\nTo: noc@example.net, duty@example.net\n"
                                  "Subject: [tidewall noc] 1 rule is wanted\n"));
  EXPECT_THAT(mail(1), HasSubstr("- " + model::to_string(dns) + "\n"));
  EXPECT_THAT(mail(1), HasSubstr("dotsctl approve 7 --domain acme --cuid cuid-a --note TEXT\n"));
  EXPECT_THAT(mail(1), HasSubstr("dotsctl refuse 7 --domain acme --cuid cuid-a --reason TEXT\n"));
  ASSERT_TRUE(back_end->apply({wanted(dns)}).ok());
  EXPECT_EQ(waits_for(), "");
  start();  // the daemon starts again
  ASSERT_TRUE(back_end->open().ok());
  ASSERT_TRUE(back_end->apply({wanted(dns)}).ok());
  EXPECT_EQ(waits_for(), "");
  EXPECT_TRUE(no_mail(2));
  ASSERT_TRUE(back_end->apply({{ports::RuleChange::Kind::remove, dns, {}}}).ok());
  EXPECT_EQ(waits_for(), "no rules");
  EXPECT_THAT(mail(2), HasSubstr("Subject: [tidewall noc] 1 is over\n"));
  EXPECT_THAT(mail(2), Not(HasSubstr("dotsctl approve")));
}

TEST_F(Notify, WhatComesTooSoonIsToldTogether) {
  options.notice_every = 60s;
  start();
  ASSERT_TRUE(back_end->open().ok());
  ASSERT_TRUE(back_end->apply({wanted(dns)}).ok());
  EXPECT_EQ(waits_for(), "");
  const auto other = rule_of("192.0.2.0/32");
  ASSERT_TRUE(back_end->apply({wanted(other)}).ok());
  EXPECT_EQ(waits_for(), "the notice about it is still to be sent");
  // Nobody has heard of it, so that nobody has to hear of its end.
  ASSERT_TRUE(back_end->apply({{ports::RuleChange::Kind::remove, other, {}}}).ok());
  EXPECT_EQ(waits_for(), "");
  EXPECT_TRUE(no_mail(2));
}

TEST_F(Notify, ANoticeThatDoesNotLeaveIsSentLater) {
  folder.write("broken", "");
  ASSERT_TRUE(back_end->open().ok());
  ASSERT_TRUE(back_end->apply({wanted(dns)}).ok());
  EXPECT_THAT(waits_for(), HasSubstr("no route"));
  start();
  EXPECT_FALSE(back_end->open().ok()) << "it is still to be told after a restart";
  std::filesystem::remove(folder.file("broken"));
  ASSERT_TRUE(back_end->open().ok());
  EXPECT_THAT(mail(1), HasSubstr("dotsctl approve 7"));
}

// What a client has chosen stands neither in a header nor in a command as anything but one word.
TEST_F(Notify, NothingOfAPeerGetsIntoHeadersOrCommands) {
  ASSERT_TRUE(back_end->open().ok());
  auto change = wanted(dns, "x\nBcc: all@example.net\n\n$(reboot)'");
  change.owners[0].reason = "requested\nby \x1b[2J";
  ASSERT_TRUE(back_end->apply({change}).ok());
  EXPECT_EQ(waits_for(), "");
  const std::string header = mail(1).substr(0, mail(1).find("\n\n"));
  EXPECT_THAT(header, Not(HasSubstr("Bcc")));
  EXPECT_THAT(mail(1), Not(HasSubstr("\nBcc")));
  EXPECT_THAT(mail(1), Not(HasSubstr("\x1b")));
  EXPECT_THAT(mail(1), HasSubstr("--cuid $'x\\x0aBcc: all@example.net\\x0a\\x0a$(reboot)\\'' --note TEXT"));
}

//
TEST_F(Notify, AWebServiceIsToldAsWell) {
  if (::access("/usr/bin/python3", X_OK) != 0) GTEST_SKIP() << "there is no python3 here";
  const ServiceProcess service(example_service(folder, DOTS_SOURCE_DIR));
  options.service = service_at(service.port(), folder);
  options.timeout = 5000ms;
  start();
  ASSERT_TRUE(back_end->open().ok());
  ASSERT_TRUE(back_end->apply({wanted(dns)}).ok());
  EXPECT_EQ(waits_for(), "");
  std::stringstream told;
  told << std::ifstream{folder.file("notices")}.rdbuf();
  EXPECT_THAT(told.str(), HasSubstr("\"op\": \"notice\""));
  EXPECT_THAT(told.str(), HasSubstr("\"target\": \"192.0.2.1/32\""));
  EXPECT_THAT(told.str(), HasSubstr("dotsctl approve 7"));
}

TEST_F(Notify, AFileThatIsDamagedIsSaidAndKept) {
  folder.write("notify-noc.json", "{\"version\": 1, \"rules\": 7}");
  const auto opened = back_end->open();
  ASSERT_FALSE(opened.ok());
  EXPECT_THAT(opened.error().message, HasSubstr("notify-noc.json is damaged"));
}

TEST_F(Notify, AProgramThatIsNotThereIsFoundByACheck) {
  EXPECT_TRUE(check(options).ok());
  options.mail_command = {"/nonexistent/sendmail"};
  EXPECT_THAT(check(options).error().message, HasSubstr("/nonexistent/sendmail"));
}

}  // namespace
}  // namespace dots::adapters::mitigators
