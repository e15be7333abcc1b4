#include "tests/plays/messages.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <utility>

#include "tests/plays/matching.h"
#include "wire/cbor.h"
#include "wire/json.h"
#include "wire/messages.h"

namespace dots::plays {

using model::Message;
using model::ResponseCode;

namespace {

constexpr std::pair<wire::Method, const char*> kMethods[] = {{wire::Method::get, "GET"},
                                                             {wire::Method::post, "POST"},
                                                             {wire::Method::put, "PUT"},
                                                             {wire::Method::del, "DELETE"}};

Message shape_of_request(const std::string& path, bool if_match) {
  if (path.starts_with("config")) return Message::config_request;
  if (path.starts_with("hb")) return Message::heartbeat;
  return if_match ? Message::efficacy_update : Message::filter_control_request;
}

// A 5.03 with a body sends to another server, or says which filters could not be switched (RFC 9133 3.2.1).
Message shape_of_answer(const std::string& path, ResponseCode code, bool filters) {
  if (code == ResponseCode::service_unavailable) return filters ? Message::mitigation_get_answer : Message::redirect;
  if (path.starts_with("config")) return Message::config_answer;
  if (code == ResponseCode::conflict) return Message::mitigation_conflict;
  return code == ResponseCode::content ? Message::mitigation_get_answer : Message::mitigation_put_answer;
}

base::Result<base::Bytes> body_of(const Line& line, Message shape) {
  if (line.json.empty()) return line.bytes;
  const auto document = wire::decode_json(line.json, shape, model::Manner::tolerant);
  if (!document) return base::Error{"the body is no DOTS message: " + document.error().message};
  // What has no place in this message would be left out.
  const auto lost = difference(boost::json::parse(line.json), boost::json::parse(wire::encode_json(*document)));
  if (!lost.empty()) return base::Error{"written as JSON the body would lose something, write bytes: " + lost};
  return wire::encode_cbor(*document);
}

base::Result<std::string> json_of(base::ByteView payload, Message shape) {
  const auto document = wire::decode_cbor(payload, shape, model::Manner::tolerant, wire::kAnswerLimits);
  if (!document) return base::Error{"the body cannot be read: " + document.error().message};
  return wire::encode_json(*document);
}

std::optional<ResponseCode> code_of(const std::string& text) {
  if (text.size() != 4 || text[1] != '.') return std::nullopt;
  const auto first = number_of(text.substr(0, 1)), rest = number_of(text.substr(2));
  if (!first || !rest || *first < 2 || *first > 5 || *rest > 31) return std::nullopt;
  return static_cast<ResponseCode>(*first << 5 | *rest);
}

}  // namespace

base::Result<coap::Request> request_of(const Words& words, const Line& line) {
  if (words.size() < 2) return base::Error{"a request has a method and a path"};
  coap::Request request;
  const auto* method =
      std::find_if(std::begin(kMethods), std::end(kMethods), [&](const auto& one) { return words[0] == one.second; });
  if (method == std::end(kMethods)) return base::Error{"'" + words[0] + "' is none of GET, PUT, POST and DELETE"};
  request.method = method->first;
  request.uri_path = {".well-known", "dots"};
  std::string segment;
  for (const char c : words[1] + "/") {
    if (c == '/') {
      request.uri_path.push_back(std::exchange(segment, {}));
    } else {
      segment += c;
    }
  }
  for (std::size_t i = 2; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "observe") {
      request.observe = 0;
    } else if (word == "confirmable") {
      request.confirmable = true;
    } else if (word == "if-match") {
      request.if_match.emplace_back();
    } else if (const auto tag = value_of(word, "if-match")) {
      request.if_match.emplace_back(tag->begin(), tag->end());
    } else if (const auto limit = number_of(value_of(word, "hop-limit").value_or("")); limit && *limit < 256) {
      request.hop_limit = static_cast<std::uint8_t>(*limit);
    } else if (word.starts_with("?")) {
      request.uri_query.push_back(word.substr(1));
    } else {
      return base::Error{"'" + word + "' is no option of a request"};
    }
  }
  auto body = body_of(line, shape_of_request(words[1], !request.if_match.empty()));
  if (!body) return body.error();
  if (!body->empty()) request.content_format = wire::kContentFormatDots;
  request.payload = std::move(*body);
  return request;
}

base::Result<coap::Response> response_of(const Words& words, const Line& line, const std::string& about) {
  coap::Response response;
  const auto code = code_of(words.empty() ? "" : words[0]);
  if (!code) return base::Error{"an answer begins with its code, such as 2.05"};
  response.code = *code;
  for (std::size_t i = 1; i < words.size(); ++i) {
    if (const auto age = number_of(value_of(words[i], "max-age").value_or("")); age && *age <= UINT32_MAX) {
      response.max_age_s = static_cast<std::uint32_t>(*age);
    } else if (words[i] == "saying") {
      const std::string text = join(words, i + 1);
      response.payload.assign(text.begin(), text.end());
      return response;
    } else {
      return base::Error{"'" + words[i] + "' is nothing of an answer"};
    }
  }
  auto body = body_of(line, shape_of_answer(about, *code, line.json.find("mitigation-scope") != std::string::npos));
  if (!body) return body.error();
  if (!body->empty()) response.content_format = wire::kContentFormatDots;
  response.payload = std::move(*body);
  return response;
}

std::string path_text(const coap::Request& request) {
  std::string text;
  for (std::size_t i = 2; i < request.uri_path.size(); ++i) text += (i > 2 ? "/" : "") + request.uri_path[i];
  return text;
}

Words words_of(const coap::Request& request) {
  const auto* method = std::find_if(std::begin(kMethods), std::end(kMethods),
                                    [&](const auto& one) { return request.method == one.first; });
  Words words{method == std::end(kMethods) ? "?" : method->second, path_text(request)};
  if (request.observe)
    words.push_back(*request.observe == 0 ? "observe" : "observe=" + std::to_string(*request.observe));
  for (const auto& tag : request.if_match) {
    words.push_back("if-match" + (tag.empty() ? "" : "=" + std::string(base::as_text(tag))));
  }
  for (const auto& query : request.uri_query) words.push_back("?" + query);
  if (request.hop_limit) words.push_back("hop-limit=" + std::to_string(*request.hop_limit));
  if (request.confirmable) words.push_back("confirmable");
  return words;
}

base::Result<std::string> body_text(const coap::Request& request) {
  if (request.payload.empty()) return std::string{};
  return json_of(request.payload, shape_of_request(path_text(request), !request.if_match.empty()));
}

base::Result<std::string> body_text(const coap::Response& response, const std::string& about) {
  if (response.content_format != wire::kContentFormatDots) return std::string(base::as_text(response.payload));
  const bool filters =
      response.code == ResponseCode::service_unavailable && !wire::decode_redirected_signal(response.payload).ok();
  return json_of(response.payload, shape_of_answer(about, response.code, filters));
}

}  // namespace dots::plays
