#include "dots-bench/web_requests.h"

#include <fmt/format.h>

#include <algorithm>

#include "dots-bench/reference.h"

namespace dots::bench {
namespace {

constexpr const char* kData = "/restconf/data/ietf-dots-data-channel:dots-data";
constexpr const char* kCuid = "dots-bench-client-0000";
constexpr std::size_t kEchoHeadBytes = 85;  // of the reference's answers, about
constexpr std::size_t kSpread = 7919;       // prime: neighbours in time are not neighbours in the tree

std::string me() { return fmt::format("{}/dots-client={}", kData, kCuid); }
std::string alias_name(std::size_t number) { return fmt::format("service-{}", number); }
std::string list_name(std::size_t number) { return fmt::format("filter-{}", number); }

std::string alias_json(std::size_t number, std::uint64_t variant) {
  return fmt::format(
      R"({{"name":"{}","target-protocol":[6],"target-prefix":["192.0.2.{}/32"],"target-port-range":[{{"lower-port":{}}}]}})",
      alias_name(number), number % 256, 1 + (number + variant) % 65535);
}

std::string aliases_json(const std::string& items) {
  return R"({"ietf-dots-data-channel:aliases":{"alias":[)" + items + "]}}";
}

std::string list_json(std::size_t number, std::size_t entries, std::uint64_t variant) {
  std::string aces;
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t source = number * entries + i + variant % 251;
    aces += fmt::format(
        R"({}{{"name":"entry-{}","actions":{{"forwarding":"drop"}},"matches":{{"ipv4":{{"source-ipv4-network":"10.{}.{}.{}/32","destination-ipv4-network":"192.0.2.0/24"}}}}}})",
        i == 0 ? "" : ",", i, source >> 16 & 255, source >> 8 & 255, source & 255);
  }
  return fmt::format(
      R"({{"ietf-dots-data-channel:acls":{{"acl":[{{"name":"{}","type":"ipv4-acl-type","activation-type":"activate-when-mitigating","aces":{{"ace":[{}]}}}}]}}}})",
      list_name(number), aces);
}

using Check = std::function<std::optional<std::string>(std::uint64_t, const WebAnswer&)>;

std::string shown(const WebAnswer& answer) {
  return fmt::format("the data channel answered {} {}", answer.status, answer.body.substr(0, 300));
}

// A write: created or changed.
Check written() {
  return [](std::uint64_t, const WebAnswer& answer) -> std::optional<std::string> {
    if (answer.status == 201 || answer.status == 204) return std::nullopt;
    return shown(answer);
  };
}

Check holds(std::function<std::string(std::uint64_t)> text) {
  return [text = std::move(text)](std::uint64_t number, const WebAnswer& answer) -> std::optional<std::string> {
    if (answer.status == 200 && answer.body.find(text(number)) != std::string::npos) return std::nullopt;
    return shown(answer);
  };
}

}  // namespace

WebWorkload register_client() {
  return {[](std::uint64_t) {
            return WebRequest{"POST", kData,
                              fmt::format(R"({{"ietf-dots-data-channel:dots-client":[{{"cuid":"{}"}}]}})", kCuid)};
          },
          written()};
}

WebWorkload add_aliases(std::size_t first, std::size_t each) {
  return {[=](std::uint64_t number) {
            std::string items;
            for (std::size_t i = 0; i < each; ++i) {
              items += (i == 0 ? "" : ",") + alias_json(first + number * each + i, 0);
            }
            return WebRequest{"PATCH", me() + "/aliases", aliases_json(items)};
          },
          written()};
}

WebWorkload get_alias(std::size_t count) {
  const auto name = [=](std::uint64_t number) { return alias_name(number * kSpread % count); };
  return {[=](std::uint64_t number) {
            return WebRequest{"GET", me() + "/aliases/alias=" + name(number) + "?content=config"};
          },
          holds([=](std::uint64_t number) { return "\"" + name(number) + "\""; })};
}

WebWorkload put_alias(std::size_t count, Changes changes) {
  return {[=](std::uint64_t number) {
            const std::size_t alias = number * kSpread % count;
            return WebRequest{"PUT", me() + "/aliases/alias=" + alias_name(alias),
                              aliases_json(alias_json(alias, ++*changes))};
          },
          written()};
}

WebWorkload get_list(std::size_t lists, std::size_t entries) {
  return {[=](std::uint64_t number) {
            return WebRequest{"GET", me() + "/acls/acl=" + list_name(number % lists) + "?content=config"};
          },
          holds([=](std::uint64_t) { return fmt::format("\"entry-{}\"", entries - 1); })};
}

WebWorkload put_list(std::size_t lists, std::size_t entries, Changes changes) {
  return {[=](std::uint64_t number) {
            return WebRequest{"PUT", me() + "/acls/acl=" + list_name(number % lists),
                              list_json(number % lists, entries, ++*changes)};
          },
          written()};
}

WebWorkload get_all_aliases(std::size_t count) {
  return {[](std::uint64_t) {
            return WebRequest{"GET", me() + "/aliases?content=config"};
          },
          holds([=](std::uint64_t) { return "\"" + alias_name(count - 1) + "\""; })};
}

WebWorkload web_echo(double request_bytes, double answer_bytes) {
  const auto answer = static_cast<std::size_t>(std::max(0.0, answer_bytes - kEchoHeadBytes));
  const std::string more = fmt::format("{}: {}\r\n", kAnswerBytes, answer);
  constexpr double kRequestHeadBytes = 150;  // with the fields of a body
  const std::string body(static_cast<std::size_t>(std::max(0.0, request_bytes - kRequestHeadBytes)), 'x');
  return {[=](std::uint64_t) {
            return WebRequest{"PUT", "/echo", body, more};
          },
          [=](std::uint64_t, const WebAnswer& got) -> std::optional<std::string> {
            if (got.status == 200 && got.body.size() == answer) return std::nullopt;
            return "the bare responder answered something else";
          }};
}

}  // namespace dots::bench
