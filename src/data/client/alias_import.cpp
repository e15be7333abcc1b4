#include "data/client/alias_import.h"

#include <charconv>
#include <map>
#include <optional>

#include "model/ip.h"
#include "model/text.h"
#include "wire/json_value.h"

namespace dots::data::client {
namespace {

// Commas in front of a closing bracket, outside texts.
std::string without_last_commas(std::string_view text) {
  std::string out;
  bool in_text = false;
  std::size_t comma = std::string::npos;  // in `out`
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_text) {
      out += c;
      if (c == '\\' && i + 1 < text.size()) out += text[++i];
      if (c == '"') in_text = false;
      continue;
    }
    if ((c == ']' || c == '}') && comma != std::string::npos) out.erase(comma, 1);
    if (c == ',') {
      comma = out.size();
    } else if (c != ' ' && c != '\t' && c != '\r' && c != '\n') {
      comma = std::string::npos;
    }
    in_text = c == '"';
    out += c;
  }
  return out;
}

struct Service {
  std::string prefix, uri;
  std::optional<std::uint16_t> port;
};

std::optional<std::string> prefix_of(const std::string& text) {
  if (const auto address = model::parse_ip_address(text)) return model::to_string(model::host_prefix(*address));
  const auto prefix = model::parse_prefix(text);
  if (!prefix) return std::nullopt;
  return model::to_string(*prefix);
}

std::optional<Service> service_of(const std::string& text) {
  if (const auto whole = prefix_of(text)) return Service{*whole, "", std::nullopt};
  if (text.find("://") != std::string::npos && model::is_uri(text)) return Service{"", text, std::nullopt};
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon + 1 == text.size()) return std::nullopt;
  std::uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data() + colon + 1, end, port);
  if (read.ec != std::errc{} || read.ptr != end) return std::nullopt;
  std::string address = text.substr(0, colon);
  if (address.starts_with('[')) {
    const std::size_t closing = address.find(']');
    if (closing == std::string::npos) return std::nullopt;
    address = address.substr(1, closing - 1) + address.substr(closing + 1);
  } else if (address.find(':') != std::string::npos && address.find('/') == std::string::npos) {
    return std::nullopt;  // an IPv6 address without brackets: where its port begins is a guess
  }
  const auto prefix = prefix_of(address);
  if (!prefix) return std::nullopt;
  return Service{*prefix, "", port};
}

}  // namespace

Checked<std::vector<Entry>> import_aliases(std::string_view text) {
  const auto document = wire::parse_json(without_last_commas(text));
  if (!document) return Fault{400, "malformed-message", "this is no JSON: " + document.error().message};
  if (!document->is_object()) return fault::invalid_value("an alias document is an object: name to services");
  std::vector<Entry> all;
  for (const wire::JsonMember& member : document->members) {
    const std::string& name = member.name;
    const wire::JsonValue& value = member.value;
    std::vector<const wire::JsonValue*> services;
    if (value.is_string()) services.push_back(&value);
    for (const auto& entry : value.entries) services.push_back(&entry);
    if (services.empty()) return fault::invalid_value("alias '" + name + "' has no services");
    // Port -> what it is on; services without a port first, URIs by themselves.
    std::map<std::optional<std::uint16_t>, std::vector<std::string>> by_port;
    std::vector<std::string> uris;
    for (const auto* one : services) {
      const auto service = one->is_string() ? service_of(one->text) : std::nullopt;
      if (!service) {
        return fault::invalid_value("alias '" + name +
                                    "': " + (one->is_string() ? "'" + one->text + "'" : std::string("an element")) +
                                    " is no address:port, no prefix and no URI");
      }
      if (service->uri.empty()) {
        by_port[service->port].push_back(service->prefix);
      } else {
        uris.push_back(service->uri);
      }
    }
    const bool alone = by_port.size() + (uris.empty() ? 0 : 1) == 1;
    const auto add = [&](const std::string& suffix) -> Instance& {
      Instance& alias = all.emplace_back(Entry{Kind::alias, Instance(NodeId::alias)}).config;
      alias.add(NodeId::alias_name, alone ? name : name + suffix);
      return alias;
    };
    for (const auto& [port, prefixes] : by_port) {
      Instance& alias = add(port ? "-" + std::to_string(*port) : "-any");
      for (const std::string& prefix : prefixes) alias.add(NodeId::target_prefix, prefix);
      if (port) alias.add(NodeId::target_port_range).add(NodeId::lower_port, std::to_string(*port));
    }
    if (uris.empty()) continue;
    Instance& alias = add("-uri");
    for (const std::string& uri : uris) alias.add(NodeId::target_uri, uri);
  }
  for (Entry& entry : all) {
    // The same road as everything else that an operator writes.
    auto checked = read_entry(Kind::alias, text_of(entry.config));
    if (!checked)
      return Fault{400, "invalid-value", "alias '" + name_of(entry.config) + "': " + checked.error().message};
    entry.config = std::move(*checked);
  }
  return all;
}

}  // namespace dots::data::client
