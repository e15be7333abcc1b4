#include <fmt/format.h>

#include "dotsctl/json_read.h"
#include "dotsctl/render.h"
#include "dotsctl/text.h"

namespace dots::dotsctl {
namespace {

constexpr std::int64_t kForever = 0xffffffff;

std::string who(const boost::json::value& order) {
  const std::string client = text_of(order, "client");
  const std::string domain = text_of(order, "domain");
  if (!client.empty()) return "Client " + client + " of domain " + domain;
  if (!domain.empty()) return "Domain " + domain;
  return text_of(order, "reason") == "session-limit" ? "New sessions beyond the limit" : "All clients";
}

std::string how_long(const boost::json::value& order) {
  const auto ttl = number_of(order, "ttl_s");
  if (!ttl) return "";
  if (*ttl == kForever) return "until that server redirects them";
  return *ttl == 0 ? "each mitigation request by itself" : "for " + duration_words(*ttl);
}

}  // namespace

std::string render_redirects(const boost::json::value& body, std::int64_t now) {
  std::string out;
  for (const auto& order : list_of(body, "redirects")) {
    out += (out.empty() ? "" : "\n") + printable(who(order) + " to " + text_of(order, "alt-server"));
    if (const auto records = list_of(order, "alt-server-record"); !records.empty()) {
      out += printable(" (" + joined(records) + ")");
    }
    out += "\n";
    Facts facts;
    facts.add("how long", how_long(order));
    facts.add("reason", text_of(order, "reason"));
    if (text_of(order, "force") == "yes") facts.add("forced", "running mitigations do not hold it back");
    std::string by = text_of(order, "author");
    if (const auto at = number_of(order, "at"); at && *at > 0 && *at <= now)
      by += ", " + duration_words(now - *at) + " ago";
    facts.add("by", printable(by));
    facts.add("note", printable(text_of(order, "note")));
    const auto clients = list_of(order, "clients");
    facts.add("left", fmt::format("{} of {}", text_of(order, "left"), clients.size()));
    out += facts.text(2);
    Table table{{"DOMAIN", "CLIENT", "STATE", "SINCE"}};
    for (const auto& client : clients) {
      const auto age = number_of(client, "age_s");
      table.add({text_of(client, "domain"), text_of(client, "client"), text_of(client, "state"),
                 age ? duration_words(*age) : ""});
    }
    if (!table.empty()) out += table.text();
  }
  return out.empty() ? "No client is redirected.\n" : out;
}

}  // namespace dots::dotsctl
