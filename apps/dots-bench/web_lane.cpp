#include "dots-bench/web_lane.h"

#include <charconv>
#include <string_view>
#include <utility>

#include "adapters/net/tls_channel.h"

namespace dots::bench {
namespace {

constexpr const char* kServerName = "localhost";  // as dotsctl init names it
constexpr std::string_view kLength = "\r\nContent-Length: ";

std::optional<std::size_t> number_at(std::string_view text) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end == text.data()) return std::nullopt;
  return value;
}

}  // namespace

base::Result<std::optional<WebAnswer>> take_answer(std::string& text) {
  const auto end = text.find("\r\n\r\n");
  if (end == std::string::npos) return std::optional<WebAnswer>{};
  const std::string_view head = std::string_view{text}.substr(0, end + 2);
  if (!head.starts_with("HTTP/1.1 ")) return base::Error{"no answer of HTTP/1.1: " + text.substr(0, 80)};
  WebAnswer answer;
  answer.status = static_cast<int>(number_at(head.substr(9)).value_or(0));
  std::size_t body = 0;
  if (const auto at = head.find(kLength); at != std::string_view::npos) {
    const auto length = number_at(head.substr(at + kLength.size()));
    if (!length) return base::Error{"a length that is no number: " + std::string{head}};
    body = *length;
  } else if (answer.status != 204) {
    return base::Error{"an answer without a length: " + std::string{head}};
  }
  answer.bytes = end + 4 + body;
  if (text.size() < answer.bytes) return std::optional<WebAnswer>{};
  answer.body = text.substr(end + 4, body);
  text.erase(0, answer.bytes);
  return std::optional{std::move(answer)};
}

base::Result<WebLane> WebLane::open(const model::SocketAddress& server, const ClientCredentials& credentials) {
  adapters::net::TcpOptions options;
  options.unsent_bytes = std::size_t{16} << 20;  // a body of the filling, whole
  auto stream = adapters::net::TcpStream::connect(server, options);
  if (!stream) return stream.error();
  adapters::net::TlsConnector connector{credentials, {}, "http/1.1"};
  ports::ChannelEvents events;
  auto channel = connector.connect(kServerName, events);
  if (!channel) return channel.error();
  WebLane lane{std::move(*stream), std::move(*channel)};
  if (auto done = lane.absorb(events); !done) return done.error();
  return lane;
}

base::Result<void> WebLane::absorb(ports::ChannelEvents& events) {
  for (const auto& bytes : events.plaintexts) text_.append(base::as_text(bytes));
  for (const auto& bytes : events.datagrams) {
    if (auto sent = stream_.send(bytes); !sent) return sent;
  }
  if (events.closed) return base::Error{"a connection ended: " + events.reason};
  return {};
}

base::Result<void> WebLane::send(const std::string& request) {
  base::ByteView rest = base::as_bytes(request);
  while (!rest.empty()) {
    const std::size_t size = std::min(rest.size(), channel_->max_plaintext());
    ports::ChannelEvents events;
    if (auto sent = channel_->send(rest.first(size), events); !sent) return sent;
    if (auto done = absorb(events); !done) return done;
    rest = rest.subspan(size);
  }
  return {};
}

base::Result<std::optional<WebAnswer>> WebLane::receive() {
  for (;;) {
    base::Bytes bytes;
    const auto read = stream_.receive(bytes);
    if (!read) return read.error();
    if (!*read) return std::optional<WebAnswer>{};
    ports::ChannelEvents events;
    channel_->on_datagram(bytes, events);
    if (auto done = absorb(events); !done) return done.error();
    auto answer = take_answer(text_);
    if (!answer || *answer) return answer;
  }
}

}  // namespace dots::bench
