#include "adapters/http/answer_reader.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <utility>

#include "adapters/http/http_limits.h"

namespace dots::adapters::http {
namespace {

namespace beast = boost::beast;
using Parser = beast::http::response_parser<beast::http::string_body>;
using Error = beast::http::error;

constexpr std::size_t kMostInterim = 16;
// See RequestReader: the parser wants the last chunk in pieces of this size at least.
constexpr std::size_t kLastChunkBytes = std::string_view{"0\r\n\r\n"}.size();

}  // namespace

struct AnswerReader::State {
  explicit State(const AnswerLimits& l) : limits(l) { begin(); }

  void begin() {
    parser.emplace();
    parser->header_limit(static_cast<std::uint32_t>(limits.header_bytes));
    parser->body_limit(limits.body_bytes);
    parser->skip(head_only);
    parser->eager(true);
  }
  std::string words(const beast::error_code& error) const {
    if (error == Error::header_limit) {
      return "the header of the answer is over the bound of " + std::to_string(limits.header_bytes) + " bytes";
    }
    if (error == Error::body_limit || error == Error::buffer_overflow) {
      return "the answer is over the bound of " + std::to_string(limits.body_bytes) + " bytes";
    }
    return "the answer is no HTTP/1.1: " + error.message();
  }
  Outcome finished();

  const AnswerLimits limits;
  bool head_only = false;
  std::string input;
  std::size_t received = 0;
  std::size_t interim = 0;  // answers so far
  std::optional<Parser> parser;
};

AnswerReader::Outcome AnswerReader::State::finished() {
  auto& message = parser->get();
  ReadAnswer done{{}, parser->keep_alive() && !parser->need_eof()};
  done.answer.status = static_cast<int>(message.result_int());
  if (done.answer.status < 200 || done.answer.status > 599) {
    return BadAnswer{"the server answers with status " + std::to_string(done.answer.status) + ", which is none"};
  }
  std::size_t fields = 0;
  for (const auto& field : message) {
    if (++fields > kMostHeaderFields) {
      return BadAnswer{"the answer has more than " + std::to_string(kMostHeaderFields) + " header fields"};
    }
    const auto name = field.name_string();
    const auto value = field.value();
    done.answer.headers.add({name.data(), name.size()}, {value.data(), value.size()});
  }
  done.answer.body = std::move(message.body());
  return done;
}

AnswerReader::AnswerReader(const AnswerLimits& limits) : state_(std::make_unique<State>(limits)) {}
AnswerReader::~AnswerReader() = default;

void AnswerReader::expect(bool head_only) {
  state_->head_only = head_only;
  state_->input.clear();
  state_->received = 0;
  state_->interim = 0;
  state_->begin();
}

AnswerReader::Outcome AnswerReader::feed(base::ByteView bytes) {
  State& s = *state_;
  s.input.append(base::as_text(bytes));
  s.received += bytes.size();
  for (;;) {
    while (!s.parser->is_done() && !s.input.empty()) {
      if (s.parser->is_header_done() && s.parser->chunked() && s.input.size() < kLastChunkBytes) break;
      beast::error_code error;
      const std::size_t used = s.parser->put(boost::asio::buffer(s.input), error);
      if (error && error != Error::need_more) return BadAnswer{s.words(error)};
      s.input.erase(0, used);
      if (error == Error::need_more || used == 0) break;
    }
    if (!s.parser->is_done()) break;
    if (const unsigned status = s.parser->get().result_int(); status >= 100 && status < 200) {
      if (status == 101) return BadAnswer{"the server wants to change the protocol"};
      // Nothing of them is of use: together they may be as large as one header.
      if (++s.interim > kMostInterim || s.received - s.input.size() > s.limits.header_bytes) {
        return BadAnswer{"the server sends interim answers without end"};
      }
      s.begin();
      continue;
    }
    return s.finished();
  }
  if (s.parser->is_header_done() && s.input.size() > s.limits.header_bytes) {
    return BadAnswer{"a chunk header or the trailers are over the bound of " + std::to_string(s.limits.header_bytes) +
                     " bytes"};
  }
  return NeedMore{};
}

AnswerReader::Outcome AnswerReader::end() {
  State& s = *state_;
  if (!s.parser->is_header_done() || !s.parser->need_eof()) return NeedMore{};
  beast::error_code error;
  s.parser->put_eof(error);
  if (error) return BadAnswer{s.words(error)};
  return s.finished();
}

bool AnswerReader::begun() const { return state_->received > 0; }
std::size_t AnswerReader::received() const { return state_->received; }

}  // namespace dots::adapters::http
