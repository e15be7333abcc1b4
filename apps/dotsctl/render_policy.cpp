#include <fmt/format.h>

#include "dotsctl/json_read.h"
#include "dotsctl/render.h"
#include "dotsctl/text.h"

namespace dots::dotsctl {

std::string render_policy(const boost::json::value& body) {
  std::string out;
  int number = 0;
  for (const auto& rule : list_of(body, "policy")) {
    out += fmt::format("{}. {}: {}\n   {}\n", ++number, printable(text_of(rule, "name")),
                       printable(text_of(rule, "when")), printable(text_of(rule, "then")));
  }
  Table safe{{"NEVER MITIGATED", "WHY"}};
  for (const auto& one : list_of(body, "safe-targets"))
    safe.add({printable(text_of(one, "prefix")), printable(text_of(one, "why"))});
  if (!safe.empty()) out += "\n" + safe.text();
  if (const auto sources = list_of(body, "safe-sources"); !sources.empty())
    out += "\nSources that always pass: " + printable(joined(sources)) + "\n";
  Table back_ends{{"MITIGATOR", "PROTOCOLS AND PORTS", "RATE LIMITS", "KEEPS SIGNAL", "DRY RUN", "MOST RULES"}};
  for (const auto& one : list_of(body, "mitigators")) {
    back_ends.add({printable(text_of(one, "name")), text_of(one, "protocols-and-ports"), text_of(one, "rate-limits"),
                   text_of(one, "keeps-signal"), text_of(one, "dry-run"), text_of(one, "max-rules")});
  }
  return out + "\n" + back_ends.text();
}

std::string render_what_if(const boost::json::value& body) {
  std::string out;
  for (const auto& rule : list_of(body, "policy")) {
    out += fmt::format("{} policy '{}': {}\n", text_of(rule, "matches") == "yes" ? "->" : "  ",
                       printable(text_of(rule, "name")), printable(text_of(rule, "text")));
  }
  for (const auto& text : list_of(body, "safety")) out += "left out: " + printable(scalar_text(&text)) + "\n";
  for (const auto& text : list_of(body, "mitigators")) out += "mitigator " + printable(scalar_text(&text)) + "\n";
  for (const auto& part : list_of(body, "parts")) {
    out += "\n" + printable(text_of(part, "mitigator")) + "\n";
    for (const auto& rule : list_of(part, "rules")) out += "  " + printable(scalar_text(&rule)) + "\n";
  }
  out += "\n";
  Facts facts;
  facts.add("refused", printable(text_of(body, "reason")));
  facts.add("next", printable(text_of(body, "next_step")));
  facts.add("approval", printable(text_of(body, "needs-approval")));
  facts.add("actual scope", printable(joined(list_of(body, "actual-prefix"))));
  facts.add("the client is told", printable(text_of(body, "told")));
  return out + facts.text();
}

}  // namespace dots::dotsctl
