#include "data/client/restconf.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "data/http.h"
#include "data/printing.h"
#include "data/reading.h"
#include "data/target.h"
#include "model/text.h"
#include "wire/json_text.h"
#include "wire/json_value.h"

namespace dots::data::client {
namespace {

using wire::JsonValue;

constexpr wire::JsonLimits kAnswer{std::size_t{64} << 20, 32, 400000, 4096};
constexpr std::size_t kMostListed = 100000;  // as many as our own server keeps for a client
constexpr std::size_t kMostHostMeta = 65536;
constexpr std::size_t kMostText = 300;  // of what a peer says, in a sentence of ours

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

// The attributes of one start tag.
std::optional<std::string> attribute(std::string_view tag, std::string_view name) {
  for (std::size_t at = tag.find(name); at != std::string_view::npos; at = tag.find(name, at + 1)) {
    if (at == 0 || !is_space(tag[at - 1])) continue;
    std::size_t value = at + name.size();
    while (value < tag.size() && is_space(tag[value])) ++value;
    if (value >= tag.size() || tag[value] != '=') continue;
    ++value;
    while (value < tag.size() && is_space(tag[value])) ++value;
    if (value >= tag.size() || (tag[value] != '"' && tag[value] != '\'')) continue;
    const std::size_t end = tag.find(tag[value], value + 1);
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view raw = tag.substr(value + 1, end - value - 1);
    std::string text;
    for (std::size_t i = 0; i < raw.size(); ++i) {
      text += raw[i];
      if (raw.substr(i, 5) == "&amp;") i += 4;
    }
    return text;
  }
  return std::nullopt;
}

// The start tags of Link, with or without a namespace prefix.
std::vector<std::string_view> links(std::string_view xml) {
  std::vector<std::string_view> found;
  for (std::size_t at = 0; (at = xml.find('<', at)) != std::string_view::npos;) {
    if (xml.substr(at, 4) == "<!--") {
      const std::size_t end = xml.find("-->", at);
      if (end == std::string_view::npos) break;
      at = end + 3;
      continue;
    }
    const std::size_t end = xml.find('>', at);
    if (end == std::string_view::npos) break;
    const std::string_view tag = xml.substr(at + 1, end - at - 1);
    std::string_view name = tag.substr(0, std::min(tag.find_first_of(" \t\r\n/"), tag.size()));
    if (const auto colon = name.find(':'); colon != std::string_view::npos) name.remove_prefix(colon + 1);
    if (name == "Link") found.push_back(tag);
    at = end + 1;
  }
  return found;
}

std::string clipped(std::string_view text) { return printable(model::clip(text.substr(0, kMostText + 4), kMostText)); }

// The array of entries of a body, whichever wrapper it has (open point A8783-01).
const JsonValue* entries_of(Kind kind, const JsonValue& body) {
  if (!body.is_object()) return nullptr;
  const std::string module = std::string(kModule) + ":";
  const std::string list(list_of(kind).name);
  if (const JsonValue* bare = body.member(module + list)) return bare;
  const JsonValue* container = body.member(module + std::string(container_of(kind).name));
  return container != nullptr && container->is_object() ? container->member(list) : nullptr;
}

bool has_container(Kind kind, const JsonValue& body) {
  return body.is_object() && body.member(std::string(kModule) + ":" + std::string(container_of(kind).name)) != nullptr;
}

}  // namespace

base::Result<std::string> root_of(std::string_view host_meta, std::string_view authority) {
  if (host_meta.size() > kMostHostMeta) {
    return base::Error{"it is over the bound of " + std::to_string(kMostHostMeta) + " bytes"};
  }
  for (const std::string_view tag : links(host_meta)) {
    if (attribute(tag, "rel") != "restconf") continue;
    auto href = attribute(tag, "href");
    if (!href) return base::Error{"its restconf link has no href"};
    constexpr std::string_view kScheme = "https://";
    if (href->starts_with(kScheme)) {
      const std::size_t path = std::min(href->find('/', kScheme.size()), href->size());
      if (std::string_view(*href).substr(kScheme.size(), path - kScheme.size()) != authority) {
        return base::Error{"its restconf link goes to another server, " + clipped(*href)};
      }
      href->erase(0, path);
    }
    while (href->ends_with('/')) href->pop_back();
    const bool plain = std::all_of(href->begin(), href->end(), [](char c) { return c > ' ' && c < 0x7f; });
    if ((!href->empty() && href->front() != '/') || !plain || href->size() > 1024 ||
        href->find_first_of("?#") != std::string::npos) {
      return base::Error{"its restconf link is no path: " + clipped(*href)};
    }
    return *href;
  }
  return base::Error{"it names no restconf root"};
}

std::vector<Step> Paths::steps() const {
  return {{&node(NodeId::dots_data), {}}, {&node(NodeId::dots_client), {cuid_.value}}};
}
std::string Paths::below_data(const std::vector<Step>& steps) const { return root_ + "/data" + to_path(steps); }
std::string Paths::dots_data() const { return below_data({{&node(NodeId::dots_data), {}}}); }
std::string Paths::capabilities() const {
  return below_data({{&node(NodeId::dots_data), {}}, {&node(NodeId::capabilities), {}}});
}
std::string Paths::client() const { return below_data(steps()); }
std::string Paths::container(Kind kind) const {
  auto to = steps();
  to.push_back({&container_of(kind), {}});
  return below_data(to);
}
std::string Paths::entry(Kind kind, const std::string& name) const {
  auto to = steps();
  to.push_back({&container_of(kind), {}});
  to.push_back({&list_of(kind), {name}});
  return below_data(to);
}
std::string Paths::point(Kind kind, const std::string& name) const {
  auto to = steps();
  to.push_back({&container_of(kind), {}});
  to.push_back({&list_of(kind), {name}});
  return percent_encoded(to_path(to));
}

ports::HttpRequest request_for(std::string method, std::string target) {
  ports::HttpRequest request;
  request.method = std::move(method);
  request.target = std::move(target);
  request.headers.add("Accept", std::string(kYangJson));
  return request;
}

ports::HttpRequest with_body(ports::HttpRequest request, std::string body) {
  request.headers.add("Content-Type", std::string(kYangJson));
  request.body = std::move(body);
  return request;
}

std::string registration_body(const base::Cuid& cuid) {
  Instance client(NodeId::dots_client);
  client.add(NodeId::cuid, cuid.value);
  return print_resource(*client.node, {client}, {Content::config, UINT32_MAX, {}});
}

std::string entry_body(const Instance& entry) {
  return print_resource(*entry.node, {entry}, {Content::config, UINT32_MAX, {}}, true);
}

base::Result<std::vector<Listed>> listed(Kind kind, std::string_view json) {
  const auto body = wire::parse_json(json, kAnswer);
  if (!body) return base::Error{"its answer is no JSON: " + body.error().message};
  const JsonValue* entries = entries_of(kind, *body);
  std::vector<Listed> all;
  if (entries == nullptr || !entries->is_array()) {
    if (has_container(kind, *body)) return all;  // an empty container
    return base::Error{"its answer holds no " + std::string(container_of(kind).name)};
  }
  if (entries->entries.size() > kMostListed) {
    return base::Error{"its answer lists more than " + std::to_string(kMostListed) + " entries"};
  }
  std::set<std::string_view> names;
  for (const JsonValue& entry : entries->entries) {
    const JsonValue* name = entry.is_object() ? entry.member("name") : nullptr;
    if (name == nullptr || !name->is_string()) return base::Error{"its answer has an entry without a name"};
    if (!names.insert(name->text).second) {
      return base::Error{"its answer lists " + std::string(word_of(kind)) + " '" + clipped(name->text) + "' twice"};
    }
    const JsonValue* left = entry.member("pending-lifetime");
    Listed one{name->text, std::nullopt};
    if (left != nullptr && left->kind == JsonValue::Kind::integer && left->number <= INT32_MAX) {
      one.pending_lifetime_min = static_cast<std::int64_t>(left->number);
    } else if (left != nullptr && left->kind == JsonValue::Kind::negative_integer) {
      one.pending_lifetime_min = 0;
    }
    all.push_back(std::move(one));
  }
  return all;
}

base::Result<Instance> single_entry(Kind kind, const std::string& name, std::string_view json) {
  const auto body = wire::parse_json(json, kAnswer);
  if (!body) return base::Error{"its answer is no JSON: " + body.error().message};
  const JsonValue* entries = entries_of(kind, *body);
  if (entries == nullptr || !entries->is_array() || entries->entries.size() != 1) {
    return base::Error{"its answer does not hold one " + std::string(word_of(kind))};
  }
  auto entry = read_members(list_of(kind), entries->entries.front(), {nullptr, true}, std::string(list_of(kind).name));
  if (!entry)
    return base::Error{"its " + std::string(word_of(kind)) + " cannot be read: " + printable(entry.error().message)};
  if (auto complete = check_complete(*entry, path_of("", *entry)); !complete) {
    return base::Error{"its " + std::string(word_of(kind)) + " is not whole: " + printable(complete.error().message)};
  }
  if (name_of(*entry) != name) {
    return base::Error{"its answer is about '" + clipped(name_of(*entry)) + "', and '" + clipped(name) +
                       "' was asked for"};
  }
  sort_children(*entry);
  return std::move(*entry);
}

PeerError error_of(const ports::HttpAnswer& answer) {
  PeerError error;
  if (!has_type(answer.headers, kYangJson)) return error;
  const auto body = wire::parse_json(answer.body);
  if (!body || !body->is_object()) return error;
  const JsonValue* errors = body->member("ietf-restconf:errors");
  const JsonValue* list = errors != nullptr && errors->is_object() ? errors->member("error") : nullptr;
  if (list == nullptr || !list->is_array() || list->entries.empty() || !list->entries.front().is_object()) return error;
  const auto text = [&](std::string_view name) -> std::string {
    const JsonValue* member = list->entries.front().member(name);
    return member != nullptr && member->is_string() ? clipped(member->text) : std::string{};
  };
  return {text("error-tag"), text("error-app-tag"), text("error-message"), text("error-path")};
}

bool names_quota(const PeerError& error) {
  return error.app_tag == fault::kQuotaAppTag || error.app_tag.find("quota") != std::string::npos ||
         error.message.find("quota") != std::string::npos;
}

std::string explain(const ports::HttpAnswer& answer) {
  const PeerError error = error_of(answer);
  std::string out = "the server answered " + std::to_string(answer.status);
  if (const auto phrase = ports::reason_phrase(answer.status); !phrase.empty()) out += " " + std::string(phrase);
  if (!error.tag.empty()) out += " (" + error.tag + (error.app_tag.empty() ? "" : ", " + error.app_tag) + ")";
  if (!error.message.empty()) out += ": " + error.message;
  if (!error.path.empty()) out += ", at " + error.path;
  return out;
}

std::string etag_of(const ports::HttpAnswer& answer) {
  const std::string* tag = answer.headers.find("ETag");
  return tag != nullptr ? *tag : std::string{};
}

}  // namespace dots::data::client
