#include "ports/http.h"

#include <algorithm>

namespace dots::ports {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_name(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace

void HttpHeaders::set(std::string_view name, std::string value) {
  const auto first = std::ranges::find_if(lines_, [&](const HttpHeader& line) { return same_name(line.name, name); });
  if (first == lines_.end()) return add(std::string{name}, std::move(value));
  first->value = std::move(value);
  lines_.erase(std::remove_if(first + 1, lines_.end(), [&](const auto& line) { return same_name(line.name, name); }),
               lines_.end());
}

void HttpHeaders::erase(std::string_view name) {
  std::erase_if(lines_, [&](const HttpHeader& line) { return same_name(line.name, name); });
}

const std::string* HttpHeaders::find(std::string_view name) const {
  const auto found = std::ranges::find_if(lines_, [&](const HttpHeader& line) { return same_name(line.name, name); });
  return found == lines_.end() ? nullptr : &found->value;
}

std::string HttpHeaders::joined(std::string_view name) const {
  std::string out;
  bool first = true;
  for (const auto& line : lines_) {
    if (!same_name(line.name, name)) continue;
    if (!first) out += ", ";
    first = false;
    out += line.value;
  }
  return out;
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 204:
      return "No Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 428:
      return "Precondition Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    case 508:
      return "Loop Detected";
    default:
      return "";
  }
}

}  // namespace dots::ports
