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

// A supervisor restarts what is dead, and sends no traffic to what cannot work; neither learns more than names.
TEST_F(RouterTest, AliveIsNotReady) {
  Admission anybody;
  anybody.may_read = true;
  const auto get = [&](const char* path, const char* method = "GET") {
    return std::get<HttpAnswer>(route(method, path, "", anybody, *instruments_, true));
  };
  EXPECT_EQ(get("/healthz").status, 200u);
  EXPECT_EQ(get("/readyz").status, 200u);
  instruments_->health("MITIGATOR_DRY", "", true, "");
  EXPECT_EQ(get("/readyz").status, 200u) << "degraded is no failure";
  instruments_->health("MITIGATOR_DOWN", "edge", true, "10.1.2.3 refuses");
  EXPECT_EQ(get("/readyz").status, 200u) << "requests are taken, the others install the rules";
  instruments_->health("MITIGATION_UNABLE", "", true, "10.1.2.4 refuses");
  instruments_->health("STORE_FAILED", "", true, "the disk");
  EXPECT_EQ(get("/readyz").status, 503u);
  EXPECT_EQ(get("/readyz").body, "MITIGATION_UNABLE\nSTORE_FAILED\n");
  EXPECT_EQ(get("/healthz").status, 200u) << "a restart heals no back end";
  EXPECT_EQ(get("/healthz", "POST").status, 405u);
  EXPECT_EQ(get("/v1/health").status, 404u) << "the details are for the socket";
  instruments_->health("MITIGATOR_DOWN", "edge", false, "");
  instruments_->health("MITIGATION_UNABLE", "", false, "");
  instruments_->health("STORE_FAILED", "", false, "");
  EXPECT_EQ(get("/readyz").status, 200u);
}

TEST_F(RouterTest, ReadersLookAndOnlyOperatorsChange) {
  for (const char* looking : {"status", "list", "show", "explain", "audit", "rules"}) {
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
