// HTTP/1.1 framing: the input is what a connection brings, cut as its first byte says. However it is cut, the same
// requests come out, and none is larger than its bounds.
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "adapters/http/request_reader.h"

namespace {

using dots::adapters::http::HttpFault;
using dots::adapters::http::HttpLimits;
using dots::adapters::http::ReadRequest;
using dots::adapters::http::RequestReader;
using dots::base::ByteView;

constexpr std::size_t kHeaderBytes = 512, kBodyBytes = 256;

void fail(const char* why) {
  std::fprintf(stderr, "%s\n", why);
  std::abort();
}

struct Outcome {
  std::vector<ReadRequest> requests;
  int fault = 0;
};

void check(const ReadRequest& read) {
  const auto& request = read.request;
  if (request.method.empty()) fail("no method");
  if (request.target.empty() || (request.target[0] != '/' && request.target != "*")) fail("no origin form");
  if (request.target.size() > kHeaderBytes / 2) fail("a target over its bound");
  if (request.body.size() > kBodyBytes) fail("a body over its bound");
  std::size_t bytes = 0;
  for (const auto& line : request.headers.lines()) {
    bytes += line.name.size() + line.value.size();
    if (line.name.empty()) fail("a field without a name");
    for (const char c : line.name + line.value) {
      if (c == '\r' || c == '\n' || c == '\0') fail("a line end or NUL inside a field");
    }
  }
  if (bytes > kHeaderBytes) fail("a header over its bound");
}

Outcome run(ByteView stream, std::size_t piece) {
  HttpLimits limits;
  limits.header_bytes = kHeaderBytes;
  limits.body_bytes = kBodyBytes;
  RequestReader reader{limits};
  Outcome out;
  for (std::size_t at = 0; at < stream.size() && out.fault == 0; at += piece) {
    reader.feed(stream.subspan(at, std::min(piece, stream.size() - at)));
    for (;;) {
      auto outcome = reader.next();
      if (auto* read = std::get_if<ReadRequest>(&outcome)) {
        check(*read);
        out.requests.push_back(std::move(*read));
        continue;
      }
      if (const auto* fault = std::get_if<HttpFault>(&outcome)) out.fault = fault->status;
      break;
    }
    if (out.fault == 0 && reader.held() > kHeaderBytes + kBodyBytes) fail("more is held than one request may have");
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView stream{data + 1, size - 1};
  const Outcome whole = run(stream, std::max<std::size_t>(stream.size(), 1)), pieces = run(stream, 1U + data[0]);
  // A chunk header that came as a whole is read, one that comes in pieces is waited for up to a bound: 431.
  if (whole.fault == 431 || pieces.fault == 431) return 0;
  // What is wrong in a header that has no end yet is seen now or when it ends.
  if (whole.fault != pieces.fault && whole.fault != 0 && pieces.fault != 0) fail("other pieces, another fault");
  if (whole.requests.size() != pieces.requests.size()) fail("other pieces, other requests");
  for (std::size_t i = 0; i < whole.requests.size(); ++i) {
    const auto &a = whole.requests[i].request, &b = pieces.requests[i].request;
    if (a.method != b.method || a.target != b.target || !(a.headers == b.headers) || a.body != b.body) {
      fail("other pieces, another request");
    }
  }
  return 0;
}
