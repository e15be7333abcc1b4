#include "adapters/http/connection.h"

#include <initializer_list>
#include <utility>

namespace dots::adapters::http {
namespace {

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
// What a connection may hold whatever the others do, so that small requests always pass.
constexpr std::size_t kFreeBytes = 65536;

void put(base::Bytes& out, const std::vector<base::Bytes>& pieces) {
  for (const auto& piece : pieces) out.insert(out.end(), piece.begin(), piece.end());
}

}  // namespace

HttpConnection::HttpConnection(std::unique_ptr<ports::SecureChannel> channel,
                               std::shared_ptr<const ConnectionSettings> settings, base::Now now)
    : settings_(std::move(settings)), channel_(std::move(channel)), reader_(settings_->limits), since_(now.steady) {}

HttpConnection::~HttpConnection() { charge(0); }

bool HttpConnection::charge(std::size_t bytes) {
  WaitingBytes& all = *settings_->waiting;
  if (bytes <= kFreeBytes) bytes = 0;
  for (const WaitingBytes* held : std::initializer_list<const WaitingBytes*>{&all, of_domain_.get()}) {
    if (bytes > charged_ && held->used + (bytes - charged_) > held->limit) return false;
  }
  all.used = all.used + bytes - charged_;
  of_domain_->used = of_domain_->used + bytes - charged_;
  charged_ = bytes;
  return true;
}

void HttpConnection::on_bytes(base::ByteView bytes, base::Now now, ConnectionEffects& out) {
  if (phase_ == Phase::over) return;
  ports::ChannelEvents events;
  channel_->on_datagram(bytes, events);
  put(out.send, events.datagrams);
  if (events.opened) {
    refused_ = settings_->judge(channel_->identity(), channel_->resumed());
    phase_ = Phase::reading;
    since_ = now.steady;
  }
  for (const auto& plaintext : events.plaintexts) reader_.feed(plaintext);
  if (events.closed) {
    if (phase_ == Phase::handshake) out.failed = events.reason;
    // A request that came whole is carried out; nobody is there for its answer.
    if (phase_ == Phase::reading && !refused_) {
      auto outcome = reader_.next();
      if (auto* read = std::get_if<ReadRequest>(&outcome)) out.request = std::move(read->request);
    }
    phase_ = Phase::over;
    out.close = true;
    return;
  }
  advance(now, out);
}

void HttpConnection::advance(base::Now now, ConnectionEffects& out) {
  if (phase_ != Phase::reading) return;
  auto outcome = reader_.next();
  if (auto* fault = std::get_if<HttpFault>(&outcome)) return refuse(std::move(*fault), now, out);
  if (!charge(reader_.held())) {
    return refuse({503, "too many large requests are under way; come again in a moment"}, now, out);
  }
  if (auto* more = std::get_if<RequestReader::NeedMore>(&outcome)) {
    // Nobody who is refused anyway may send a body first.
    if (refused_ && reader_.in_body()) return refuse(*refused_, now, out);
    if (more->wants_continue) send(base::as_bytes(kContinue), out);
    return note_progress(now);
  }
  auto& read = std::get<ReadRequest>(outcome);
  begun_.reset();
  body_mark_.reset();
  head_only_ = read.request.method == "HEAD";
  keep_alive_ = read.keep_alive;
  if (refused_) return refuse(*refused_, now, out);
  // The body is held until its answer is there.
  if (!charge(read.request.body.size())) {
    return refuse({503, "too many large requests are under way; come again in a moment"}, now, out);
  }
  phase_ = Phase::handling;
  out.request = std::move(read.request);
}

void HttpConnection::note_progress(base::Now now) {
  if (reader_.idle()) return;
  if (!begun_) begun_ = now.steady;
  if (!reader_.in_body()) return;
  // The first time is the end of the header.
  if (!body_mark_ || reader_.body_size() >= *body_mark_ + kProgressBytes) {
    since_ = now.steady;
    body_mark_ = reader_.body_size();
  }
}

void HttpConnection::refuse(HttpFault fault, base::Now now, ConnectionEffects& out) {
  begin_answer(settings_->render(fault), false, now, out);
  out.fault = std::move(fault);
}

void HttpConnection::on_answer(ports::HttpAnswer answer, base::Now now, ConnectionEffects& out) {
  begin_answer(std::move(answer), keep_alive_ && !stopping_, now, out);
}

void HttpConnection::begin_answer(ports::HttpAnswer answer, bool keep_alive, base::Now now, ConnectionEffects& out) {
  if (!charge(answer.body.size())) {
    out.fault = HttpFault{503, "too many large answers are under way; come again in a moment"};
    answer = settings_->render(*out.fault);
    charge(0);
  }
  out.answered = answer.status;
  writer_.emplace(std::move(answer), head_only_, keep_alive, now.wall);
  close_after_ = !keep_alive;
  phase_ = Phase::answering;
  since_ = now.steady;
}

void HttpConnection::on_writable(base::Now now, ConnectionEffects& out) {
  since_ = now.steady;
  // The end is not before the socket has taken the last piece, so that a stop cuts no answer off.
  if (!writer_->done()) return send(base::as_bytes(writer_->next(kProgressBytes)), out);
  writer_.reset();
  head_only_ = false;
  if (close_after_ || stopping_) return end(out);
  charge(0);
  phase_ = Phase::reading;
  advance(now, out);  // what the client has sent meanwhile
}

void HttpConnection::send(base::ByteView plaintext, ConnectionEffects& out) {
  ports::ChannelEvents events;
  const auto sent = channel_->send(plaintext, events);
  put(out.send, events.datagrams);
  if (sent) return;
  phase_ = Phase::over;
  out.drop = true;
}

std::optional<base::SteadyTime> HttpConnection::deadline() const {
  const HttpLimits& limits = settings_->limits;
  switch (phase_) {
    case Phase::handshake:
      return since_ + limits.handshake_time;
    case Phase::reading:
      if (!begun_) return since_ + limits.idle_time;
      return reader_.in_body() ? since_ + limits.stall_time : *begun_ + limits.header_time;
    case Phase::answering:
      return since_ + limits.stall_time;
    case Phase::handling:
    case Phase::over:
      break;
  }
  return std::nullopt;
}

void HttpConnection::on_timer(base::Now now, ConnectionEffects& out) {
  const auto due = deadline();
  if (!due || *due > now.steady) return;
  if (phase_ == Phase::handshake) {
    ports::ChannelEvents events;
    channel_->close(events);
    out.failed = "the handshake took too long" + (events.reason.empty() ? "" : ": " + events.reason);
    out.ended = "handshake_timeout";
    phase_ = Phase::over;
    out.close = true;
  } else if (phase_ == Phase::answering) {
    // It takes nothing: neither the rest nor a last word.
    out.ended = "slow_reader";
    phase_ = Phase::over;
    out.drop = true;
  } else if (!begun_) {
    out.ended = "idle";
    end(out);
  } else if (reader_.in_body()) {
    out.ended = "body_timeout";
    refuse({408, "the body of the request did not come in time"}, now, out);
  } else {
    out.ended = "header_timeout";
    refuse({408, "the header of the request did not come in time"}, now, out);
  }
}

std::optional<std::string> HttpConnection::recheck(base::Now now, ConnectionEffects& out) {
  if (phase_ == Phase::handshake || phase_ == Phase::over) return std::nullopt;
  auto problem = channel_->recheck(now.wall);
  if (!problem) return problem;
  out.ended = "credential";
  end(out);
  return problem;
}

void HttpConnection::stop(ConnectionEffects& out) {
  stopping_ = true;
  if (phase_ == Phase::handshake || phase_ == Phase::reading) end(out);
}

void HttpConnection::end(ConnectionEffects& out) {
  ports::ChannelEvents events;
  channel_->close(events);
  put(out.send, events.datagrams);
  charge(0);
  phase_ = Phase::over;
  out.close = true;
}

}  // namespace dots::adapters::http
