#include "adapters/http/client_connection.h"

#include <algorithm>
#include <utility>

#include "adapters/http/http_limits.h"

namespace dots::adapters::http {
namespace {

constexpr std::size_t kPieceBytes = 65536;

void put(base::Bytes& out, const std::vector<base::Bytes>& pieces) {
  for (const auto& piece : pieces) out.insert(out.end(), piece.begin(), piece.end());
}

// A line end inside a value would begin another header.
std::string harmless(std::string value) {
  std::ranges::replace_if(
      value, [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; }, ' ');
  return value;
}

std::string text_of(const ports::HttpRequest& request, const std::string& host) {
  std::string out = request.method + " " + request.target + " HTTP/1.1\r\nHost: " + host + "\r\n";
  for (const auto& line : request.headers.lines()) out += line.name + ": " + harmless(line.value) + "\r\n";
  if (!request.body.empty() || request.method == "PUT" || request.method == "POST" || request.method == "PATCH") {
    out += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
  }
  return out + "\r\n" + request.body;
}

}  // namespace

ClientConnection::ClientConnection(std::unique_ptr<ports::SecureChannel> channel, std::string host,
                                   const ClientLimits& limits, base::Now now)
    : limits_(limits),
      channel_(std::move(channel)),
      host_(std::move(host)),
      reader_(limits.answer),
      since_(now.steady) {}
ClientConnection::~ClientConnection() = default;

void ClientConnection::ask(ports::HttpRequest request, base::Now now, ClientEffects& out) {
  request_ = std::move(request);
  sent_ = false;
  if (open_) send(now, out);
}

void ClientConnection::send(base::Now now, ClientEffects& out) {
  const std::string text = text_of(*request_, host_);
  reader_.expect(request_->method == "HEAD");
  since_ = asked_ = now.steady;
  extra_ = std::chrono::seconds{text.size() / kPieceBytes};
  mark_ = 0;
  sent_ = true;
  const base::ByteView bytes = base::as_bytes(text);
  for (std::size_t at = 0; at < bytes.size(); at += kPieceBytes) {
    ports::ChannelEvents events;
    const auto gone = channel_->send(bytes.subspan(at, std::min(kPieceBytes, bytes.size() - at)), events);
    put(out.send, events.datagrams);
    if (!gone) return fail(gone.error().message, out);
  }
}

void ClientConnection::on_bytes(base::ByteView bytes, base::Now now, ClientEffects& out) {
  if (over_) return;
  ports::ChannelEvents events;
  channel_->on_datagram(bytes, events);
  put(out.send, events.datagrams);
  if (events.opened) {
    open_ = true;
    since_ = now.steady;
    if (request_) send(now, out);
  }
  for (const auto& plaintext : events.plaintexts) {
    if (over_) return;
    // Nothing was asked: what comes would be taken for the next answer.
    if (!request_ || !sent_) return fail("the server speaks unasked", out);
    take(reader_.feed(plaintext), now, out);
  }
  if (events.closed && !over_) on_ended(events.reason, now, out);
}

void ClientConnection::take(AnswerReader::Outcome outcome, base::Now now, ClientEffects& out) {
  if (const auto* bad = std::get_if<BadAnswer>(&outcome)) return fail(bad->why, out);
  if (auto* read = std::get_if<ReadAnswer>(&outcome)) {
    request_.reset();
    since_ = now.steady;
    out.outcome = std::move(read->answer);
    if (!read->keep_alive) stop(out);
    return;
  }
  if (reader_.received() >= mark_ + kProgressBytes || mark_ == 0) {
    mark_ = reader_.received();
    since_ = now.steady;
  }
}

void ClientConnection::on_ended(const std::string& reason, base::Now now, ClientEffects& out) {
  if (over_) return;
  if (request_ && sent_ && reader_.begun()) {
    auto outcome = reader_.end();
    if (!std::holds_alternative<AnswerReader::NeedMore>(outcome)) {
      take(std::move(outcome), now, out);
      if (!over_) stop(out);
      return;
    }
    return fail("the connection ended in the middle of the answer", out);
  }
  if (open_) {
    return fail("the server ended the connection" + (reason.empty() ? std::string{} : ": " + reason), out);
  }
  fail(reason.empty() ? "the connection ended in the handshake" : reason, out);
}

void ClientConnection::on_timer(base::Now now, ClientEffects& out) {
  if (over_ || deadline() > now.steady) return;
  if (!open_) return fail("no TLS session in " + std::to_string(base::whole_seconds(limits_.connect_time)) + " s", out);
  if (!request_) return stop(out);
  fail(reader_.begun() ? "the answer comes too slowly"
                       : "no answer in " + std::to_string(base::whole_seconds(limits_.answer_time + extra_)) + " s",
       out);
}

void ClientConnection::stop(ClientEffects& out) {
  if (over_) return;
  ports::ChannelEvents events;
  channel_->close(events);
  put(out.send, events.datagrams);
  over_ = true;
  out.close = true;
  if (request_) out.outcome = ports::HttpFailure{"the connection was closed", sent_};
  request_.reset();
}

void ClientConnection::fail(const std::string& reason, ClientEffects& out) {
  over_ = true;
  out.close = true;
  if (request_) out.outcome = ports::HttpFailure{reason, sent_};
  request_.reset();
}

base::SteadyTime ClientConnection::deadline() const {
  if (!open_) return since_ + limits_.connect_time;
  if (!request_) return since_ + limits_.idle_time;
  if (!reader_.begun()) return since_ + limits_.answer_time + extra_;
  const base::Duration size = std::chrono::seconds{reader_.received() / kPieceBytes};
  return std::min(since_ + limits_.stall_time, asked_ + limits_.whole_time + extra_ + size);
}

}  // namespace dots::adapters::http
