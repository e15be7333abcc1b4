#include "tests/sim/telling.h"

#include <array>
#include <cstdio>

#include "tests/sim/oracle.h"
#include "wire/coap_message.h"
#include "wire/messages.h"

namespace dots::sim {
namespace {

std::string status_text(model::MitigationStatus status) { return std::to_string(static_cast<int>(status)); }

std::string lifetime_text(const model::Lifetime& lifetime) { return std::to_string(lifetime.seconds) + " s"; }

}  // namespace

std::string describe(base::ByteView plaintext_coap) {
  const auto message = wire::parse(plaintext_coap);
  if (!message) return "no CoAP";
  static constexpr std::array kTypes{"CON", "NON", "ACK", "RST"};
  static constexpr std::array kMethods{"", "GET", "POST", "PUT", "DELETE"};
  std::string text = std::string{kTypes.at(static_cast<std::size_t>(message->type))} + " #" +
                     std::to_string(message->message_id) + " t=";
  for (const std::uint8_t byte : message->token) {
    std::array<char, 3> hex{};
    std::snprintf(hex.data(), hex.size(), "%02x", byte);
    text += hex.data();
  }
  if (message->is_request() && message->code < kMethods.size()) text += std::string{" "} + kMethods.at(message->code);
  if (message->is_response()) text += " " + model::to_string(static_cast<model::ResponseCode>(message->code));
  for (const auto& option : message->options) {
    if (option.number == static_cast<std::uint16_t>(wire::OptionNumber::observe)) {
      text += " observe=" + std::to_string(wire::uint_of(option.value).value_or(0));
    } else if (option.number == static_cast<std::uint16_t>(wire::OptionNumber::uri_path)) {
      text += "/" + std::string{base::as_text(option.value)};
    }
  }
  if (!message->is_response() || message->payload.empty()) return text;
  if (const auto entries = wire::decode_mitigation_answer(message->payload)) {
    for (const auto& entry : *entries) {
      if (entry.mid) text += " mid=" + std::to_string(entry.mid->value);
      if (entry.status) text += " status=" + status_text(*entry.status);
      if (entry.lifetime) text += " " + lifetime_text(*entry.lifetime);
    }
  }
  return text;
}

std::string describe(const std::vector<ports::Change>& changes) {
  std::string text;
  for (const auto& change : changes) {
    if (const auto* put = std::get_if<ports::PutMitigation>(&change)) {
      const auto& record = put->record;
      text += " put " + to_string(ports::MitigationKey{record.domain, record.cuid, record.mid}) +
              " status=" + status_text(record.status);
    } else if (const auto* gone = std::get_if<ports::EraseMitigation>(&change)) {
      text += " erase " + to_string(gone->key);
    } else if (const auto* line = std::get_if<ports::AppendAudit>(&change)) {
      text += " (" + line->record.action + " " + line->record.subject + ": " + line->record.text + ")";
    }
  }
  return text;
}

std::string describe(const signal::server::DesiredRules& rules) {
  std::string text;
  for (const auto& want : rules.wants) {
    text += " " + to_string(ports::MitigationKey{want.owner.domain, want.owner.cuid, want.owner.mid}) + " ";
    if (want.parts.empty()) text += "nothing";
    for (const auto& part : want.parts) {
      for (const auto& rule : part.rules) text += "[" + model::to_string(rule) + "]";
    }
  }
  return text;
}

}  // namespace dots::sim
