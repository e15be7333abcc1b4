#include "coap/options.h"

#include <array>

namespace dots::coap {

namespace {

using wire::OptionNumber;

struct Rule {
  OptionNumber number;
  const char* name;
  std::uint16_t least_bytes;
  std::uint16_t most_bytes;
  bool repeatable;
};

// What a request may carry here. If-None-Match (RFC 7252 5.10.8.2) is not supported: its absence makes it an
// unrecognised critical option.
constexpr std::array kRequestRules = {
    Rule{OptionNumber::if_match, "If-Match", 0, 8, true},
    Rule{OptionNumber::uri_host, "Uri-Host", 1, 255, false},
    Rule{OptionNumber::etag, "ETag", 1, 8, true},
    Rule{OptionNumber::observe, "Observe", 0, 3, false},
    Rule{OptionNumber::uri_port, "Uri-Port", 0, 2, false},
    Rule{OptionNumber::uri_path, "Uri-Path", 0, 255, true},
    Rule{OptionNumber::content_format, "Content-Format", 0, 2, false},
    Rule{OptionNumber::uri_query, "Uri-Query", 0, 255, true},
    // RFC 8768 has length 1; a wrong one is answered with 4.00 like a wrong value.
    Rule{OptionNumber::hop_limit, "Hop-Limit", 0, 1034, false},
    Rule{OptionNumber::accept, "Accept", 0, 2, false},
    Rule{OptionNumber::q_block1, "Q-Block1", 0, 3, false},
    Rule{OptionNumber::block2, "Block2", 0, 3, false},
    Rule{OptionNumber::block1, "Block1", 0, 3, false},
    Rule{OptionNumber::q_block2, "Q-Block2", 0, 3, true},
    Rule{OptionNumber::proxy_uri, "Proxy-Uri", 1, 1034, false},
    Rule{OptionNumber::proxy_scheme, "Proxy-Scheme", 1, 255, false},
    Rule{OptionNumber::size1, "Size1", 0, 4, false},
    Rule{OptionNumber::request_tag, "Request-Tag", 0, 8, true},
};

constexpr std::array kResponseRules = {
    Rule{OptionNumber::if_match, "If-Match", 0, 8, true},
    Rule{OptionNumber::uri_host, "Uri-Host", 0, 255, true},
    Rule{OptionNumber::etag, "ETag", 1, 8, false},
    Rule{OptionNumber::if_none_match, "If-None-Match", 0, 0, true},
    Rule{OptionNumber::observe, "Observe", 0, 3, false},
    Rule{OptionNumber::uri_port, "Uri-Port", 0, 2, true},
    Rule{OptionNumber::uri_path, "Uri-Path", 0, 255, true},
    Rule{OptionNumber::content_format, "Content-Format", 0, 2, false},
    Rule{OptionNumber::max_age, "Max-Age", 0, 4, false},
    Rule{OptionNumber::uri_query, "Uri-Query", 0, 255, true},
    Rule{OptionNumber::accept, "Accept", 0, 2, true},
    Rule{OptionNumber::q_block1, "Q-Block1", 0, 3, false},
    Rule{OptionNumber::block2, "Block2", 0, 3, false},
    Rule{OptionNumber::block1, "Block1", 0, 3, false},
    Rule{OptionNumber::size2, "Size2", 0, 4, false},
    Rule{OptionNumber::q_block2, "Q-Block2", 0, 3, false},
    Rule{OptionNumber::proxy_uri, "Proxy-Uri", 0, 1034, true},
    Rule{OptionNumber::proxy_scheme, "Proxy-Scheme", 0, 255, true},
    Rule{OptionNumber::size1, "Size1", 0, 4, false},
};

template <std::size_t N>
const Rule* rule_of(const std::array<Rule, N>& rules, std::uint16_t number) {
  for (const Rule& rule : rules) {
    if (static_cast<std::uint16_t>(rule.number) == number) return &rule;
  }
  return nullptr;
}

bool is_q_block(std::uint16_t number) {
  return number == static_cast<std::uint16_t>(OptionNumber::q_block1) ||
         number == static_cast<std::uint16_t>(OptionNumber::q_block2);
}

// RFC 9177 4.1: never together.
std::optional<OptionProblem> refuse_mixture(bool q_block, bool block) {
  if (!q_block || !block) return std::nullopt;
  return OptionProblem{model::ResponseCode::bad_option, "Q-Block and Block options do not go together", true};
}

bool is_critical(std::uint16_t number) { return (number & 1U) != 0; }

// Why an option that is not sound counts as unrecognised (RFC 7252 5.4.1, 5.4.3, 5.4.5).
std::string objection(const Rule* rule, const wire::OptionView& option) {
  const std::string which = "option " + std::to_string(option.number);
  if (rule == nullptr) return which + " is not supported";
  if (option.value.size() < rule->least_bytes || option.value.size() > rule->most_bytes) {
    return which + " (" + rule->name + ") has " + std::to_string(option.value.size()) + " bytes instead of " +
           std::to_string(rule->least_bytes) + " to " + std::to_string(rule->most_bytes);
  }
  return which + " (" + rule->name + ") appears more than once";
}

// Walks the options; `take(rule, option)` gets each recognised one and may return a problem.
template <std::size_t N, class Take>
std::optional<OptionProblem> walk(const std::array<Rule, N>& rules, base::ByteView options, bool q_blocks, Take take) {
  wire::OptionCursor cursor{options};
  std::optional<std::uint16_t> previous;
  while (const auto option = cursor.next()) {
    const bool seen_before = previous == option->number;
    previous = option->number;
    const Rule* rule = is_q_block(option->number) && !q_blocks ? nullptr : rule_of(rules, option->number);
    const bool sound = rule != nullptr && option->value.size() >= rule->least_bytes &&
                       option->value.size() <= rule->most_bytes && (rule->repeatable || !seen_before);
    if (!sound) {
      if (!is_critical(option->number)) continue;
      return OptionProblem{model::ResponseCode::bad_option, objection(rule, *option)};
    }
    if (auto problem = take(rule->number, option->value)) return problem;
  }
  return std::nullopt;
}

// REQUIRES: as many bytes as T has at most, which the rules see to.
template <class T>
T number(base::ByteView value) {
  return static_cast<T>(*wire::uint_of(value));
}

base::Bytes copy(base::ByteView value) { return {value.begin(), value.end()}; }

// Observe has a meaning in GET and FETCH only (RFC 7641 2, RFC 8132 2.4), and there 0 and 1.
void take_observe(base::ByteView value, Request& request) {
  if (request.method != wire::Method::get && request.method != wire::Method::fetch) return;
  const auto observe = number<std::uint32_t>(value);
  if (observe <= 1) request.observe = observe;
}

// RFC 8768 section 3.
std::optional<OptionProblem> take_hop_limit(base::ByteView value, Request& request) {
  if (value.size() != 1 || value[0] == 0) {
    return OptionProblem{model::ResponseCode::bad_request, "Hop-Limit is not one byte of 1 to 255"};
  }
  request.hop_limit = value[0];
  return std::nullopt;
}

}  // namespace

std::optional<OptionProblem> read_request(const wire::MessageView& message, bool q_blocks, Request& request) {
  request.confirmable = message.type == wire::MessageType::confirmable;
  request.method = static_cast<wire::Method>(message.code);
  request.payload = copy(message.payload);
  bool for_proxy = false;
  auto problem = walk(kRequestRules, message.options, q_blocks,
                      [&](OptionNumber option, base::ByteView value) -> std::optional<OptionProblem> {
                        switch (option) {
                          case OptionNumber::if_match:
                            request.if_match.push_back(copy(value));
                            break;
                          case OptionNumber::etag:
                            request.etag.push_back(copy(value));
                            break;
                          case OptionNumber::observe:
                            take_observe(value, request);
                            break;
                          case OptionNumber::uri_path:
                            if (request.uri_path.empty()) request.uri_path.reserve(5);
                            request.uri_path.emplace_back(base::as_text(value));
                            break;
                          case OptionNumber::content_format:
                            request.content_format = number<std::uint16_t>(value);
                            break;
                          case OptionNumber::uri_query:
                            request.uri_query.emplace_back(base::as_text(value));
                            break;
                          case OptionNumber::hop_limit:
                            return take_hop_limit(value, request);
                          case OptionNumber::accept:
                            request.accept = number<std::uint16_t>(value);
                            break;
                          case OptionNumber::block2:
                            request.block2 = number<std::uint32_t>(value);
                            break;
                          case OptionNumber::block1:
                            request.block1 = number<std::uint32_t>(value);
                            break;
                          case OptionNumber::q_block1:
                            request.q_block1 = number<std::uint32_t>(value);
                            break;
                          case OptionNumber::q_block2:
                            request.q_block2.push_back(number<std::uint32_t>(value));
                            break;
                          case OptionNumber::size1:
                            request.size1 = number<std::uint32_t>(value);
                            break;
                          case OptionNumber::request_tag:
                            request.request_tag.push_back(copy(value));
                            break;
                          case OptionNumber::proxy_uri:
                          case OptionNumber::proxy_scheme:
                            for_proxy = true;
                            break;
                          default:  // Uri-Host and Uri-Port: the session has chosen the server already
                            break;
                        }
                        return std::nullopt;
                      });
  if (!problem && for_proxy) {  // RFC 7252 5.10.2
    problem = OptionProblem{model::ResponseCode::proxying_not_supported, "this server is no forward proxy"};
  }
  if (!problem) {
    problem = refuse_mixture(request.q_block1 || !request.q_block2.empty(), request.block1 || request.block2);
  }
  return problem;
}

std::optional<OptionProblem> read_response(const wire::MessageView& message, bool q_blocks, Response& response) {
  response.code = static_cast<model::ResponseCode>(message.code);
  response.payload = copy(message.payload);
  auto problem = walk(kResponseRules, message.options, q_blocks,
                      [&](OptionNumber option, base::ByteView value) -> std::optional<OptionProblem> {
                        switch (option) {
                          case OptionNumber::etag:
                            response.etag = copy(value);
                            break;
                          case OptionNumber::observe:
                            response.observe = number<std::uint32_t>(value);
                            break;
                          case OptionNumber::content_format:
                            response.content_format = number<std::uint16_t>(value);
                            break;
                          case OptionNumber::max_age:
                            response.max_age_s = number<std::uint32_t>(value);
                            break;
                          case OptionNumber::block1:
                            response.block1 = number<std::uint32_t>(value);
                            break;
                          case OptionNumber::block2:
                            response.block2 = number<std::uint32_t>(value);
                            break;
                          case OptionNumber::q_block1:
                            response.q_block1 = number<std::uint32_t>(value);
                            break;
                          case OptionNumber::q_block2:
                            response.q_block2 = number<std::uint32_t>(value);
                            break;
                          case OptionNumber::size1:
                            response.size1 = number<std::uint32_t>(value);
                            break;
                          case OptionNumber::size2:
                            response.size2 = number<std::uint32_t>(value);
                            break;
                          default:
                            break;
                        }
                        return std::nullopt;
                      });
  if (!problem) {
    problem = refuse_mixture(response.q_block1 || response.q_block2, response.block1 || response.block2);
  }
  return problem;
}

}  // namespace dots::coap
