#include "api/router.h"

#include <gtest/gtest.h>

namespace dots::api {
namespace {

class RouterTest : public ::testing::Test {
 protected:
  RouterTest() {
    ops::Instruments::Options quiet;
    quiet.write = [](ops::facts::Severity, const std::string&) {};
    instruments_ = std::move(ops::Instruments::open(quiet)).value();
  }
  // The status of an answer; 0 when the call goes to the agent.
  unsigned status(const std::string& operation, bool may_read, bool may_write) const {
    Admission admission;
    admission.may_read = may_read;
    admission.caller.may_write = may_write;
    const Routed routed = route("POST", "/v1/" + operation, "", admission, *instruments_, false);
    return std::holds_alternative<agent::Call>(routed) ? 0 : std::get<HttpAnswer>(routed).status;
  }
  std::unique_ptr<ops::Instruments> instruments_;
};

TEST_F(RouterTest, ReadersLookAndOnlyOperatorsChange) {
  for (const char* looking : {"status", "list", "show", "explain", "audit"}) {
    EXPECT_EQ(status(looking, true, false), 0u) << looking;
    EXPECT_EQ(status(looking, true, true), 0u) << looking;
    EXPECT_EQ(status(looking, false, false), 403u) << looking;
  }
  // What is not known to look only counts as a change, so that a new operation is closed until it is opened.
  for (const char* changing : {"mitigate", "withdraw", "refresh", "something-new"}) {
    EXPECT_EQ(status(changing, true, false), 403u) << changing;
    EXPECT_EQ(status(changing, true, true), 0u) << changing;
    EXPECT_EQ(status(changing, false, false), 403u) << changing;
  }
}

}  // namespace
}  // namespace dots::api
