#include "agent/server/routing.h"

#include <gtest/gtest.h>

#include "wire/messages.h"

namespace dots::agent::server {
namespace {

using model::ResponseCode;
using namespace signal::server;

coap::Request request(wire::Method method, std::vector<std::string> path) {
  coap::Request out;
  out.method = method;
  out.uri_path = {".well-known", "dots"};
  out.uri_path.insert(out.uri_path.end(), path.begin(), path.end());
  return out;
}

coap::Request put() {
  coap::Request out = request(wire::Method::put, {"mitigate", "cuid=c", "mid=7"});
  model::MitigationRequest body;
  body.scope.target_prefix = {*model::parse_prefix("192.0.2.1/32")};
  body.lifetime = model::Lifetime{60};
  out.content_format = 271;
  out.payload = wire::encode(body);
  return out;
}

Routed routed(const coap::Request& r) {
  return route(r, Origin{base::SessionId{1}, base::ExchangeId{2}, base::ClientId{"client"}, {}},
               wire::FilterControl::on);
}
std::string code(const coap::Request& r) {
  const Routed result = routed(r);
  const auto* refusal = std::get_if<Refusal>(&result);
  if (refusal == nullptr) return "taken";
  EXPECT_FALSE(refusal->diagnostic.empty());  // S9132-3-14: every error says something
  return model::to_string(refusal->code);
}

// S9132-3-14: an error has a diagnostic payload; unknown resources are 4.04.
// S9132-4.2-01, S9132-4.2-02: only /.well-known/dots/{mitigate,config,hb}.
TEST(Routing, UnknownPathsAreNotFound) {
  EXPECT_EQ(code(request(wire::Method::get, {})), "4.04");
  EXPECT_EQ(code(request(wire::Method::get, {"nothing"})), "4.04");
  EXPECT_EQ(code(request(wire::Method::post, {"nothing", "cuid=x"})), "4.04");
  coap::Request core;
  core.uri_path = {".well-known", "core"};
  EXPECT_EQ(code(core), "4.04");
  core.uri_path = {"mitigate", "cuid=x"};
  EXPECT_EQ(code(core), "4.04");
}

// S9132-3-12, S9132-9-05: GET, PUT, DELETE; anything else is 4.05, whatever the code byte says.
TEST(Routing, OtherMethodsAreNotAllowed) {
  for (int method : {2, 5, 6, 7, 31}) {
    for (const char* resource : {"mitigate", "config", "hb"}) {
      EXPECT_EQ(code(request(static_cast<wire::Method>(method), {resource})), "4.05") << resource << " " << method;
    }
  }
  EXPECT_EQ(code(request(wire::Method::get, {"hb"})), "4.05");
  EXPECT_EQ(code(request(wire::Method::del, {"hb"})), "4.05");
}

// S9132-4.4.1.1-03, S9132-4.4.1.3-08, S9132-4.4.2-01, S9132-4.4.4-02: cuid and mid are mandatory where the method needs
// them.
TEST(Routing, MissingPathParameters) {
  coap::Request r = put();
  r.uri_path = {".well-known", "dots", "mitigate"};
  EXPECT_EQ(code(r), "4.00");
  r.uri_path = {".well-known", "dots", "mitigate", "cuid=c"};
  EXPECT_EQ(code(r), "4.00");
  EXPECT_EQ(code(request(wire::Method::get, {"mitigate"})), "4.00");
  EXPECT_EQ(code(request(wire::Method::get, {"mitigate", "cuid=c"})), "taken");
  EXPECT_EQ(code(request(wire::Method::del, {"mitigate", "cuid=c"})), "4.00");
  EXPECT_EQ(code(request(wire::Method::del, {"mitigate"})), "4.00");
  EXPECT_EQ(code(request(wire::Method::del, {"mitigate", "cuid=c", "mid=1"})), "taken");
}

// S9132-4.4.1.1-02, S9132-4.4.1.1-26, S9132-4.4.2-02, S9132-4.4.4-04, S9132-9-01: order and emptiness of the
// parameters.
TEST(Routing, MisplacedAndEmptyPathParameters) {
  for (const auto method : {wire::Method::get, wire::Method::put, wire::Method::del}) {
    EXPECT_EQ(code(request(method, {"mitigate", "mid=1", "cuid=c"})), "4.00");
    EXPECT_EQ(code(request(method, {"mitigate", "cuid=", "mid=1"})), "4.00");
    EXPECT_EQ(code(request(method, {"mitigate", "cuid=c", "mid="})), "4.00");
  }
}

// S9132-9-09, S9132-9-13: Content-Format must be 271 or absent (S9132-3-10), Accept likewise.
TEST(Routing, Formats) {
  coap::Request r = put();
  EXPECT_EQ(code(r), "taken");
  r.content_format.reset();
  EXPECT_EQ(code(r), "taken");
  r.content_format = 60;
  EXPECT_EQ(code(r), "4.15");
  coap::Request g = request(wire::Method::get, {"mitigate", "cuid=c"});
  g.accept = 50;
  EXPECT_EQ(code(g), "4.06");
  g.accept = 271;
  EXPECT_EQ(code(g), "taken");
}

// What no body can heal is refused with the first block of it.
TEST(Routing, BlocksAreRefusedEarly) {
  coap::Request r = put();
  EXPECT_FALSE(refuse_blocks(r));
  r.content_format = 60;
  EXPECT_EQ(refuse_blocks(r)->code, model::ResponseCode::unsupported_content_format);
  r = put();
  r.uri_path.back() = "mid=x";
  EXPECT_EQ(refuse_blocks(r)->code, model::ResponseCode::bad_request);
  r = put();
  r.method = wire::Method::get;
  EXPECT_EQ(refuse_blocks(r)->code, model::ResponseCode::bad_request);
}

// S9132-4.4.1.2-06: a cdid straight from a client changes nothing.
TEST(Routing, AForgedCdidIsIgnored) {
  coap::Request r = put();
  r.uri_path = {".well-known", "dots", "mitigate", "cdid=forged", "cuid=c", "mid=7"};
  const Routed result = routed(r);
  const auto* taken = std::get_if<PutMitigation>(&result);
  ASSERT_NE(taken, nullptr);
  EXPECT_EQ(taken->cuid.value, "c");
  EXPECT_EQ(taken->mid.value, 7u);
}

// S9132-4.4.1.1-25: lifetime is mandatory; S9132-4.4.3-06: the empty If-Match marks an efficacy update.
TEST(Routing, OnlyAnEfficacyUpdateMayLackItsLifetime) {
  model::MitigationRequest body;
  body.scope.target_prefix = {*model::parse_prefix("192.0.2.1/32")};
  body.attack_status = model::AttackStatus::under_attack;
  coap::Request r = put();
  r.payload = wire::encode(body);
  EXPECT_EQ(code(r), "4.00");
  r.if_match = {{}};
  const Routed result = routed(r);
  const auto* taken = std::get_if<PutMitigation>(&result);
  ASSERT_NE(taken, nullptr);
  EXPECT_EQ(taken->if_match, PutMitigation::IfMatch::empty);
}

// S9132-4.4.2-04, S9132-4.4.2-06: c=a is the default; another value is refused since filtering is supported.
TEST(Routing, ContentQuery) {
  coap::Request g = request(wire::Method::get, {"mitigate", "cuid=c", "mid=1"});
  const auto filter = [&] { return std::get<GetMitigation>(routed(g)).filter; };
  EXPECT_EQ(filter(), GetMitigation::Filter::all);
  g.uri_query = {"c=n"};
  EXPECT_EQ(filter(), GetMitigation::Filter::non_config);
  g.uri_query = {"c=c"};
  EXPECT_EQ(filter(), GetMitigation::Filter::config);
  g.uri_query = {"c=x"};
  EXPECT_EQ(code(g), "4.00");
}

// S9132-4.7-03, S9132-4.7-04: no cuid in the path; peer-hb-status is mandatory.
TEST(Routing, Heartbeat) {
  coap::Request hb = request(wire::Method::put, {"hb"});
  EXPECT_EQ(code(hb), "4.00");
  hb.payload = *base::from_hex("a11831a0");
  EXPECT_EQ(code(hb), "4.00");
  hb.payload = *base::from_hex("a11831a11833f5");
  EXPECT_TRUE(std::get<wire::Heartbeat>(routed(hb)).peer_hb_status);
  hb.uri_path.push_back("cuid=c");
  EXPECT_EQ(code(hb), "4.00");
}

}  // namespace
}  // namespace dots::agent::server
