// Our extensions on a session of the server (docs/extensions.md).
#include "agent/server/session_fixture.h"

namespace dots::agent::server {
namespace {

class SessionExtensions : public SessionTest {
 protected:
  static coap::Request put(std::uint32_t mid, bool extended) {
    model::MitigationRequest asked;
    asked.scope.target_prefix = {*model::parse_prefix("192.0.2.1/32")};
    asked.lifetime = model::Lifetime{60};
    asked.extensions = extended;
    if (extended) asked.contract_id = "gold";
    coap::Request out = request(wire::Method::put, {"mitigate", "cuid=c", "mid=" + std::to_string(mid)});
    out.content_format = 271;
    out.payload = wire::encode(asked);
    return out;
  }
};

// `rate` on a session that takes the extensions, text on every other.
TEST_F(SessionExtensions, TooManyRequestsHaveTheirReason) {
  auto slow = std::make_shared<SessionSettings>();
  slow->rate = {1, 1};
  settings = slow;
  for (const bool extended : {false, true}) {
    reset(policy::KnownClient{base::DomainId{"d"}, base::ClientId{"c1"}});
    send(put(1, extended));
    send(put(2, extended));
    const coap::Response& refused = responses.back().response;
    EXPECT_EQ(refused.code, ResponseCode::service_unavailable);
    EXPECT_EQ(refused.max_age_s, 1u);
    if (!extended) {
      EXPECT_FALSE(refused.content_format);
      EXPECT_EQ(base::as_text(refused.payload), "too many requests on this session");
      continue;
    }
    EXPECT_EQ(refused.content_format, wire::kContentFormatDots);
    const auto entries = wire::decode_mitigation_answer(refused.payload).value();
    EXPECT_EQ(entries.at(0).refusal_reason, model::RefusalReason::rate);
    EXPECT_EQ(entries.at(0).diagnostic, "too many requests on this session");
  }
}

TEST_F(SessionExtensions, CanBeSwitchedOff) {
  auto off = std::make_shared<SessionSettings>();
  off->extensions = false;
  settings = off;
  reset(policy::KnownClient{base::DomainId{"d"}, base::ClientId{"c1"}});
  send(put(1, true));
  EXPECT_FALSE(std::get<PutMitigation>(events.back()).request.takes_extensions());
  settings = std::make_shared<SessionSettings>();
  reset(policy::KnownClient{base::DomainId{"d"}, base::ClientId{"c1"}});
  send(put(2, true));
  EXPECT_EQ(std::get<PutMitigation>(events.back()).request.contract_id, "gold");
}

// For the audit log, and for the time to mitigate.
TEST_F(SessionExtensions, ARequestSaysByWhichCredentialItCameAndWhen) {
  reset(policy::KnownClient{base::DomainId{"d"}, base::ClientId{"c1"}, "certificate edge.example.net"});
  send(put(1, false));
  const Origin& origin = std::get<PutMitigation>(events.back()).origin;
  EXPECT_EQ(origin.credential, "certificate edge.example.net");
  EXPECT_EQ(origin.received_at, now.steady);
}

}  // namespace
}  // namespace dots::agent::server
