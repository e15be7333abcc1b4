#include "adapters/http/request_reader.h"

#include <gtest/gtest.h>

namespace dots::adapters::http {
namespace {

const HttpLimits kSmall = [] {
  HttpLimits limits;
  limits.header_bytes = 1024;
  limits.body_bytes = 2000;
  return limits;
}();

// Everything at once, and byte by byte: the outcome must be the same.
RequestReader::Outcome read(const std::string& text, const HttpLimits& limits = kSmall) {
  RequestReader whole{limits}, pieces{limits};
  whole.feed(base::as_bytes(text));
  auto outcome = whole.next();
  RequestReader::Outcome last;
  for (const char c : text) {
    pieces.feed(base::as_bytes(std::string_view{&c, 1}));
    last = pieces.next();
    if (!std::holds_alternative<RequestReader::NeedMore>(last)) break;
  }
  EXPECT_EQ(outcome.index(), last.index()) << text.substr(0, 100);
  const auto* a = std::get_if<HttpFault>(&outcome);
  const auto* b = std::get_if<HttpFault>(&last);
  if (a != nullptr && b != nullptr) {
    EXPECT_EQ(a->status, b->status) << a->why << " / " << b->why;
  }
  return outcome;
}

std::string outcome_of(const std::string& text, const HttpLimits& limits = kSmall) {
  const auto outcome = read(text, limits);
  if (const auto* fault = std::get_if<HttpFault>(&outcome)) {
    EXPECT_FALSE(fault->why.empty());
    return std::to_string(fault->status);
  }
  const auto* done = std::get_if<ReadRequest>(&outcome);
  if (done == nullptr) return "more";
  return done->request.method + " " + done->request.target + (done->keep_alive ? "" : " close");
}

TEST(RequestReader, ReadsARequestWithABody) {
  const auto outcome = read(
      "PUT /restconf/data/a?content=all HTTP/1.1\r\nHost: h\r\nContent-Type: application/yang-data+json\r\n"
      "Content-Length: 7\r\nX-Twice: a\r\nx-twice:  b \r\n\r\n{\"a\":1}");
  const auto* done = std::get_if<ReadRequest>(&outcome);
  ASSERT_NE(done, nullptr);
  EXPECT_EQ(done->request.method, "PUT");
  EXPECT_EQ(done->request.target, "/restconf/data/a?content=all");
  EXPECT_EQ(done->request.body, "{\"a\":1}");
  EXPECT_EQ(*done->request.headers.find("content-type"), "application/yang-data+json");
  EXPECT_EQ(done->request.headers.joined("X-TWICE"), "a, b");
  EXPECT_TRUE(done->keep_alive);
}

TEST(RequestReader, ReadsChunkedBodiesAndKeepsTrailersOutOfTheHeaders) {
  const auto outcome = read(
      "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;x=1\r\nhello\r\n6\r\n world\r\n0\r\n"
      "If-Match: \"sneaked\"\r\n\r\n");
  const auto* done = std::get_if<ReadRequest>(&outcome);
  ASSERT_NE(done, nullptr);
  EXPECT_EQ(done->request.body, "hello world");
  EXPECT_FALSE(done->request.headers.has("If-Match"));
}

TEST(RequestReader, PipelinedRequestsComeOneByOne) {
  RequestReader reader{kSmall};
  reader.feed(
      base::as_bytes("GET /1 HTTP/1.1\r\nHost: h\r\n\r\nPUT /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nok"
                     "\r\nGET /3 HTTP/1.1\r\nHost: h\r\n\r\n"));
  for (const char* target : {"/1", "/2", "/3"}) {
    const auto outcome = reader.next();
    const auto* done = std::get_if<ReadRequest>(&outcome);
    ASSERT_NE(done, nullptr) << target;
    EXPECT_EQ(done->request.target, target);
  }
  EXPECT_TRUE(reader.idle());
  EXPECT_TRUE(std::holds_alternative<RequestReader::NeedMore>(reader.next()));
}

// R8040-2.1-03
TEST(RequestReader, VersionsAndPersistence) {
  EXPECT_EQ(outcome_of("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), "GET /");
  EXPECT_EQ(outcome_of("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"), "GET / close");
  EXPECT_EQ(outcome_of("GET / HTTP/1.0\r\n\r\n"), "GET / close");
  EXPECT_EQ(outcome_of("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), "GET /");
  EXPECT_EQ(outcome_of("GET / HTTP/2.0\r\nHost: h\r\n\r\n"), "505");
  EXPECT_EQ(outcome_of("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "505");
  EXPECT_EQ(outcome_of("GET / HTTP/1.9\r\nHost: h\r\n\r\n"), "505");
  EXPECT_EQ(outcome_of("GET / HTTPS/1.1\r\nHost: h\r\n\r\n"), "400");
}

TEST(RequestReader, FormsOfTheTarget) {
  EXPECT_EQ(outcome_of("GET https://server.example:4443/a?b HTTP/1.1\r\nHost: h\r\n\r\n"), "GET /a?b");
  EXPECT_EQ(outcome_of("GET HTTPS://server.example HTTP/1.1\r\nHost: h\r\n\r\n"), "GET /");
  EXPECT_EQ(outcome_of("GET https://server.example?x HTTP/1.1\r\nHost: h\r\n\r\n"), "GET /?x");
  EXPECT_EQ(outcome_of("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"), "OPTIONS *");
  EXPECT_EQ(outcome_of("OPTIONS https://server.example HTTP/1.1\r\nHost: h\r\n\r\n"), "OPTIONS *");
  for (const char* bad : {"*", "a/b", "http://server.example/", "https:///x", "https://"}) {
    EXPECT_EQ(outcome_of(std::string{"GET "} + bad + " HTTP/1.1\r\nHost: h\r\n\r\n"), "400") << bad;
  }
  EXPECT_EQ(outcome_of("CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n"), "501");
}

TEST(RequestReader, MalformedRequestsAreRefused) {
  for (const char* bad : {
           "GET\r\n\r\n",
           " GET / HTTP/1.1\r\nHost: h\r\n\r\n",
           "GET  / HTTP/1.1\r\nHost: h\r\n\r\n",
           "GET / HTTP/1.1\nHost: h\n\r\n\r\n",
           "GET / HTTP/1.1\r\nHost : h\r\n\r\n",
           "GET / HTTP/1.1\r\n: h\r\n\r\n",
           "GET / HTTP/1.1\r\n\r\n",                        // no Host
           "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",  // two
           "G\x01T / HTTP/1.1\r\nHost: h\r\n\r\n",
           "GET /\x01 HTTP/1.1\r\nHost: h\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: h\r\nA: b\x01\r\n\r\n",
           "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
           "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1x\r\n\r\n",
           "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n",
           "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
           // Two lengths are how requests are smuggled past each other (RFC 9112 6.1).
           "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
           "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \r\n\r\n",
           "PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
           "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
           "\x16\x03\x01\x02garbage\r\n\r\n",
       }) {
    EXPECT_EQ(outcome_of(bad), "400") << bad;
  }
}

TEST(RequestReader, UnknownTransferCodingsAndExpectations) {
  EXPECT_EQ(outcome_of("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"), "501");
  EXPECT_EQ(outcome_of("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n"), "501");
  EXPECT_EQ(outcome_of("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n"), "PUT /");
  EXPECT_EQ(outcome_of("PUT / HTTP/1.1\r\nHost: h\r\nExpect: tea\r\nContent-Length: 1\r\n\r\n"), "417");
}

TEST(RequestReader, AsksForTheBodyOfWhoWaitsOnce) {
  RequestReader reader{kSmall};
  reader.feed(base::as_bytes("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n"));
  auto outcome = reader.next();
  ASSERT_TRUE(std::holds_alternative<RequestReader::NeedMore>(outcome));
  EXPECT_TRUE(std::get<RequestReader::NeedMore>(outcome).wants_continue);
  outcome = reader.next();
  EXPECT_FALSE(std::get<RequestReader::NeedMore>(outcome).wants_continue);
  reader.feed(base::as_bytes("ok"));
  EXPECT_TRUE(std::holds_alternative<ReadRequest>(reader.next()));
  // One that did not wait is not asked.
  reader.feed(base::as_bytes("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\no"));
  outcome = reader.next();
  ASSERT_TRUE(std::holds_alternative<RequestReader::NeedMore>(outcome));
  EXPECT_FALSE(std::get<RequestReader::NeedMore>(outcome).wants_continue);
}

// R8040-12-02: a request may not be of any size.
TEST(RequestReader, EverythingHasABound) {
  const std::string long_target = "/" + std::string(600, 'a');
  EXPECT_EQ(outcome_of("GET " + long_target + " HTTP/1.1\r\nHost: h\r\n\r\n"), "414");
  EXPECT_EQ(outcome_of("GET /" + std::string(5000, 'a')), "414");
  EXPECT_EQ(outcome_of("GET / HTTP/1.1\r\nHost: h\r\nA: " + std::string(2000, 'a') + "\r\n\r\n"), "431");
  EXPECT_EQ(outcome_of("GET / HTTP/1.1\r\nHost: h\r\nA: " + std::string(2000, 'a')), "431");
  HttpLimits wide = kSmall;
  wide.header_bytes = 16384;
  std::string many = "GET / HTTP/1.1\r\nHost: h\r\n";
  for (int i = 0; i < 98; ++i) many += "A: b\r\n";
  EXPECT_EQ(outcome_of(many + "A: b\r\n\r\n", wide), "GET /");
  EXPECT_EQ(outcome_of(many + "A: b\r\nA: b\r\n\r\n", wide), "431");
  // The length is judged before the body is sent.
  EXPECT_EQ(outcome_of("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2001\r\n\r\n"), "413");
  EXPECT_EQ(outcome_of("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2000\r\n\r\n" + std::string(2000, 'x')), "PUT /");
  EXPECT_EQ(outcome_of("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n" +
                       std::string(2000, 'x') + "\r\n1\r\nx\r\n0\r\n\r\n"),
            "413");
  EXPECT_EQ(outcome_of("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n"), "413");
  EXPECT_EQ(outcome_of("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;" + std::string(3000, 'x')),
            "431");
  EXPECT_EQ(
      outcome_of("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: " + std::string(3000, 'x')),
      "431");
}

// The request line is judged by itself, whatever comes with it in one piece.
TEST(RequestReader, ALongHeaderIsNoLongTarget) {
  RequestReader reader{kSmall};
  for (const std::string& piece :
       {std::string{"GET / HTTP/1.1\r\nHost: h\r\nA: "} + std::string(500, 'a'), std::string(600, 'a')}) {
    reader.feed(base::as_bytes(piece));
    const auto outcome = reader.next();
    if (const auto* fault = std::get_if<HttpFault>(&outcome)) {
      EXPECT_EQ(fault->status, 431);
      return;
    }
  }
  FAIL() << "no fault";
}

TEST(RequestReader, KeepsWhatIsNotCompleteAndTellsHowMuch) {
  RequestReader reader{kSmall};
  EXPECT_TRUE(reader.idle());
  reader.feed(base::as_bytes("\r\n"));
  reader.next();
  EXPECT_TRUE(reader.idle());
  reader.feed(base::as_bytes("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n1234"));
  reader.next();
  EXPECT_FALSE(reader.idle());
  EXPECT_TRUE(reader.in_body());
  EXPECT_EQ(reader.body_size(), 4u);
  EXPECT_EQ(reader.held(), 4u);
}

}  // namespace
}  // namespace dots::adapters::http
