#include "agent/server/render.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "agent/operators/answers.h"
#include "agent/operators/parameters.h"
#include "agent/server/render_filters.h"
#include "base/time_text.h"

namespace dots::agent::server {
namespace {

namespace json = boost::json;
using base::duration_text;
using base::utc_text;
using signal::server::MitigationView;
using signal::server::RulesReport;

const char* text_of(RulesReport::State state) {
  switch (state) {
    case RulesReport::State::installed:
      return "installed";
    case RulesReport::State::failed:
      return "failed";
    case RulesReport::State::pending:
      break;
  }
  return "pending";
}

const char* text_of(mitigation::RuleState state) {
  switch (state) {
    case mitigation::RuleState::installed:
      return "installed";
    case mitigation::RuleState::failed:
      return "failed";
    case mitigation::RuleState::taken:
      return "taken";
    case mitigation::RuleState::pending:
      break;
  }
  return "pending";
}

json::object render_approval(const ports::Approval& approval) {
  const bool waits = approval.state == ports::Approval::State::waiting;
  json::object out{{"state", waits ? "waiting" : "approved"}, {"since", base::unix_seconds(approval.since)}};
  if (!approval.why.empty()) out["why"] = approval.why;
  if (!approval.by.empty()) out["by"] = approval.by;
  if (approval.at) out["at"] = base::unix_seconds(*approval.at);
  if (!approval.note.empty()) out["note"] = approval.note;
  return out;
}

std::string approval_sentence(const ports::MitigationRecord& record, base::Now now) {
  const std::string mid = std::to_string(record.mid.value);
  return "mitigation " + mid + " of domain " + record.domain.value + ", client " + record.client.value +
         ", waits for an operator since " + base::utc_text(record.approval.since) + " (" +
         base::duration_text(now.wall - record.approval.since) + "): " + record.approval.why + "; dotsctl approve " +
         mid + ", or dotsctl refuse " + mid + " --reason TEXT";
}

// Why a mitigation that is there blocks nothing; empty for those that do.
std::string idle_sentence(const MitigationView& view, base::Now now) {
  const ports::MitigationRecord& record = view.record;
  using model::MitigationStatus;
  const bool runs = record.status != MitigationStatus::withdrawn && record.status != MitigationStatus::signal_loss &&
                    !(record.status == MitigationStatus::attack_stopped && !record.request.trigger_mitigation);
  if (runs && record.approval.state == ports::Approval::State::waiting) return approval_sentence(record, now);
  std::string text = "mitigation " + std::to_string(record.mid.value) + " of domain " + record.domain.value +
                     ", client " + record.client.value;
  if (runs && !view.conflict) return {};
  if (!record.request.trigger_mitigation && !runs) {
    text += ", waits for the loss of its client's signal";
    if (view.held_back) text = text.substr(0, text.rfind(',')) + ", could not start when its client's signal was lost";
  } else if (!runs) {
    text += ", is deactivated";
  } else {
    text += ", runs in spite of a conflict";
  }
  for (const auto& rival : view.conflict_with) text += "; it overlaps " + rival;
  if (view.conflict && view.conflict->retry_timer_s) {
    text += "; its client may ask again in " + std::to_string(*view.conflict->retry_timer_s) + " s";
  }
  if (view.remaining) text += "; kept until " + base::utc_text(now.wall + *view.remaining);
  return text;
}

const MitigationView* find(const std::vector<MitigationView>& views, const model::RuleOwner& owner) {
  const auto it = std::find_if(views.begin(), views.end(), [&](const MitigationView& view) {
    return view.record.domain == owner.domain && view.record.cuid == owner.cuid && view.record.mid == owner.mid;
  });
  return it == views.end() ? nullptr : &*it;
}

bool matches(const mitigation::RuleStory& story, const ExplainQuery& query) {
  if (query.prefix && !story.rule.match.target.overlaps(query.prefix->masked())) return false;
  if (!query.mid && query.cuid.empty()) return true;
  return std::any_of(story.owners.begin(), story.owners.end(), [&](const auto& owner) {
    return (!query.mid || owner.owner.mid == *query.mid) &&
           (query.cuid.empty() || owner.owner.cuid.value == query.cuid);
  });
}

std::string sentence(const mitigation::RuleStory& story, const BackEndView& back_end, base::Now now) {
  std::string text;
  switch (story.state) {
    case mitigation::RuleState::installed:
      text = back_end.name + " does: " + model::to_string(story.rule);
      break;
    case mitigation::RuleState::pending:
      text = back_end.name + " is about to: " + model::to_string(story.rule);
      break;
    case mitigation::RuleState::taken:
      text =
          back_end.name + " has taken: " + model::to_string(story.rule) + ", not in force yet (" + story.failure + ")";
      break;
    case mitigation::RuleState::failed:
      text = back_end.name + " could not: " + model::to_string(story.rule) + " (" + story.failure + ")";
      break;
  }
  if (!back_end.drops_really) text += ", as a rehearsal: nothing is dropped";
  if (story.installed_at) text += ", since " + utc_text(*story.installed_at);
  for (const auto& owner : story.owners) {
    text += "; for mitigation " + std::to_string(owner.owner.mid.value) + " of domain " + owner.owner.domain.value +
            ", " + owner.reason;
    text += owner.until ? ", until " + utc_text(*owner.until) + " (" + duration_text(*owner.until - now.wall) + " left)"
                        : ", without an end";
  }
  if (back_end.counts) {
    text += "; " + std::to_string(story.counters.packets) + " packets, " + std::to_string(story.counters.bytes) +
            " bytes dropped";
  } else {
    text += "; this back end cannot count";
  }
  return text;
}

}  // namespace

json::object render_mitigation(const MitigationView& view, base::Now now) {
  const ports::MitigationRecord& record = view.record;
  json::object out;
  out["domain"] = record.domain.value;
  out["client"] = record.client.value;
  out["cuid"] = record.cuid.value;
  out["mid"] = record.mid.value;
  out["status"] = model::name_of(record.status);
  add_scope(out, record.request.scope);
  json::array expanded;
  for (const auto& prefix : record.expanded) expanded.emplace_back(model::to_string(prefix));
  out["addresses"] = std::move(expanded);
  if (record.granted.indefinite()) {
    out["lifetime"] = -1;
  } else if (view.remaining) {
    out["lifetime"] = base::whole_seconds(*view.remaining);
    out["expires-at"] = base::unix_seconds(now.wall + *view.remaining);
  }
  if (!record.request.trigger_mitigation) out["trigger-mitigation"] = false;
  add_acls(out, "acl-list", record.request.acl_list);
  if (record.started_at) out["mitigation-start"] = base::unix_seconds(*record.started_at);
  out["accepted-at"] = base::unix_seconds(record.accepted_at);
  add_text(out, "contract-id", record.request.contract_id);
  add_text(out, "requested-service", record.request.requested_service);
  add_text(out, "service-used", view.service_used);
  add_prefixes(out, "actual-prefix", view.actual);
  if (const auto trouble = view.rules_why ? view.rules_why : view.not_started) {
    out["refusal-reason"] = model::name_of(*trouble);
  }
  out["rules"] = text_of(view.rules);
  if (!view.rules_reason.empty()) out["rules-reason"] = view.rules_reason;
  if (record.approval.state != ports::Approval::State::none) out["approval"] = render_approval(record.approval);
  if (view.conflict) out["conflict-information"] = render_conflict(*view.conflict);
  if (!view.conflict_with.empty()) {
    out["conflict-with"] = json::array(view.conflict_with.begin(), view.conflict_with.end());
  }
  if (view.held_back) out["held-back"] = true;
  out["observers"] = view.observers;
  out["author"] = record.author;
  add_counters(out, view.counters);
  return out;
}

json::object render_list(const std::vector<MitigationView>& views, base::Now now) {
  json::array list;
  for (const auto& view : views) list.push_back(render_mitigation(view, now));
  return {{"mitigations", std::move(list)}};
}

json::object render_status(const StatusView& status) {
  json::object out;
  out["role"] = "server";
  out["version"] = status.version;
  out["uptime_s"] = base::whole_seconds(status.uptime);
  out["listen"] = json::array(status.listen.begin(), status.listen.end());
  out["shards"] = status.shards;
  out["domains"] = status.domains;
  out["handshakes"] = json::object{{"full", status.handshakes_full}, {"resumed", status.handshakes_resumed}};
  json::array sessions;
  for (const auto& session : status.sessions) {
    json::object one;
    one["client"] = session.client ? session.client->client.value : "";
    one["domain"] = session.client ? session.client->domain.value : "";
    one["peer"] = model::to_string(session.path.peer);
    one["transport"] = model::to_string(session.path.transport);
    one["age_s"] = base::whole_seconds(session.age);
    one["state"] = !session.client ? "stranger" : session.lost ? "silent" : "active";
    one["resumed"] = session.resumed;
    const auto& parameters = session.parameters;
    if (parameters && parameters->sid) one["sid"] = parameters->sid->value;
    // What nobody negotiated is the same for all, and in the configuration.
    if (parameters && (parameters->sid || parameters->mitigating)) {
      one["session-config"] = render_parameters(parameters->sets, parameters->mitigating);
    }
    sessions.push_back(std::move(one));
  }
  out["sessions"] = std::move(sessions);
  json::object by_status;
  for (const auto& view : status.mitigations) {
    auto& count = by_status[model::name_of(view.record.status)];
    count = (count.is_int64() ? count.as_int64() : 0) + 1;
  }
  out["mitigations"] = status.mitigations.size();
  out["mitigations-by-status"] = std::move(by_status);
  json::array back_ends;
  for (const auto& back_end : status.back_ends) {
    json::object one;
    one["name"] = back_end.name;
    one["state"] = back_end.state;
    one["rules"] = back_end.stories.size();
    one["installed"] = std::count_if(back_end.stories.begin(), back_end.stories.end(),
                                     [](const auto& story) { return story.state == mitigation::RuleState::installed; });
    one["filters"] = back_end.filters.size();
    one["drops"] = back_end.drops_really;
    json::array links;
    for (const auto& link : back_end.links) {
      links.push_back({{"name", link.name}, {"up", link.up}, {"state", link.state}});
    }
    if (!links.empty()) one["links"] = std::move(links);
    back_ends.push_back(std::move(one));
  }
  out["mitigators"] = std::move(back_ends);
  out["unwell"] = json::array(status.unwell.begin(), status.unwell.end());
  return out;
}

// What touches a prefix beside rules and filters, and whether anything blocks it.
static json::array about(const model::Prefix& prefix, const std::vector<BackEndView>& back_ends,
                         const std::vector<MitigationView>& mitigations, const ExplainQuery& query,
                         const ExplainWorld& world) {
  const std::string name = model::to_string(prefix);
  const auto touches = [&](const std::vector<model::Prefix>& list) {
    return std::any_of(list.begin(), list.end(), [&](const model::Prefix& one) { return one.overlaps(prefix); });
  };
  json::array out;
  for (const policy::DomainPolicy& domain : world.domains) {
    if (touches(domain.prefixes)) out.emplace_back(name + " touches what domain " + domain.id.value + " owns");
  }
  if (!world.domains.empty() && out.empty()) out.emplace_back("no domain owns anything of " + name);
  for (const policy::SafeTarget& safe : world.safe_targets) {
    if (safe.prefix.overlaps(prefix)) {
      out.emplace_back(model::to_string(safe.prefix) + " " + safe.why + ": nothing is installed against it");
    }
  }
  for (const MitigationView& view : mitigations) {
    if (!touches(view.record.expanded)) continue;
    out.emplace_back("mitigation " + std::to_string(view.record.mid.value) + " of domain " + view.record.domain.value +
                     ", client " + view.record.client.value +
                     ", covers it: " + std::string{model::name_of(view.record.status)} + ", rules " +
                     text_of(view.rules) + (view.rules_reason.empty() ? "" : ": " + view.rules_reason));
  }
  std::size_t in_force = 0, rehearsed = 0, filters = 0;
  for (const BackEndView& back_end : back_ends) {
    for (const auto& story : back_end.stories) {
      if (!matches(story, query) || story.state != mitigation::RuleState::installed) continue;
      ++(back_end.drops_really ? in_force : rehearsed);
    }
    filters += static_cast<std::size_t>(
        std::count_if(back_end.filters.begin(), back_end.filters.end(),
                      [&](const mitigation::FilterStory& story) { return concerns(story, prefix); }));
  }
  const auto number = [](std::size_t n, const char* what) {
    return std::to_string(n) + " " + what + (n == 1 ? "" : "s");
  };
  if (in_force > 0) {
    out.emplace_back(number(in_force, "rule") + " in force for it");
  } else {
    out.emplace_back("no mitigation blocks it" +
                     (rehearsed > 0 ? ": " + number(rehearsed, "rule") + " of dry-run back ends drop nothing" : ""));
  }
  out.emplace_back(filters > 0 ? number(filters, "list") + " of filters may touch it" : "no filter touches it");
  if (in_force == 0 && filters == 0) out.emplace_back("nothing blocks " + name);
  return out;
}

json::object render_explain(const std::vector<BackEndView>& back_ends, const std::vector<MitigationView>& mitigations,
                            const ExplainQuery& query, base::Now now, const ExplainWorld& world) {
  json::array rules;
  json::array sentences;
  for (const auto& back_end : back_ends) {
    for (const auto& story : back_end.stories) {
      if (!matches(story, query)) continue;
      json::object rule;
      rule["mitigator"] = back_end.name;
      rule["rule"] = model::to_string(story.rule);
      rule["state"] = text_of(story.state);
      if (!story.failure.empty()) rule["failure"] = story.failure;
      if (story.installed_at) rule["since"] = base::unix_seconds(*story.installed_at);
      if (back_end.counts) {
        rule["packets"] = story.counters.packets;
        rule["bytes"] = story.counters.bytes;
      }
      json::array owners;
      for (const auto& owner : story.owners) {
        json::object one;
        one["domain"] = owner.owner.domain.value;
        one["cuid"] = owner.owner.cuid.value;
        one["mid"] = owner.owner.mid.value;
        one["reason"] = owner.reason;
        one["since"] = base::unix_seconds(owner.since);
        if (owner.until) one["until"] = base::unix_seconds(*owner.until);
        if (const auto* view = find(mitigations, owner.owner)) {
          one["author"] = view->record.author;
          one["status"] = model::name_of(view->record.status);
        }
        owners.push_back(std::move(one));
      }
      rule["owners"] = std::move(owners);
      rules.push_back(std::move(rule));
      sentences.emplace_back(sentence(story, back_end, now));
    }
  }
  json::array filters;
  const auto of_a_mitigation = [&](const model::FilterListKey& key) {
    return std::any_of(mitigations.begin(), mitigations.end(), [&](const MitigationView& view) {
      return view.record.mid == *query.mid && view.record.domain == key.domain && view.record.cuid == key.cuid;
    });
  };
  for (const auto& back_end : back_ends) {
    for (const auto& story : back_end.filters) {
      const bool asked = (!query.prefix || concerns(story, query.prefix->masked())) &&
                         (query.cuid.empty() || story.key.cuid.value == query.cuid) &&
                         (!query.mid || of_a_mitigation(story.key));
      if (!asked) continue;
      filters.push_back(render_filter_story(story, back_end));
      sentences.emplace_back(filter_sentence(story, back_end));
    }
  }
  for (const MitigationView& view : mitigations) {
    if (query.mid && view.record.mid != *query.mid) continue;
    if (!query.cuid.empty() && view.record.cuid.value != query.cuid) continue;
    const auto& expanded = view.record.expanded;
    if (query.prefix && std::none_of(expanded.begin(), expanded.end(), [&](const model::Prefix& prefix) {
          return prefix.overlaps(query.prefix->masked());
        })) {
      continue;
    }
    if (std::string text = idle_sentence(view, now); !text.empty()) sentences.emplace_back(std::move(text));
  }
  if (sentences.empty()) {
    sentences.emplace_back(query.mid || query.prefix || !query.cuid.empty()
                               ? "no rule matches: nothing is blocked for this"
                               : "no rule is wanted: nothing is blocked");
  }
  json::object out{{"rules", std::move(rules)}, {"filters", std::move(filters)}, {"sentences", std::move(sentences)}};
  if (query.prefix) out["about"] = about(query.prefix->masked(), back_ends, mitigations, query, world);
  return out;
}

}  // namespace dots::agent::server
