#include <fmt/format.h>

#include "dotsctl/json_read.h"
#include "dotsctl/render.h"
#include "dotsctl/text.h"

namespace dots::dotsctl {
namespace {

namespace json = boost::json;

std::string since_words(const json::value& one, std::int64_t now) {
  const auto since = number_of(one, "since");
  return since && *since <= now ? " since " + time_words(*since) : "";
}

// One line for each entry: what it does, and what it did.
std::string entries_of(const json::value& list) {
  std::string out;
  for (const auto& entry : list_of(list, "entries")) {
    out += "    " + printable(text_of(entry, "name") + ": " + text_of(entry, "text"));
    if (const auto packets = count_of(entry, "packets")) {
      out +=
          fmt::format(" ({} packets, {})", short_number(*packets), bytes_words(count_of(entry, "bytes").value_or(0)));
    }
    if (text_of(entry, "left-out") == "yes") out += "; not enforced, its domain does not own the destination";
    out += "\n";
  }
  return out;
}

std::string state_words_of(const json::value& one, std::int64_t now) {
  const std::string failure = text_of(one, "failure");
  return text_of(one, "state") + (failure.empty() ? since_words(one, now) : ": " + failure);
}

}  // namespace

std::string render_filters(const json::value& body, std::int64_t now) {
  std::string out;
  for (const auto& list : list_of(body, "filters")) {
    Facts facts;
    facts.add("client",
              text_of(list, "client") + " of domain " + text_of(list, "domain") + ", cuid " + text_of(list, "cuid"));
    facts.add("activation", text_of(list, "activation-type"));
    facts.add("state", text_of(list, "state"));
    for (const auto& at : list_of(list, "mitigators")) facts.add(text_of(at, "mitigator"), state_words_of(at, now));
    if (const auto expires = number_of(list, "expires-at"); expires && *expires > now) {
      facts.add("kept for", duration_words(*expires - now));
    }
    out += (out.empty() ? "" : "\n") + ("Filter list " + printable(text_of(list, "name"))) + "\n" + facts.text(2) +
           entries_of(list);
  }
  return out.empty() ? "No filters.\n" : out;
}

std::string render_explained_filters(const json::value& body, std::int64_t now) {
  std::string out;
  for (const auto& list : list_of(body, "filters")) {
    Facts facts;
    facts.add("back end", text_of(list, "mitigator"));
    facts.add("state", state_words_of(list, now));
    facts.add("wanted", text_of(list, "reason"));
    out += (out.empty() ? "" : "\n") +
           printable("filter list " + text_of(list, "name") + " of cuid " + text_of(list, "cuid") + ", domain " +
                     text_of(list, "domain")) +
           "\n" + facts.text(2) + entries_of(list);
  }
  return out;
}

}  // namespace dots::dotsctl
