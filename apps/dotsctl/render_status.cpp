#include <fmt/format.h>

#include <algorithm>

#include "dotsctl/json_read.h"
#include "dotsctl/render.h"
#include "dotsctl/text.h"

namespace dots::dotsctl {
namespace {

namespace json = boost::json;

// "uptime_s" -> "uptime"; "mitigations-by-status" -> "mitigations by status".
std::string label_of(std::string_view name) {
  std::string out{name};
  for (const char* unit : {"_s"})
    if (out.ends_with(unit)) out.resize(out.size() - 2);
  for (char& c : out)
    if (c == '_' || c == '-') c = ' ';
  return out;
}

std::string value_text(std::string_view name, const json::value& value) {
  if (name.ends_with("_s") && value.is_number()) {
    boost::system::error_code error;
    if (const auto n = value.to_number<std::int64_t>(error); !error) return duration_words(n);
  }
  return scalar_text(&value);
}

bool all_scalars(const json::array& items) {
  for (const auto& item : items)
    if (item.is_structured()) return false;
  return true;
}

// Objects as rows; columns are all members in the order of their first appearance.
std::string table_of(const json::array& items) {
  std::vector<std::string> names;
  for (const auto& item : items) {
    if (!item.is_object()) continue;
    for (const auto& [name, value] : item.as_object())
      if (std::find(names.begin(), names.end(), std::string{name}) == names.end() && !value.is_structured())
        names.emplace_back(name);
  }
  std::vector<std::string> headings;
  for (const std::string& name : names) {
    std::string heading = label_of(name);
    for (char& c : heading) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    headings.push_back(heading);
  }
  Table table{headings};
  for (const auto& item : items) {
    std::vector<std::string> row;
    for (const std::string& name : names) {
      const auto* value = member(item, name);
      row.push_back(value == nullptr ? "" : value_text(name, *value));
    }
    table.add(std::move(row));
  }
  return table.text();
}

// The tables inside the rows: "sessions of provider".
std::string inner_tables(const json::array& items) {
  std::string out;
  for (const auto& item : items) {
    if (!item.is_object()) continue;
    const std::string whose = text_of(item, member(item, "name") != nullptr ? "name" : "client");
    for (const auto& [name, value] : item.as_object())
      if (value.is_array() && !value.as_array().empty() && !all_scalars(value.as_array()))
        out += fmt::format("\n{} of {}\n{}", label_of(name), printable(whose), table_of(value.as_array()));
  }
  return out;
}

std::string health_text(const json::value& body, std::int64_t now) {
  std::string out;
  for (const auto& one : list_of(body, "health")) {
    const std::string subject = text_of(one, "subject");
    out += text_of(one, "grade") == "failed" ? "FAILED    " : "DEGRADED  ";
    out += printable(text_of(one, "condition") + (subject.empty() ? "" : " (" + subject + ")") + ": " +
                     text_of(one, "meaning"));
    if (const auto since = number_of(one, "since"); since && *since <= now)
      out += ", for " + duration_words(now - *since);
    out += "\n";
    if (const auto details = text_of(one, "details"); !details.empty()) out += "          " + printable(details) + "\n";
    if (const auto next = text_of(one, "next_step"); !next.empty()) out += "          Next: " + printable(next) + "\n";
  }
  for (const auto& sentence : list_of(body, "unwell")) out += "UNWELL    " + printable(scalar_text(&sentence)) + "\n";
  return out.empty() ? "All is well.\n" : out;
}

}  // namespace

std::string render_status(const json::value& body, std::int64_t now) {
  if (!body.is_object()) return "The daemon gave no status.\n";
  std::string out = health_text(body, now) + "\n";
  Facts facts;
  std::string tables;
  for (const auto& [key, value] : body.as_object()) {
    const std::string name{key};
    if (name == "health" || name == "unwell") continue;
    if (value.is_object()) {
      std::string text;
      for (const auto& [inner, number] : value.as_object()) {
        const std::string one = value_text(inner, number);
        text +=
            (text.empty() ? "" : ", ") + (name == "mitigations-by-status" ? one + " " + status_words(std::string{inner})
                                                                          : label_of(inner) + " " + one);
      }
      facts.add(label_of(name), text);
    } else if (value.is_array() && all_scalars(value.as_array())) {
      facts.add(label_of(name), joined(value.as_array()));
    } else if (value.is_array()) {
      std::string title = label_of(name);
      title[0] = static_cast<char>(title[0] >= 'a' && title[0] <= 'z' ? title[0] - 'a' + 'A' : title[0]);
      tables += fmt::format("\n{} ({})\n{}", title, value.as_array().size(), table_of(value.as_array()));
      tables += inner_tables(value.as_array());
    } else {
      facts.add(label_of(name), value_text(name, value));
    }
  }
  return out + facts.text() + tables;
}

}  // namespace dots::dotsctl
