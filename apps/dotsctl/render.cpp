#include "dotsctl/render.h"

#include <fmt/format.h>

#include "dotsctl/json_read.h"
#include "dotsctl/text.h"
#include "model/protocol.h"

namespace dots::dotsctl {
namespace {

namespace json = boost::json;

std::string protocols(const json::value& m) {
  std::string out;
  for (const auto& item : list_of(m, "target-protocol")) {
    boost::system::error_code error;
    const auto number = item.is_number() ? item.to_number<std::uint8_t>(error) : std::uint8_t{0};
    out += (out.empty() ? "" : ",") + (item.is_number() && !error ? model::protocol_name(number) : scalar_text(&item));
  }
  return out;
}

std::string ports(const json::value& m) {
  std::string out;
  for (const auto& item : list_of(m, "target-port-range")) {
    std::string one = scalar_text(&item);
    if (item.is_object()) {  // as RFC 9132 writes it
      const std::string upper = text_of(item, "upper-port");
      one = text_of(item, "lower-port") + (upper.empty() ? "" : "-" + upper);
    }
    out += (out.empty() ? "" : ",") + one;
  }
  return out;
}

// "203.0.113.7/32 udp port 53"; a long list is cut.
std::string targets(const json::value& m, std::size_t at_most) {
  std::string out;
  std::size_t shown = 0;
  std::size_t all = 0;
  for (const char* name : {"target-prefix", "target-fqdn", "target-uri", "alias-name"})
    for (const auto& item : list_of(m, name)) {
      if (++all > at_most) continue;
      ++shown;
      out += (out.empty() ? "" : " ") + scalar_text(&item);
    }
  if (all > shown) out += fmt::format(" and {} more", all - shown);
  if (const std::string p = protocols(m); !p.empty()) out += " " + p;
  if (const std::string p = ports(m); !p.empty()) out += " port " + p;
  return out;
}

std::string lifetime_words(const json::value& m) {
  const auto left = number_of(m, "lifetime");
  if (!left) return "";
  return *left < 0 ? "no end" : duration_words(*left);
}

std::string dropped_words(const json::value& m) {
  const auto bytes = count_of(m, "bytes-dropped");
  const auto packets = count_of(m, "pkts-dropped");
  if (!bytes && !packets) return text_of(m, "status").empty() ? "" : "not counted";
  std::string out;
  if (bytes) out = bytes_words(*bytes);
  if (packets) out += (out.empty() ? "" : ", ") + short_number(*packets) + " packets";
  return out;
}

std::string drop_rate_words(const json::value& m) {
  const auto bytes = count_of(m, "bps-dropped");  // BYTES per second, whatever its name says (RFC 9132 section 5.3)
  const auto packets = count_of(m, "pps-dropped");
  std::string out;
  if (bytes) out = rate_words(*bytes);
  if (packets) out += (out.empty() ? "" : ", ") + short_number(*packets) + " packets/s";
  return out;
}

std::string rules_words(const json::value& m) {
  const std::string rules = text_of(m, "rules");
  const std::string reason = text_of(m, "rules-reason");
  return reason.empty() ? rules : rules + ": " + reason;
}

// How far a request of a client is: its own word, beside what the server says.
std::string phase_words(const json::value& m) {
  const std::string waits_for = text_of(m, "waits-for");
  return text_of(m, "phase") + (waits_for.empty() ? "" : ": waits for " + waits_for);
}

std::string time_of(const json::value& m, const char* name) {
  if (const auto at = number_of(m, name)) return time_words(*at);
  return text_of(m, name);
}
std::string ago(const json::value& m, const char* name, std::int64_t now) {
  const auto at = number_of(m, name);
  if (!at) return text_of(m, name);
  return time_words(*at) + (*at <= now ? " (" + duration_words(now - *at) + " ago)" : "");
}

std::string conflict_words(const json::value& m) {
  const auto* conflict = member(m, "conflict-information");
  if (conflict == nullptr) return "";
  std::string out = text_of(*conflict, "conflict-cause");
  if (const auto status = text_of(*conflict, "conflict-status"); !status.empty())
    out += (out.empty() ? "" : ", ") + status;
  if (const auto* scope = member(*conflict, "conflict-scope"); scope != nullptr) {
    if (const auto mid = text_of(*scope, "mid"); !mid.empty()) out += ", with mitigation " + mid;
    if (const auto what = targets(*scope, 10); !what.empty()) out += ", at " + what;
  }
  if (const auto retry = number_of(*conflict, "retry-timer")) out += ", try again in " + duration_words(*retry);
  return out;
}

// "x deactivate, y immediate"
std::string filter_words(const json::value& m, const char* name) {
  json::array all;
  for (const auto& one : list_of(m, name)) {
    all.emplace_back(text_of(one, "acl-name") + " " + text_of(one, "activation-type"));
  }
  return joined(all);
}

// What does not work in a mitigation that was accepted, with its reason for programs.
std::string trouble_words(const json::value& m) {
  const std::string reason = text_of(m, "refusal-reason");
  const std::string failure = text_of(m, "failure");
  if (!text_of(m, "refusal").empty() || reason.empty()) return "";
  return reason + (failure.empty() ? "" : ": " + failure);
}

// Who has to decide, and since when; or who has.
std::string approval_words(const json::value& m, std::int64_t now) {
  const auto* approval = member(m, "approval");
  if (approval == nullptr) return "";
  const std::string note = text_of(*approval, "note");
  if (text_of(*approval, "state") == "waiting") {
    return "waits for an operator since " + ago(*approval, "since", now) + ": " + text_of(*approval, "why") +
           "; dotsctl approve " + text_of(m, "mid") + ", or dotsctl refuse " + text_of(m, "mid") + " --reason TEXT";
  }
  return "by " + text_of(*approval, "by") + ", " + ago(*approval, "at", now) + (note.empty() ? "" : ": " + note);
}

std::string show_one(const json::value& m, std::int64_t now) {
  Facts facts;
  const std::string status = text_of(m, "status");
  facts.add("status", state_words(m) + (status.empty() ? "" : " (" + status + ")"));
  facts.add("waits for", text_of(m, "waits-for"));
  facts.add("approval", approval_words(m, now));
  facts.add("refusal", text_of(m, "refusal"));
  facts.add("refused because of", text_of(m, "refusal").empty() ? "" : text_of(m, "refusal-reason"));
  facts.add("trouble", trouble_words(m));
  facts.add("offered services", joined(list_of(m, "offered-service")));
  facts.add("reason", text_of(m, "reason"));
  facts.add("switches filters", filter_words(m, "acl-list"));
  facts.add("filters switched there", filter_words(m, "switched-by-the-server"));
  facts.add("conflict", conflict_words(m));
  facts.add("in conflict with", joined(list_of(m, "conflict-with")));
  if (member(m, "held-back") != nullptr) facts.add("held back", "the signal is lost, but a conflict is in its way");
  facts.add("told the server", text_of(m, "attack-status"));
  const auto actual = list_of(m, "actual-prefix");
  facts.add(actual.empty() ? "targets" : "targets, requested", targets(m, 1000));
  facts.add("targets, actual", joined(actual));
  facts.add("contract", text_of(m, "contract-id"));
  facts.add("service, requested", text_of(m, "requested-service"));
  facts.add("service, used", text_of(m, "service-used"));
  if (const auto addresses = list_of(m, "addresses");
      !list_of(m, "target-fqdn").empty() || !list_of(m, "target-uri").empty())
    facts.add("addresses", joined(addresses));
  facts.add("rules", rules_words(m));
  facts.add("dropped", dropped_words(m));
  facts.add("average", drop_rate_words(m));
  facts.add("time left", lifetime_words(m));
  facts.add("ends at", time_of(m, "expires-at"));
  facts.add("started", ago(m, "mitigation-start", now));
  facts.add("accepted", ago(m, "accepted-at", now));
  if (const auto* trigger = member(m, "trigger-mitigation");
      trigger != nullptr && trigger->is_bool() && !trigger->as_bool())
    facts.add("trigger", "only when the signal is lost");
  facts.add("domain", text_of(m, "domain"));
  facts.add("client", text_of(m, "client"));
  facts.add("server", text_of(m, "server"));
  facts.add("goes to", text_of(m, "at"));
  facts.add("cuid", text_of(m, "cuid"));
  facts.add("asked by", text_of(m, "author"));
  facts.add("note", text_of(m, "note"));
  if (const auto again = number_of(m, "retry-in_s")) facts.add("tried again", "in " + duration_words(*again));
  if (const auto age = number_of(m, "news-age_s")) facts.add("last news", duration_words(*age) + " ago");
  return "Mitigation " + text_of(m, "mid") + "\n" + facts.text(2);
}

}  // namespace

std::string status_words(const std::string& status) {
  static const std::pair<const char*, const char*> kWords[] = {
      {"attack-mitigation-in-progress", "being set up"},
      {"attack-successfully-mitigated", "mitigated"},
      {"attack-stopped", "attack is over"},
      {"attack-exceeded-capability", "attack too large"},
      {"dots-client-withdrawn-mitigation", "ending"},
      {"attack-mitigation-terminated", "ended"},
      {"attack-mitigation-withdrawn", "withdrawn by server"},
      {"attack-mitigation-signal-loss", "armed"},
  };
  for (const auto& [name, words] : kWords)
    if (status == name) return words;
  return status;
}

std::string state_words(const json::value& m) {
  static const std::pair<const char*, const char*> kPhases[] = {
      {"requesting", "being asked for"}, {"waiting", "server said wait"}, {"withdrawing", "being withdrawn"}};
  const std::string phase = text_of(m, "phase");
  for (const auto& [name, words] : kPhases)
    if (phase == name) return words;
  const std::string status = text_of(m, "status");
  if (const auto* approval = member(m, "approval"); approval != nullptr && text_of(*approval, "state") == "waiting")
    return "waits for approval";
  return phase == "refused" || phase == "ended" || status.empty() ? phase : status_words(status);
}

json::array mitigations_of(const json::value& body) {
  if (const auto* list = member(body, "mitigations"); list != nullptr && list->is_array()) return list->as_array();
  if (const auto* one = member(body, "mitigation"); one != nullptr && one->is_object()) return {*one};
  if (member(body, "mid") != nullptr) return json::array{body};
  return {};
}

std::string render_list(const json::value& body, std::int64_t) {
  const json::array all = mitigations_of(body);
  if (all.empty()) return "No mitigations.\n";
  bool domains = false;
  bool rules = false;
  bool phases = false;
  for (const auto& m : all) {
    phases = phases || !text_of(m, "phase").empty();
    domains = domains || !text_of(m, "client").empty();
    rules = rules || !text_of(m, "rules").empty();
  }
  std::vector<std::string> headings = {"MID"};
  if (domains) headings.insert(headings.end(), {"DOMAIN", "CLIENT"});
  if (phases) headings.push_back("PHASE");
  headings.insert(headings.end(), {"STATUS", "LEFT", "DROPPED", "AVERAGE"});
  if (rules) headings.push_back("RULES");
  headings.push_back("TARGETS");
  Table table{headings};
  for (const auto& m : all) {
    std::vector<std::string> row = {text_of(m, "mid")};
    if (domains) row.insert(row.end(), {text_of(m, "domain"), text_of(m, "client")});
    const std::string conflict = member(m, "conflict-information") != nullptr ? ", conflict" : "";
    if (phases) row.push_back(phase_words(m));
    row.insert(row.end(), {(phases ? status_words(text_of(m, "status")) : state_words(m)) + conflict, lifetime_words(m),
                           dropped_words(m), drop_rate_words(m)});
    if (rules) row.push_back(text_of(m, "rules"));
    row.push_back(targets(m, 3));
    table.add(std::move(row));
  }
  return table.text();
}

std::string render_show(const json::value& body, std::int64_t now) {
  std::string out;
  for (const auto& m : mitigations_of(body)) out += (out.empty() ? "" : "\n") + show_one(m, now);
  return out.empty() ? "No such mitigation.\n" : out;
}

std::string render_explain(const json::value& body, std::int64_t now) {
  std::string out;
  for (const auto& rule : list_of(body, "rules")) {
    Facts facts;
    facts.add("back end", text_of(rule, "mitigator"));
    const std::string failure = text_of(rule, "failure");
    facts.add("state", text_of(rule, "state") + (failure.empty() ? "" : ": " + failure));
    facts.add("since", ago(rule, "since", now));
    facts.add("until", time_of(rule, "until"));
    const auto packets = count_of(rule, "packets");
    facts.add("dropped",
              packets ? bytes_words(count_of(rule, "bytes").value_or(0)) + ", " + short_number(*packets) + " packets"
                      : "not counted by this back end");
    for (const auto& owner : list_of(rule, "owners")) {
      std::string who = "mitigation " + text_of(owner, "mid");
      if (const auto domain = text_of(owner, "domain"); !domain.empty()) who += " of " + domain;
      if (const auto author = text_of(owner, "author"); !author.empty()) who += ", asked by " + author;
      if (const auto reason = text_of(owner, "reason"); !reason.empty()) who += ": " + reason;
      if (const auto until = number_of(owner, "until"))
        who += *until > now ? ", for " + duration_words(*until - now) + " more" : ", until " + time_words(*until);
      facts.add("wanted by", who);
    }
    out += (out.empty() ? "" : "\n") + printable(text_of(rule, "rule")) + "\n" + facts.text(2);
  }
  if (const std::string filters = render_explained_filters(body, now); !filters.empty()) {
    out += (out.empty() ? "" : "\n") + filters;
  }
  // Every rule is told above; sentences alone are what a client role, or an empty answer, has to say.
  if (out.empty())
    for (const auto& sentence : list_of(body, "sentences")) out += printable(scalar_text(&sentence)) + "\n";
  const json::array about = list_of(body, "about");
  if (!about.empty() && !out.empty()) out += "\n";
  for (const auto& sentence : about) out += printable(scalar_text(&sentence)) + "\n";
  return out.empty() ? "Nothing is blocked.\n" : out;
}

std::string render_rules(const json::value& body, std::int64_t now) {
  Table table{{"BACK END", "RULE", "DESIRED", "INSTALLED", "DIFFERENCE", "FOR", "SINCE", "UNTIL", "DROPPED"}};
  const auto yes = [](const json::value& rule, const char* name) {
    const auto* flag = member(rule, name);
    return std::string{flag != nullptr && flag->is_bool() && flag->as_bool() ? "yes" : "no"};
  };
  for (const auto& rule : list_of(body, "rules")) {
    std::string owners;
    for (const auto& owner : list_of(rule, "owners")) {
      owners += (owners.empty() ? "" : "; ") + text_of(owner, "domain") + " " + text_of(owner, "client") + " mid " +
                text_of(owner, "mid");
    }
    const std::string failure = text_of(rule, "failure");
    std::string dropped = "not counted";
    if (const auto packets = count_of(rule, "packets")) {
      dropped = bytes_words(count_of(rule, "bytes").value_or(0)) + ", " + short_number(*packets) + " packets";
    }
    table.add({text_of(rule, "mitigator"), text_of(rule, "rule"), yes(rule, "desired"), yes(rule, "installed"),
               text_of(rule, "difference") + (failure.empty() ? "" : ": " + failure), owners, ago(rule, "since", now),
               number_of(rule, "until") ? time_of(rule, "until") : "", dropped});
  }
  std::string out = list_of(body, "rules").empty() ? "No rules.\n" : table.text();
  if (const auto left = number_of(body, "left-out"); left && *left > 0) {
    out += std::to_string(*left) +
           " more are left out; narrow with a prefix, --domain or --mitigator, or raise --limit.\n";
  }
  for (const auto& one : list_of(body, "totals")) {
    out += text_of(one, "mitigator") + " (" + text_of(one, "state") + "): " + text_of(one, "desired") + " desired, " +
           text_of(one, "installed") + " installed, " + text_of(one, "differing") + " differ\n";
  }
  return out;
}

std::string render_audit(const json::value& body) {
  json::array records = list_of(body, "audit");
  if (records.empty()) records = list_of(body, "records");
  if (records.empty()) return "The audit log is empty.\n";
  Table table{{"AT", "DOMAIN", "WHO", "BY", "ACTION", "WHAT", "VERDICT", "WHY"}};
  for (const auto& r : records)
    table.add({time_of(r, "at"), text_of(r, "domain"), text_of(r, "actor"), text_of(r, "credential"),
               text_of(r, "action"), text_of(r, "subject"), text_of(r, "verdict"), text_of(r, "text")});
  return table.text();
}

std::string audit_lines(const json::value& body) {
  const json::array records = list_of(body, "audit");
  std::string out;
  for (auto it = records.rbegin(); it != records.rend(); ++it) out += json::serialize(*it) + "\n";
  return out;
}

std::string render_reload(const json::value& body) {
  const json::object* answer = body.if_object();
  const json::value* list = answer == nullptr ? nullptr : answer->if_contains("changes");
  const json::array changes = list != nullptr && list->is_array() ? list->get_array() : json::array{};
  if (changes.empty()) return "Nothing has changed.\n";
  std::string out;
  for (const json::value& change : changes) {
    const std::string before = text_of(change, "before");
    const std::string after = text_of(change, "after");
    out += text_of(change, "key") + "\n";
    if (!before.empty()) out += "  - " + before + "\n";
    if (!after.empty()) out += "  + " + after + "\n";
  }
  const json::value* applied = answer->if_contains("applied");
  const bool done = applied != nullptr && applied->is_bool() && applied->get_bool();
  return out + (done ? "Applied.\n" : "Not applied: this was a dry run.\n");
}

std::string render_done(const std::string& verb, const json::value& body, std::int64_t now) {
  std::string out;
  for (const char* name : {"message", "text"})
    if (const std::string sentence = text_of(body, name); !sentence.empty() && sentence != verb)
      out += printable(sentence) + "\n";
  const json::array all = mitigations_of(body);
  for (const auto& m : all) {
    if (out.empty()) out = "Mitigation " + text_of(m, "mid") + " " + verb + ".\n";
    if (m.as_object().size() > 1) out += "\n" + show_one(m, now);
  }
  if (out.empty()) out = "Done: " + verb + ".\n";
  return out;
}

}  // namespace dots::dotsctl
