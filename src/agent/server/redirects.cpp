#include "agent/server/redirects.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <map>
#include <utility>

namespace dots::agent::server {

namespace json = boost::json;

std::string_view name_of(RedirectReason reason) {
  switch (reason) {
    case RedirectReason::by_operator:
      return "operator";
    case RedirectReason::session_limit:
      return "session-limit";
    case RedirectReason::mitigators_down:
      return "mitigators-down";
  }
  return "unknown";
}

std::string_view name_of(RedirectedClient::State state) {
  switch (state) {
    case RedirectedClient::State::told:
      return "told";
    case RedirectedClient::State::untold:
      return "not told yet";
    case RedirectedClient::State::mitigating:
      return "mitigating";
    case RedirectedClient::State::left:
      return "left";
    case RedirectedClient::State::absent:
      return "absent";
  }
  return "unknown";
}

std::shared_ptr<const RedirectOrder> Redirects::find(const policy::KnownClient& client) const {
  std::shared_ptr<const RedirectOrder> best;
  const auto width = [](const RedirectOrder& order) { return order.client ? 0 : order.domain ? 1 : 2; };
  for (const auto& order : orders) {
    if (order->domain && *order->domain != client.domain) continue;
    if (order->client && *order->client != client.client) continue;
    if (!best || width(*order) < width(*best)) best = order;
  }
  return best;
}

bool Redirects::has(std::uint64_t order) const {
  if (when_crowded && when_crowded->id == order) return true;
  return std::any_of(orders.begin(), orders.end(), [&](const auto& one) { return one->id == order; });
}

namespace {

json::object order_object(const RedirectOrder& order) {
  json::object out;
  if (order.domain) out["domain"] = order.domain->value;
  if (order.client) out["client"] = order.client->value;
  out["alt-server"] = order.to.alt_server;
  json::array records;
  for (const auto& address : order.to.alt_server_record) records.push_back(json::value(model::to_string(address)));
  out["alt-server-record"] = std::move(records);
  out["ttl_s"] = order.ttl_s;
  out["force"] = order.force;
  out["author"] = order.author;
  out["note"] = order.note;
  out["at"] = base::unix_seconds(order.at);
  return out;
}

std::string text_of(const json::object& object, const char* name) {
  const auto* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
}

}  // namespace

std::string to_text(const std::vector<RedirectOrder>& orders) {
  json::array list;
  for (const RedirectOrder& order : orders) list.push_back(order_object(order));
  return json::serialize(list) + "\n";
}

base::Result<std::vector<RedirectOrder>> orders_from_text(const std::string& text) {
  const base::Error broken{"the stored redirections cannot be understood"};
  json::error_code error;
  const json::value value = json::parse(text, error);
  if (error || !value.is_array()) return broken;
  std::vector<RedirectOrder> orders;
  for (const json::value& item : value.as_array()) {
    if (!item.is_object()) return broken;
    const json::object& object = item.as_object();
    RedirectOrder order;
    if (const std::string domain = text_of(object, "domain"); !domain.empty()) order.domain = base::DomainId{domain};
    if (const std::string client = text_of(object, "client"); !client.empty()) order.client = base::ClientId{client};
    order.to.alt_server = text_of(object, "alt-server");
    order.author = text_of(object, "author");
    order.note = text_of(object, "note");
    const auto* records = object.if_contains("alt-server-record");
    const auto* ttl = object.if_contains("ttl_s");
    const auto* force = object.if_contains("force");
    const auto* at = object.if_contains("at");
    if (order.to.alt_server.empty() || records == nullptr || !records->is_array() || ttl == nullptr ||
        !ttl->is_number() || force == nullptr || !force->is_bool() || at == nullptr || !at->is_number()) {
      return broken;
    }
    for (const json::value& record : records->as_array()) {
      const auto address = record.is_string() ? model::parse_ip_address(std::string(record.as_string()))
                                              : base::Result<model::IpAddress>(broken);
      if (!address) return broken;
      order.to.alt_server_record.push_back(*address);
    }
    order.ttl_s = ttl->to_number<std::uint32_t>(error);
    if (error) return broken;
    order.force = force->as_bool();
    const auto seconds = at->to_number<std::uint64_t>(error);
    if (error || seconds > 253402300799ULL) return broken;
    order.at = base::from_unix_seconds(seconds);
    orders.push_back(std::move(order));
  }
  return orders;
}

json::object render_redirects(const Redirects& redirects, const std::vector<RedirectedClient>& clients,
                              const std::vector<policy::DomainPolicy>& domains) {
  std::vector<std::shared_ptr<const RedirectOrder>> all = redirects.orders;
  if (redirects.when_crowded) all.push_back(redirects.when_crowded);
  json::array orders;
  for (const auto& order : all) {
    std::map<std::pair<std::string, std::string>, RedirectedClient> found;
    if (order->reason != RedirectReason::session_limit) {
      for (const policy::DomainPolicy& domain : domains) {
        for (const policy::ClientPolicy& client : domain.clients) {
          const policy::KnownClient known{domain.id, client.id};
          const auto best = redirects.find(known);
          if (!best || best->id != order->id) continue;
          found[{domain.id.value, client.id.value}] = {RedirectedClient::State::absent, known, order->id, {}};
        }
      }
    }
    const auto weight = [](RedirectedClient::State state) {
      switch (state) {
        case RedirectedClient::State::mitigating:
          return 4;
        case RedirectedClient::State::untold:
          return 3;
        case RedirectedClient::State::told:
          return 2;
        case RedirectedClient::State::left:
          return 1;
        case RedirectedClient::State::absent:
          return 0;
      }
      return 0;
    };
    for (const RedirectedClient& one : clients) {
      if (one.order != order->id) continue;
      const auto [at, added] = found.try_emplace({one.client.domain.value, one.client.client.value}, one);
      if (!added && weight(one.state) > weight(at->second.state)) at->second = one;
    }
    json::object out = order_object(*order);
    out["reason"] = name_of(order->reason);
    json::array list;
    std::size_t gone = 0;
    for (const auto& [name, client] : found) {
      if (client.state == RedirectedClient::State::left) ++gone;
      json::object row{{"domain", name.first}, {"client", name.second}, {"state", name_of(client.state)}};
      if (client.state != RedirectedClient::State::absent) row["age_s"] = base::whole_seconds(client.age);
      list.push_back(std::move(row));
    }
    out["left"] = gone;
    out["clients"] = std::move(list);
    orders.push_back(std::move(out));
  }
  return {{"redirects", std::move(orders)}};
}

}  // namespace dots::agent::server
