#include "adapters/http/answer_writer.h"

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/string_body.hpp>
#include <ctime>
#include <optional>
#include <utility>

namespace dots::adapters::http {
namespace {

namespace beast = boost::beast;
using Response = beast::http::response<beast::http::string_body>;

bool is_ours(const std::string& name) {
  return std::ranges::any_of(std::array{"Content-Length", "Transfer-Encoding", "Connection", "Date"},
                             [&](const char* own) { return beast::iequals(name, own); });
}

// A line end inside a value would begin another header.
std::string harmless(std::string value) {
  std::ranges::replace_if(
      value, [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; }, ' ');
  return value;
}

}  // namespace

std::string http_date(base::WallTime at) {
  const auto seconds = static_cast<std::time_t>(base::unix_seconds(at));
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  constexpr std::array kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  // Not by strftime: its names follow the locale.
  std::array<char, 40> text{};
  std::strftime(text.data(), text.size(), ", %d ", &utc);
  std::string out = kDays[static_cast<std::size_t>(utc.tm_wday)] + std::string{text.data()} +
                    kMonths[static_cast<std::size_t>(utc.tm_mon)];
  std::strftime(text.data(), text.size(), " %Y %H:%M:%S GMT", &utc);
  return out + text.data();
}

struct AnswerWriter::State {
  State(ports::HttpAnswer answer, bool head_only, bool keep_alive, base::WallTime now) {
    message.version(11);
    message.result(static_cast<unsigned>(answer.status));
    message.reason(std::string{ports::reason_phrase(answer.status)});
    for (const auto& line : answer.headers.lines()) {
      if (!is_ours(line.name)) message.insert(line.name, harmless(line.value));
    }
    message.set(beast::http::field::date, http_date(now));
    // RFC 9110 8.6: 204 never has a length, 304 need not.
    const bool bodyless = answer.status == 204 || answer.status == 304;
    if (!bodyless) message.content_length(answer.body.size());
    if (!keep_alive) message.set(beast::http::field::connection, "close");
    if (!bodyless && !head_only) message.body() = std::move(answer.body);
    // The length that GET would have stays.
    serializer.emplace(message);
    serializer->split(false);
  }
  Response message;
  std::optional<beast::http::response_serializer<beast::http::string_body>> serializer;
};

AnswerWriter::AnswerWriter(ports::HttpAnswer answer, bool head_only, bool keep_alive, base::WallTime now)
    : state_(std::make_unique<State>(std::move(answer), head_only, keep_alive, now)) {}
AnswerWriter::~AnswerWriter() = default;

bool AnswerWriter::done() const { return state_->serializer->is_done(); }

std::string AnswerWriter::next(std::size_t bytes) {
  std::string out;
  auto& serializer = *state_->serializer;
  while (!serializer.is_done() && out.size() < bytes) {
    beast::error_code error;
    serializer.next(error, [&](beast::error_code&, const auto& buffers) {
      const std::size_t before = out.size();
      const std::size_t count = std::min(bytes - before, boost::asio::buffer_size(buffers));
      out.resize(before + count);
      boost::asio::buffer_copy(boost::asio::buffer(out.data() + before, count), buffers);
      serializer.consume(count);
    });
    if (error) break;
  }
  return out;
}

}  // namespace dots::adapters::http
