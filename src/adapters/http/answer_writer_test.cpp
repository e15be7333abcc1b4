#include "adapters/http/answer_writer.h"

#include <gtest/gtest.h>

namespace dots::adapters::http {
namespace {

const base::WallTime kThen = base::from_unix_seconds(784111777);

std::string written(ports::HttpAnswer answer, bool head_only = false, bool keep_alive = true, std::size_t piece = 7) {
  AnswerWriter writer{std::move(answer), head_only, keep_alive, kThen};
  std::string out;
  while (!writer.done()) {
    const std::string part = writer.next(piece);
    EXPECT_LE(part.size(), piece);
    if (part.empty()) break;
    out += part;
  }
  EXPECT_TRUE(writer.done());
  return out;
}

TEST(AnswerWriter, WritesStatusHeadersAndBody) {
  EXPECT_EQ(
      written({404, {{"Content-Type", "text/plain"}, {"ETag", "\"a\""}}, "nothing"}),
      "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nETag: \"a\"\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
      "Content-Length: 7\r\n\r\nnothing");
}

// R8040-4.2-01
TEST(AnswerWriter, HeadGetsTheLengthAndNoBody) {
  EXPECT_EQ(written({200, {}, "twelve bytes"}, true),
            "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 12\r\n\r\n");
}

TEST(AnswerWriter, SomeAnswersHaveNoBodyAtAll) {
  for (const int status : {204, 304}) {
    const std::string text = written({status, {}, "not for the wire"});
    EXPECT_EQ(text.find("Content-Length"), std::string::npos) << text;
    EXPECT_TRUE(text.ends_with("GMT\r\n\r\n")) << text;
  }
  EXPECT_NE(written({201, {}, ""}).find("Content-Length: 0"), std::string::npos);
}

TEST(AnswerWriter, OnlyTheAdapterSpeaksOfTheFraming) {
  const std::string text = written(
      {200, {{"content-length", "99"}, {"Connection", "upgrade"}, {"Transfer-Encoding", "gzip"}}, "x"}, false, false);
  EXPECT_NE(text.find("Connection: close\r\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("upgrade"), std::string::npos) << text;
  EXPECT_EQ(text.find("gzip"), std::string::npos) << text;
  EXPECT_EQ(text.find(": 99"), std::string::npos) << text;
}

TEST(AnswerWriter, AValueCannotBeginAnotherHeader) {
  const std::string text = written({200, {{"Location", "/a\r\nSet-Cookie: b"}}, ""});
  EXPECT_NE(text.find("Location: /a  Set-Cookie: b\r\n"), std::string::npos) << text;
}

TEST(AnswerWriter, LargeBodiesLeaveInPieces) {
  const std::string body(100000, 'x');
  const std::string text = written({200, {}, body}, false, true, 16384);
  EXPECT_TRUE(text.ends_with("\r\n\r\n" + body));
}

}  // namespace
}  // namespace dots::adapters::http
