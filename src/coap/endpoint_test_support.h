// A peer's view of an Endpoint under virtual time: what goes in are messages, what comes out is parsed again.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "coap/endpoint.h"

namespace dots::coap::testing {

using namespace std::chrono_literals;
using wire::Message;
using wire::MessageType;
using wire::Method;
using wire::OptionNumber;

inline base::Bytes text(std::string_view t) { return {t.begin(), t.end()}; }
inline base::Bytes hex(std::string_view t) { return *base::from_hex(t); }
inline std::string as_string(const base::Bytes& bytes) { return {bytes.begin(), bytes.end()}; }

inline wire::Option option(OptionNumber number, base::Bytes value = {}) {
  return {static_cast<std::uint16_t>(number), std::move(value)};
}
inline std::optional<base::Bytes> option_of(const Message& message, OptionNumber number) {
  for (const auto& o : message.options) {
    if (o.number == static_cast<std::uint16_t>(number)) return o.value;
  }
  return std::nullopt;
}
inline std::optional<std::uint64_t> number_of(const Message& message, OptionNumber number) {
  const auto value = option_of(message, number);
  return value ? wire::uint_of(*value) : std::nullopt;
}

// PUT or the like with one path segment, as a peer sends it.
inline Message request(MessageType type, Method method, std::uint16_t message_id, base::Bytes token,
                       base::Bytes payload = {}, std::vector<wire::Option> options = {}) {
  Message message;
  message.type = type;
  message.code = static_cast<std::uint8_t>(method);
  message.message_id = message_id;
  message.token = std::move(token);
  message.options = std::move(options);
  message.options.push_back(option(OptionNumber::uri_path, text("mitigate")));
  message.payload = std::move(payload);
  return message;
}
inline Message observe(std::uint16_t message_id, base::Bytes token, std::uint8_t value = 0,
                       MessageType type = MessageType::non_confirmable) {
  return request(type, Method::get, message_id, std::move(token), {},
                 {option(OptionNumber::observe, wire::uint_value(value))});
}
inline Message empty(MessageType type, std::uint16_t message_id) {
  Message message;
  message.type = type;
  message.message_id = message_id;
  return message;
}
inline Message answer(MessageType type, model::ResponseCode code, std::uint16_t message_id, base::Bytes token,
                      std::vector<wire::Option> options = {}, base::Bytes payload = {}) {
  Message message;
  message.type = type;
  message.code = static_cast<std::uint8_t>(code);
  message.message_id = message_id;
  message.token = std::move(token);
  message.options = std::move(options);
  message.payload = std::move(payload);
  return message;
}

inline Response bare(model::ResponseCode code) {
  Response response;
  response.code = code;
  return response;
}
inline Response changed() { return bare(model::ResponseCode::changed); }
inline Response content(std::string_view payload) {
  Response response;
  response.content_format = std::uint16_t{271};
  response.payload = text(payload);
  return response;
}

struct Bench {
  EndpointLimits limits;
  Endpoint endpoint;
  base::SteadyTime now{1000s};

  explicit Bench(const EndpointLimits& bounds = {}, std::uint64_t seed = 42) : limits(bounds), endpoint(bounds, seed) {}

  Effects in(const base::Bytes& datagram) {
    Effects out;
    endpoint.on_datagram(datagram, now, out);
    return out;
  }
  Effects in(const Message& message) { return in(wire::serialise(message)); }
  Effects respond(const Effects& delivered, const Response& response, bool accept_observation = false) {
    Effects out;
    EXPECT_EQ(delivered.requests.size(), 1U);
    if (delivered.requests.size() == 1) {
      endpoint.respond(delivered.requests[0].exchange, response, accept_observation, now, out);
    }
    return out;
  }
  Effects ignore(const Effects& delivered) {
    Effects out;
    EXPECT_EQ(delivered.requests.size(), 1U);
    if (delivered.requests.size() == 1) endpoint.ignore(delivered.requests[0].exchange, now, out);
    return out;
  }
  Effects notify(const base::Bytes& token, const Response& response) {
    Effects out;
    EXPECT_TRUE(endpoint.notify(token, response, now, out));
    return out;
  }
  std::pair<std::optional<RequestId>, Effects> send(const Request& request, const Repetition& repetition = {}) {
    std::pair<std::optional<RequestId>, Effects> result;
    result.first = endpoint.send(request, repetition, now, result.second);
    return result;
  }
  Effects timer() {
    Effects out;
    endpoint.on_timer(now, out);
    return out;
  }
  // Lets time pass, deadline by deadline; returns what was sent when, and the failures.
  struct Sent {
    base::SteadyTime at;
    Message message;
  };
  struct Passed {
    std::vector<Sent> sent;
    std::vector<std::pair<base::SteadyTime, RequestFailed>> failures;
  };
  Passed pass(base::Duration duration) {
    Passed passed;
    const base::SteadyTime end = now + duration;
    for (int steps = 0; steps < 100000; ++steps) {
      const auto next = endpoint.next_deadline();
      if (!next || *next > end) break;
      now = std::max(now, *next);
      Effects out = timer();
      for (const auto& datagram : out.send) passed.sent.push_back({now, parse(datagram)});
      for (auto& failure : out.failures) passed.failures.emplace_back(now, std::move(failure));
    }
    now = end;
    return passed;
  }

  static Message parse(const base::Bytes& datagram) {
    auto message = wire::parse(datagram);
    EXPECT_TRUE(message.ok());
    return message.ok() ? *message : Message{};
  }
  // The one message of these effects.
  static Message only(const Effects& effects) {
    EXPECT_EQ(effects.send.size(), 1U);
    return effects.send.size() == 1 ? parse(effects.send[0]) : Message{};
  }
};

}  // namespace dots::coap::testing
