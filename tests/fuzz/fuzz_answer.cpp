// HTTP/1.1 from a server: the input is what a connection brings, cut as its first byte says; the second bit of the
// second byte says that HEAD was asked. However it is cut, the same answer comes out, and none is larger than its
// bounds.
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "adapters/http/answer_reader.h"

namespace {

using dots::adapters::http::AnswerReader;
using dots::adapters::http::BadAnswer;
using dots::adapters::http::ReadAnswer;
using dots::base::ByteView;

constexpr std::size_t kHeaderBytes = 512, kBodyBytes = 256;

void fail(const char* why) {
  std::fprintf(stderr, "%s\n", why);
  std::abort();
}

void check(const ReadAnswer& read, bool head_only) {
  const auto& answer = read.answer;
  if (answer.status < 200 || answer.status > 999) fail("no final status");
  if (answer.body.size() > kBodyBytes) fail("a body over its bound");
  if (head_only && !answer.body.empty()) fail("a body of HEAD");
  std::size_t bytes = 0;
  for (const auto& line : answer.headers.lines()) {
    bytes += line.name.size() + line.value.size();
    if (line.name.empty()) fail("a field without a name");
    for (const char c : line.name + line.value) {
      if (c == '\r' || c == '\n' || c == '\0') fail("a line end or NUL inside a field");
    }
  }
  if (bytes > kHeaderBytes) fail("a header over its bound");
}

struct Outcome {
  std::optional<ReadAnswer> answer;
  bool bad = false;
};

Outcome run(ByteView stream, std::size_t piece, bool head_only) {
  AnswerReader reader{{kHeaderBytes, kBodyBytes}};
  reader.expect(head_only);
  Outcome out;
  const auto take = [&](AnswerReader::Outcome&& outcome) {
    if (auto* read = std::get_if<ReadAnswer>(&outcome)) {
      check(*read, head_only);
      out.answer = std::move(*read);
    } else if (const auto* bad = std::get_if<BadAnswer>(&outcome)) {
      if (bad->why.empty()) fail("refused without a reason");
      out.bad = true;
    }
    return out.answer || out.bad;
  };
  for (std::size_t at = 0; at < stream.size(); at += piece) {
    if (take(reader.feed(stream.subspan(at, std::min(piece, stream.size() - at))))) return out;
  }
  take(reader.end());
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const ByteView stream{data + 2, size - 2};
  const bool head_only = (data[1] & 2U) != 0;
  const Outcome whole = run(stream, std::max<std::size_t>(stream.size(), 1), head_only);
  const Outcome pieces = run(stream, 1U + data[0], head_only);
  // What is over a bound or wrong behind the answer is seen with it when all comes at once, and not when it comes
  // later.
  if (whole.bad || pieces.bad) return 0;
  if (whole.answer.has_value() != pieces.answer.has_value()) fail("other pieces, an answer or none");
  if (!whole.answer) return 0;
  const auto &a = whole.answer->answer, &b = pieces.answer->answer;
  if (a.status != b.status || !(a.headers == b.headers) || a.body != b.body) fail("other pieces, another answer");
  return 0;
}
