#include "dotsctl/render_data.h"

#include <algorithm>

#include "dotsctl/json_read.h"
#include "dotsctl/text.h"

namespace dots::dotsctl {
namespace {

namespace json = boost::json;
using data::client::Kind;

std::string left_words(const json::value& entry) {
  const auto minutes = number_of(entry, "pending-lifetime");
  return minutes ? duration_words(*minutes * 60) : "";
}

std::string ports_of(const json::value& alias) {
  std::string out;
  for (const json::value& range : list_of(alias, "target-port-range")) {
    const std::string upper = text_of(range, "upper-port"), lower = text_of(range, "lower-port");
    out += (out.empty() ? "" : ", ") + lower + (upper.empty() || upper == lower ? "" : "-" + upper);
  }
  return out;
}

std::string targets_of(const json::value& alias) {
  std::string out;
  for (const char* name : {"target-prefix", "target-fqdn", "target-uri"}) {
    const std::string some = joined(list_of(alias, name));
    if (!some.empty()) out += (out.empty() ? "" : ", ") + some;
  }
  return out;
}

// "drop", "accept", "limit", or what of each.
std::string actions_of(const json::array& aces) {
  std::size_t drop = 0, accept = 0, limit = 0;
  for (const json::value& ace : aces) {
    const json::value* actions = member(ace, "actions");
    if (actions == nullptr) continue;
    std::string forwarding = text_of(*actions, "forwarding");
    forwarding = forwarding.substr(forwarding.find(':') + 1);
    ++(forwarding == "drop" ? drop : member(*actions, "rate-limit") != nullptr ? limit : accept);
  }
  std::string out;
  const auto add = [&](std::size_t number, const char* word) {
    if (number == 0) return;
    out += (out.empty() ? "" : ", ") + (number == aces.size() ? std::string{} : std::to_string(number) + " ") + word;
  };
  add(drop, "drop");
  add(accept, "accept");
  add(limit, "rate-limit");
  return out;
}

std::string matched_of(const json::array& aces) {
  std::uint64_t packets = 0;
  bool any = false;
  for (const json::value& ace : aces) {
    const json::value* statistics = member(ace, "statistics");
    if (statistics == nullptr) continue;
    const std::string text = text_of(*statistics, "matched-packets");
    if (text.empty() || text.find_first_not_of("0123456789") != std::string::npos || text.size() > 19) continue;
    any = true;
    packets += std::stoull(text);
  }
  return any ? short_number(packets) : "";
}

void print(const json::value& value, std::size_t indent, std::string& out) {
  const std::string space(indent, ' '), inner(indent + 2, ' ');
  const auto block = [&](char open, char close, const auto& items, const auto& one) {
    out += open;
    bool first = true;
    for (const auto& item : items) {
      out += first ? "\n" : ",\n";
      first = false;
      out += inner;
      one(item);
    }
    if (!first) out += "\n" + space;
    out += close;
  };
  if (value.is_object()) {
    block('{', '}', value.as_object(), [&](const auto& item) {
      out += json::serialize(json::value(item.key())) + ": ";
      print(item.value(), indent + 2, out);
    });
  } else if (value.is_array() && std::any_of(value.as_array().begin(), value.as_array().end(),
                                             [](const auto& item) { return item.is_structured(); })) {
    block('[', ']', value.as_array(), [&](const auto& item) { print(item, indent + 2, out); });
  } else {
    out += json::serialize(value);
  }
}

}  // namespace

std::string pretty(const json::value& value, std::size_t indent) {
  std::string out;
  print(value, indent, out);
  return out;
}

std::string render_entries(Kind kind, const json::value& body) {
  const json::array entries = list_of(body, "entries"), kept = list_of(body, "kept");
  if (entries.empty()) return std::string("no ") + (kind == Kind::alias ? "aliases" : "filters") + "\n";
  const auto keeps = [&](const std::string& name) {
    return std::any_of(kept.begin(), kept.end(), [&](const json::value& one) { return scalar_text(&one) == name; });
  };
  Table table(kind == Kind::alias
                  ? std::vector<std::string>{"NAME", "LEFT", "KEPT", "PORTS", "TARGETS"}
                  : std::vector<std::string>{"NAME", "LEFT", "KEPT", "ENTRIES", "MATCHED", "DOES", "COUNTS"});
  for (const json::value& entry : entries) {
    const std::string name = text_of(entry, "name"), is_kept = keeps(name) ? "yes" : "no";
    if (kind == Kind::alias) {
      table.add({name, left_words(entry), is_kept, ports_of(entry), targets_of(entry)});
      continue;
    }
    const json::value* container = member(entry, "aces");
    const json::array aces = container != nullptr ? list_of(*container, "ace") : json::array{};
    const std::string activation = text_of(entry, "activation-type");
    table.add({name, left_words(entry), is_kept, std::to_string(aces.size()), matched_of(aces), actions_of(aces),
               activation.empty() ? "activate-when-mitigating" : activation});
  }
  return table.text();
}

std::string render_kept(const json::value& body) {
  const json::array entries = list_of(body, "kept-entries");
  if (entries.empty()) return "this client keeps nothing there\n";
  Table table({"NAME", "PUT", "REFRESHED", "BY", "PROBLEM"});
  for (const json::value& entry : entries) {
    table.add({text_of(entry, "name"), time_words(number_of(entry, "put-at").value_or(0)),
               time_words(number_of(entry, "refreshed-at").value_or(0)), text_of(entry, "author"),
               text_of(entry, "problem")});
  }
  return table.text();
}

std::string render_entry(Kind kind, const json::value& body) {
  const json::array entries = list_of(body, "entries");
  const std::string container = kind == Kind::alias ? "aliases" : "acls", list = kind == Kind::alias ? "alias" : "acl";
  return pretty(json::object{{"ietf-dots-data-channel:" + container, json::object{{list, entries}}}}) + "\n";
}

std::string render_capabilities(const json::value& body) {
  const json::value* all = member(body, "capabilities");
  if (all == nullptr || !all->is_object()) return "the server says nothing\n";
  Facts facts;
  for (const auto& [name, value] : all->as_object()) {
    if (value.is_array()) {
      facts.add(std::string(name), joined(value.as_array()));
    } else if (value.is_object()) {
      json::array yes;
      for (const auto& [leaf, able] : value.as_object()) {
        if (able.is_bool() && able.as_bool()) yes.push_back(json::value(leaf));
      }
      facts.add(std::string(name), yes.empty() ? "nothing" : joined(yes));
    } else {
      facts.add(std::string(name), scalar_text(&value));
    }
  }
  return facts.text();
}

}  // namespace dots::dotsctl
