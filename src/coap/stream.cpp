// CoAP over a byte stream: framing and signaling (RFC 8323 sections 3 and 5).
#include "wire/coap_stream.h"

#include <algorithm>

#include "coap/endpoint_state.h"

namespace dots::coap {

using wire::MessageType;
using wire::Signal;

namespace {

constexpr std::size_t kMostCustody = 8;
constexpr std::size_t kMostDiagnosticBytes = 200;
// How long requests that came before a Release may take for their answers.
constexpr base::Duration kReleaseTime = std::chrono::seconds{10};

// Text of the peer for the operator: bounded, without control characters.
std::string diagnostic(const wire::MessageView& message) {
  std::string text{base::as_text(message.payload.first(std::min(message.payload.size(), kMostDiagnosticBytes)))};
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
  return text.empty() ? "" : ": " + text;
}

bool is_critical(std::uint16_t number) { return (number & 1U) != 0; }

wire::MessageWriter writer_of(Signal code, base::ByteView token, std::size_t room = 8) {
  return {MessageType::non_confirmable, static_cast<std::uint8_t>(code), 0, token, room};
}

}  // namespace

void Endpoint::start(base::SteadyTime now, Effects& out) {
  State& s = *state_;
  if (!s.stream) return;
  const Framing framing{s, out};
  auto csm = writer_of(Signal::csm, {});
  csm.option(wire::kCsmMaxMessageSize, wire::uint_value(s.stream->most_bytes));
  // With a Max-Message-Size over 1152 this also says that BERT is understood (RFC 8323 section 6).
  csm.option(wire::kCsmBlockWiseTransfer, {});
  out.send.push_back(csm.take());
  if (!s.stream->csm_seen) s.stream->due = now + s.stream->csm_time;
}

void Endpoint::release(std::string_view why, Effects& out) {
  State& s = *state_;
  if (!s.stream || s.stream->closed) return;
  const Framing framing{s, out};
  auto release = writer_of(Signal::release, {}, why.size() + 1);
  release.payload(base::as_bytes(why));
  out.send.push_back(release.take());
}

bool Endpoint::peer_ready() const { return !state_->stream || state_->stream->csm_seen; }

bool Endpoint::takes_bert() const {
  return state_->stream && state_->stream->peer_takes_blocks &&
         state_->stream->peer_most_bytes > wire::kBaseMessageBytes;
}

bool Endpoint::reliable() const { return state_->stream != nullptr; }

std::size_t Endpoint::max_message() const { return state_->stream ? state_->stream->peer_most_bytes : SIZE_MAX; }

void Endpoint::State::on_stream(base::ByteView bytes, base::SteadyTime now, Effects& out) {
  if (stream->closed) return;
  stream->reader.append(bytes);
  while (!stream->closed) {
    const auto message = stream->reader.next(stream->most_bytes, limits.message);
    if (!message) {
      ++out.counters.malformed;
      return abort(message.error(), std::nullopt, out);
    }
    if (!*message) return;
    const wire::MessageView& seen = **message;
    if (seen.is_empty()) continue;
    if (!stream->csm_seen && seen.code != static_cast<std::uint8_t>(Signal::csm)) {
      return abort("the first message is no CSM", std::nullopt, out);
    }
    if (wire::is_signal(seen.code)) {
      on_signal(seen, now, out);
    } else if (seen.is_request()) {
      on_request(seen, now, out);
    } else {
      on_response(seen, now, out);
    }
  }
}

void Endpoint::State::on_signal(const wire::MessageView& message, base::SteadyTime now, Effects& out) {
  const auto code = static_cast<Signal>(message.code);
  if (code == Signal::csm) return on_csm(message, out);
  bool custody = false;
  wire::OptionCursor cursor{message.options};
  while (const auto option = cursor.next()) {
    if (is_critical(option->number)) {
      return abort("critical option " + std::to_string(option->number) + " of a signaling message is not supported",
                   std::nullopt, out);
    }
    custody = custody || (code == Signal::ping && option->number == wire::kCustody);
  }
  switch (code) {
    case Signal::ping:
      if (custody && exchanges.pending() > 0 && stream->custody.size() < kMostCustody) {
        stream->custody.emplace_back(message.token);
      } else {
        auto pong = writer_of(Signal::pong, message.token);
        if (custody && exchanges.pending() == 0) pong.option(wire::kCustody, {});
        out.send.push_back(pong.take());
      }
      return;
    case Signal::release:
      stream->release = "the peer released the connection" + diagnostic(message);
      stream->due = now + kReleaseTime;
      return;
    case Signal::abort:
      return close("the peer aborted the connection" + diagnostic(message), out);
    default:  // Pong: it has done its work as traffic; signals of later documents
      return;
  }
}

void Endpoint::State::on_csm(const wire::MessageView& message, Effects& out) {
  wire::OptionCursor cursor{message.options};
  while (const auto option = cursor.next()) {
    if (option->number == wire::kCsmMaxMessageSize) {
      if (option->value.size() > 4) return abort("Max-Message-Size has more than 4 bytes", option->number, out);
      stream->peer_most_bytes = static_cast<std::size_t>(*wire::uint_of(option->value));
    } else if (option->number == wire::kCsmBlockWiseTransfer) {
      stream->peer_takes_blocks = true;
    } else if (is_critical(option->number)) {
      return abort("critical CSM option " + std::to_string(option->number) + " is not supported", option->number, out);
    }
  }
  if (!stream->csm_seen) stream->due.reset();
  stream->csm_seen = true;
}

void Endpoint::State::signal(Signal code, base::ByteView token, Effects& out) {
  if (!stream->closed) out.send.push_back(writer_of(code, token).take());
}

void Endpoint::State::abort(const std::string& why, std::optional<std::uint16_t> bad_csm_option, Effects& out) {
  auto message = writer_of(Signal::abort, {}, why.size() + 8);
  if (bad_csm_option) message.option(wire::kAbortBadCsmOption, wire::uint_value(*bad_csm_option));
  message.payload(base::as_bytes(why));
  out.send.push_back(message.take());
  close("aborted: " + why, out);
}

void Endpoint::State::close(std::string reason, Effects& out) {
  stream->closed = true;
  stream->due.reset();
  out.close_reason = std::move(reason);
}

void Endpoint::State::stream_timer(base::SteadyTime now, Effects& out) {
  if (!stream->due || now < *stream->due || stream->closed) return;
  if (!stream->csm_seen) return abort("no CSM came in time", std::nullopt, out);
  close(stream->release, out);
}

void Framing::finish() const {
  Stream& stream = *state_.stream;
  if (state_.exchanges.pending() == 0 && !stream.closed) {
    for (const Token& token : std::exchange(stream.custody, {})) {
      auto pong = writer_of(Signal::pong, token.view());
      pong.option(wire::kCustody, {});
      out_.send.push_back(pong.take());
    }
    if (!stream.release.empty()) state_.close(stream.release, out_);
  }
  std::size_t kept = from_;
  for (std::size_t i = from_; i < out_.send.size(); ++i) {
    const bool is_signal = wire::is_signal(out_.send[i][1]);
    base::Bytes frame = wire::to_frame(out_.send[i]);
    if (frame.size() > stream.peer_most_bytes && !is_signal) {
      ++out_.counters.dropped_by_limit;
      continue;
    }
    out_.send[kept++] = std::move(frame);
  }
  out_.send.resize(kept);
}

}  // namespace dots::coap
