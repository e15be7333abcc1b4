#include "dots-bench/requests.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "dots-bench/reference.h"
#include "model/response_code.h"
#include "wire/coap_view.h"
#include "wire/coap_writer.h"
#include "wire/messages.h"
#include "wire/uri_path.h"

namespace dots::bench {
namespace {

using model::ResponseCode;
using wire::MessageType;
using wire::Method;
using wire::OptionNumber;

constexpr const char* kCuid = "dz6pHjaADkaFTbjr0JGBpw";  // as long as a derived one
constexpr std::int64_t kLifetimeS = 3600;
constexpr std::size_t kFirstGroup = 0x1000;

struct Path {
  wire::ResourcePath path;
  Method method;
};

base::Bytes message(const Path& to, std::uint16_t message_id, base::ByteView token, base::ByteView body) {
  wire::MessageWriter writer{MessageType::non_confirmable, static_cast<std::uint8_t>(to.method), message_id, token,
                             96 + body.size()};
  for (const auto& segment : wire::to_segments(to.path)) writer.option(OptionNumber::uri_path, base::as_bytes(segment));
  if (!body.empty()) {
    writer.uint_option(OptionNumber::content_format, wire::kContentFormatDots);
    writer.payload(body);
  }
  return writer.take();
}

Path mitigate(Method method, std::uint32_t mid) {
  return {wire::MitigatePath{std::nullopt, base::Cuid{kCuid}, base::Mid{mid}}, method};
}

model::IpAddress target_of(std::size_t domain, std::uint32_t mid) {
  const auto group = static_cast<std::uint16_t>(kFirstGroup + domain);
  model::IpAddress ip;
  ip.family = model::Family::ipv6;
  ip.bytes = {0x20, 0x01, 0x0d, 0xb8, static_cast<std::uint8_t>(group >> 8), static_cast<std::uint8_t>(group & 0xff)};
  for (std::size_t i = 0; i < 4; ++i) ip.bytes[12 + i] = static_cast<std::uint8_t>(mid >> (24 - 8 * i));
  return ip;
}

base::Bytes request_body(std::size_t domain, std::uint32_t mid) {
  model::MitigationRequest request;
  request.scope.target_prefix = {model::host_prefix(target_of(domain, mid))};
  request.scope.target_protocol = {17};
  request.lifetime = model::Lifetime{kLifetimeS};
  return wire::encode(request);
}

std::optional<std::string> check_code(base::ByteView answer, ResponseCode wanted, wire::MessageView& view) {
  const auto parsed = wire::view(answer);
  if (!parsed) return "an answer is no CoAP: " + parsed.error().reason;
  view = *parsed;
  if (view.code == static_cast<std::uint8_t>(wanted)) return std::nullopt;
  return "an answer is " + model::to_string(static_cast<ResponseCode>(view.code)) + " instead of " +
         model::to_string(wanted) + ": " + std::string{base::as_text(view.payload)};
}

// The answer names the mid that was asked for; `whole`: and tells all about it.
std::optional<std::string> check_entry(base::ByteView answer, ResponseCode wanted, std::uint64_t mid, bool whole) {
  wire::MessageView view;
  if (auto wrong = check_code(answer, wanted, view)) return wrong;
  const auto entries = wire::decode_mitigation_answer(view.payload);
  if (!entries) return "an answer is no body of DOTS: " + entries.error().diagnostic;
  if (entries->size() != 1 || entries->front().mid != base::Mid{static_cast<std::uint32_t>(mid)}) {
    return "an answer is not about mid " + std::to_string(mid);
  }
  if (whole && (!entries->front().scope || !entries->front().status || !entries->front().lifetime)) {
    return "an answer about mid " + std::to_string(mid) + " lacks its scope, status or lifetime";
  }
  return std::nullopt;
}

// Goes round all mids that are there, so that no cache of one of them helps.
std::uint32_t known_mid(const Mids& mids, std::size_t lane, std::uint16_t message_id) {
  const std::uint32_t used = std::max(1U, mids.used(lane));
  return 1 + static_cast<std::uint32_t>((lane / mids.spread().domains + message_id * 251U) % used);
}

}  // namespace

std::size_t Mids::total() const { return std::accumulate(used_.begin(), used_.end(), std::size_t{0}); }

std::string domain_prefix(std::size_t domain) {
  model::Prefix prefix = model::host_prefix(target_of(domain, 0));
  prefix.length = 48;
  return model::to_string(prefix);
}

Workload heartbeats() {
  const auto body = wire::encode(wire::Heartbeat{});
  return {"heartbeat",
          [body](std::size_t, std::uint16_t message_id, base::ByteView token) {
            return Outgoing{message({wire::HeartbeatPath{}, Method::put}, message_id, token, body), 0};
          },
          [](base::ByteView answer, std::uint64_t) {
            wire::MessageView view;
            return check_code(answer, ResponseCode::changed, view);
          }};
}

Workload put_new(std::shared_ptr<Mids> mids) {
  return {
      "put-new",
      [mids](std::size_t lane, std::uint16_t message_id, base::ByteView token) {
        const std::uint32_t mid = mids->take(lane);
        const auto body = request_body(mids->spread().number_of(lane), mid);
        return Outgoing{message(mitigate(Method::put, mid), message_id, token, body), mid};
      },
      [](base::ByteView answer, std::uint64_t mid) { return check_entry(answer, ResponseCode::created, mid, false); }};
}

Workload get_one(std::shared_ptr<Mids> mids) {
  return {
      "get",
      [mids](std::size_t lane, std::uint16_t message_id, base::ByteView token) {
        const std::uint32_t mid = known_mid(*mids, lane, message_id);
        return Outgoing{get_of(mid, message_id, token), mid};
      },
      [](base::ByteView answer, std::uint64_t mid) { return check_entry(answer, ResponseCode::content, mid, true); }};
}

base::Bytes get_of(std::uint32_t mid, std::uint16_t message_id, base::ByteView token) {
  return message(mitigate(Method::get, mid), message_id, token, {});
}

std::optional<model::MitigationStatus> status_in(base::ByteView answer, std::uint32_t mid) {
  if (check_entry(answer, ResponseCode::content, mid, true)) return std::nullopt;
  return wire::decode_mitigation_answer(wire::view(answer)->payload)->front().status;
}

Workload refresh(std::shared_ptr<Mids> mids) {
  return {
      "refresh",
      [mids](std::size_t lane, std::uint16_t message_id, base::ByteView token) {
        const std::uint32_t mid = known_mid(*mids, lane, message_id);
        const auto body = request_body(mids->spread().number_of(lane), mid);
        return Outgoing{message(mitigate(Method::put, mid), message_id, token, body), mid};
      },
      [](base::ByteView answer, std::uint64_t mid) { return check_entry(answer, ResponseCode::changed, mid, false); }};
}

Workload echo(std::size_t request_bytes, std::size_t answer_bytes) {
  request_bytes = std::clamp(request_bytes, kEchoLeast, kEchoMost);
  answer_bytes = std::clamp(answer_bytes, kEchoHead, kEchoMost);
  return {"echo",
          [=](std::size_t, std::uint16_t message_id, base::ByteView token) {
            // Looks like an answer, so that it comes back as one.
            wire::MessageWriter writer{MessageType::non_confirmable, static_cast<std::uint8_t>(ResponseCode::content),
                                       message_id, token, request_bytes};
            base::Bytes payload(request_bytes - kEchoHead - 1);
            payload[0] = static_cast<std::uint8_t>(answer_bytes >> 8);
            payload[1] = static_cast<std::uint8_t>(answer_bytes & 0xff);
            writer.payload(payload);
            return Outgoing{writer.take(), answer_bytes};
          },
          [](base::ByteView answer, std::uint64_t wanted) -> std::optional<std::string> {
            if (answer.size() == wanted) return std::nullopt;
            return "an echo has " + std::to_string(answer.size()) + " bytes instead of " + std::to_string(wanted);
          }};
}

}  // namespace dots::bench
