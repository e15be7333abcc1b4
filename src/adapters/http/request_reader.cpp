#include "adapters/http/request_reader.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cstdint>
#include <optional>
#include <utility>

namespace dots::adapters::http {
namespace {

namespace beast = boost::beast;
using Parser = beast::http::request_parser<beast::http::string_body>;
using Error = beast::http::error;

std::string_view view(beast::string_view text) { return {text.data(), text.size()}; }

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// The first line of what waits; all of it when its end has not come.
std::string_view first_line(std::string_view input) { return input.substr(0, input.find('\n')); }

// RFC 9112 2.3: another version of HTTP, not just anything.
bool names_other_version(std::string_view line) {
  while (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  const auto target = line.find(' ');
  const auto version = target == std::string_view::npos ? target : line.find(' ', target + 1);
  if (version == std::string_view::npos) return false;
  const std::string_view word = line.substr(version + 1);
  if (word == "HTTP/1.1" || word == "HTTP/1.0") return false;
  return word.size() == 8 && word.starts_with("HTTP/") && is_digit(word[5]) && word[6] == '.' && is_digit(word[7]);
}

// `input`: what the parser has not taken; with the request line unless `line_read`.
HttpFault fault_of(const beast::error_code& error, std::string_view input, bool line_read, const HttpLimits& limits) {
  const auto too_long = [](const char* what, std::size_t bytes) {
    return std::string{what} + " is over the bound of " + std::to_string(bytes) + " bytes";
  };
  if (error == Error::header_limit) {
    if (!line_read &&
        (first_line(input).size() == input.size() || first_line(input).size() > limits.header_bytes / 2)) {
      return {414, too_long("the request target", limits.header_bytes / 2)};
    }
    return {431, too_long("the header section", limits.header_bytes)};
  }
  if (error == Error::body_limit || error == Error::buffer_overflow) {
    return {413, too_long("the body", limits.body_bytes)};
  }
  if (error == Error::bad_version && names_other_version(first_line(input))) {
    return {505, "HTTP/1.1 and HTTP/1.0 are served, no other version"};
  }
  return {400, "the request is no HTTP/1.1: " + error.message()};
}

constexpr std::size_t kLastChunkBytes = std::string_view{"0\r\n\r\n"}.size();

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool same(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

// Origin form and "*" as they are; an absolute form loses scheme and authority (RFC 9112 3.2.2). Nothing: no target.
std::optional<std::string> origin_form(std::string_view target, std::string_view method) {
  if (target.starts_with('/') || (target == "*" && method == "OPTIONS")) return std::string{target};
  constexpr std::string_view kScheme = "https://";
  if (target.size() <= kScheme.size() || !same(target.substr(0, kScheme.size()), kScheme)) return std::nullopt;
  target.remove_prefix(kScheme.size());
  const auto path = target.find_first_of("/?");
  if (path == 0) return std::nullopt;  // no authority
  if (path == std::string_view::npos) return method == "OPTIONS" ? "*" : "/";
  return (target[path] == '?' ? "/" : "") + std::string{target.substr(path)};
}

}  // namespace

struct RequestReader::State {
  explicit State(const HttpLimits& l) : limits(l) { begin(); }

  void begin() {
    parser.emplace();
    parser->header_limit(static_cast<std::uint32_t>(limits.header_bytes));
    parser->body_limit(limits.body_bytes);
    request = {};
    line_read = head_read = false;
    expects = false;
  }

  std::optional<HttpFault> read_head();
  std::optional<HttpFault> check_framing() const;

  const HttpLimits limits;
  std::string input;
  std::optional<Parser> parser;
  ports::HttpRequest request;
  bool line_read = false;  // the parser has taken it
  bool head_read = false;
  bool expects = false;  // 100 (Continue), which was not said yet
};

// What RFC 9112 leaves to a server after the syntax is right. Trailers are not among the headers (RFC 9110 6.5.1), so
// these are taken before the body.
std::optional<HttpFault> RequestReader::State::read_head() {
  const auto& head = parser->get();
  head_read = true;
  request.method = view(head.method_string());
  for (const auto& field : head)
    request.headers.add(std::string{view(field.name_string())}, std::string{view(field.value())});
  if (auto fault = check_framing()) return fault;
  if (head.target().size() > limits.header_bytes / 2) {
    return HttpFault{414,
                     "the request target is over the bound of " + std::to_string(limits.header_bytes / 2) + " bytes"};
  }
  if (request.headers.lines().size() > kMostHeaderFields) {
    return HttpFault{431, "there are more than " + std::to_string(kMostHeaderFields) + " header fields"};
  }
  if (request.method == "CONNECT") return HttpFault{501, "there is no proxy here"};
  auto target = origin_form(view(head.target()), request.method);
  if (!target) return HttpFault{400, "the request target is neither a path nor an https URI"};
  request.target = std::move(*target);
  const auto hosts = std::ranges::count_if(request.headers.lines(),
                                           [](const ports::HttpHeader& line) { return same(line.name, "Host"); });
  // RFC 9112 3.2
  if (hosts > 1 || (hosts == 0 && head.version() >= 11)) return HttpFault{400, "there must be one Host field"};
  if (const std::string* wish = request.headers.find("Expect")) {
    if (!same(*wish, "100-continue")) return HttpFault{417, "no expectation but 100-continue can be met"};
    expects = head.version() >= 11;
  }
  return std::nullopt;
}

std::optional<HttpFault> RequestReader::State::check_framing() const {
  if (!request.headers.has("Transfer-Encoding")) return std::nullopt;
  if (parser->get().version() < 11) return HttpFault{400, "HTTP/1.0 has no transfer codings"};
  std::size_t codings = 0;
  const std::string list = request.headers.joined("Transfer-Encoding");
  for (const auto& coding : beast::http::token_list{list}) {
    ++codings;
    // RFC 9112 6.1: a coding that the server does not understand.
    if (!same(view(coding), "chunked")) return HttpFault{501, "no transfer coding but chunked is understood"};
  }
  if (codings != 1 || !parser->chunked()) return HttpFault{400, "the transfer coding is malformed"};
  return std::nullopt;
}

RequestReader::RequestReader(const HttpLimits& limits) : state_(std::make_unique<State>(limits)) {}
RequestReader::~RequestReader() = default;

void RequestReader::feed(base::ByteView bytes) { state_->input.append(base::as_text(bytes)); }

RequestReader::Outcome RequestReader::next() {
  State& s = *state_;
  // RFC 9112 2.2: empty lines before a request are left out.
  if (!s.parser->got_some()) {
    std::size_t at = 0;
    while (s.input.compare(at, 2, "\r\n") == 0) at += 2;
    s.input.erase(0, at);
  }
  while (!s.parser->is_done() && !s.input.empty()) {
    if (!s.parser->got_some() && s.input == "\r") break;
    // The parser asserts that a last chunk which came in pieces comes in pieces of this size at least. Nothing that
    // ends a chunked body is shorter.
    if (s.head_read && s.parser->chunked() && s.input.size() < kLastChunkBytes) break;
    beast::error_code error;
    const std::size_t used = s.parser->put(boost::asio::buffer(s.input), error);
    if (error && error != Error::need_more) return fault_of(error, s.input, s.line_read, s.limits);
    s.input.erase(0, used);
    s.line_read |= used > 0;
    if (s.parser->is_header_done() && !s.head_read) {
      if (auto fault = s.read_head()) return *fault;
      s.parser->eager(true);
      continue;
    }
    if (error == Error::need_more) break;
  }
  if (s.parser->is_done()) {
    ReadRequest done{std::move(s.request), s.parser->keep_alive()};
    done.request.body = std::move(s.parser->get().body());
    s.begin();
    return done;
  }
  // Chunk headers, their extensions and trailers wait here until they are complete.
  if (s.head_read && s.input.size() > s.limits.header_bytes) {
    return HttpFault{431, "a chunk header or the trailers are over the bound of " +
                              std::to_string(s.limits.header_bytes) + " bytes"};
  }
  return NeedMore{std::exchange(s.expects, false) && s.input.empty() && body_size() == 0};
}

bool RequestReader::idle() const { return state_->input.empty() && !state_->parser->got_some(); }
bool RequestReader::in_body() const { return state_->head_read; }
std::size_t RequestReader::body_size() const { return state_->head_read ? state_->parser->get().body().size() : 0; }
std::size_t RequestReader::held() const { return state_->input.size() + body_size(); }

}  // namespace dots::adapters::http
