#include "agent/client/render.h"

#include "agent/operators/answers.h"
#include "agent/operators/parameters.h"
#include "signal/client/scope_check.h"

namespace dots::agent::client {

namespace json = boost::json;
using signal::client::Phase;
using signal::client::RequestView;

namespace {

std::string status_text(model::MitigationStatus status) {
  const std::string_view name = model::name_of(status);
  return name == "unknown" ? "status " + std::to_string(static_cast<int>(status)) : std::string(name);
}

}  // namespace

// What the next step of a request depends on; empty when nothing is under way.
static std::string_view waits_for(Phase phase, bool connected) {
  switch (phase) {
    case Phase::requesting:
    case Phase::withdrawing:
      return connected ? "an answer of the server" : "a session with the server";
    case Phase::waiting:
      return "the time that the server asked for";
    case Phase::active:
    case Phase::refused:
    case Phase::ended:
      break;
  }
  return {};
}

json::object render_request(const RequestView& view, bool connected, base::Now now) {
  const ports::ClientRequestRecord& record = view.record;
  json::object out;
  out["server"] = record.server;
  out["cuid"] = record.cuid.value;
  out["mid"] = record.mid.value;
  out["phase"] = signal::client::name_of(view.phase);
  if (const auto what = waits_for(view.phase, connected); !what.empty()) out["waits-for"] = what;
  if (view.status) out["status"] = status_text(*view.status);
  add_scope(out, record.request.scope);
  if (record.granted && record.granted->indefinite()) {
    out["lifetime"] = -1;
  } else if (view.remaining) {
    out["lifetime"] = base::whole_seconds(*view.remaining);
    out["expires-at"] = base::unix_seconds(now.wall + *view.remaining);
  }
  if (record.request.lifetime) out["requested-lifetime"] = record.request.lifetime->seconds;
  if (!record.request.trigger_mitigation) out["trigger-mitigation"] = false;
  add_acls(out, "acl-list", record.request.acl_list);
  add_acls(out, "switched-by-the-server", view.switched);
  if (view.mitigation_start_s) out["mitigation-start"] = *view.mitigation_start_s;
  if (record.granted_at) out["accepted-at"] = base::unix_seconds(*record.granted_at);
  if (view.refreshing) out["refreshing"] = true;
  if (view.retry_in) out["retry-in_s"] = base::whole_seconds(*view.retry_in);
  if (view.news_age) out["news-age_s"] = base::whole_seconds(*view.news_age);
  if (view.conflict) out["conflict-information"] = render_conflict(*view.conflict);
  add_text(out, "contract-id", record.request.contract_id);
  add_text(out, "requested-service", record.request.requested_service);
  add_text(out, "service-used", view.service_used);
  add_prefixes(out, "actual-prefix", view.actual_prefix);
  if (view.refusal_reason) out["refusal-reason"] = model::name_of(*view.refusal_reason);
  if (!view.failure.empty()) out["failure"] = view.failure;
  if (!view.offered_service.empty()) {
    out["offered-service"] = json::array(view.offered_service.begin(), view.offered_service.end());
  }
  if (view.attack_status) out["attack-status"] = model::name_of(*view.attack_status);
  if (!view.reason.empty()) out[view.phase == Phase::refused ? "refusal" : "reason"] = view.reason;
  out["author"] = record.author;
  if (!record.note.empty()) out["note"] = record.note;
  add_counters(out, view.counters);
  return out;
}

std::string redirect_text(const RedirectView& view) {
  std::string text = view.host + " (redirected by " + view.from;
  if (view.left) text += ", for another " + std::to_string(base::whole_seconds(*view.left)) + " s";
  if (!view.left && view.mids.empty()) text += ", until it redirects itself";
  return text + (view.connected ? ")" : "; no session with it yet)");
}

json::object render_server(const ServerView& view) {
  json::object out;
  out["name"] = view.name;
  out["host"] = view.host;
  out["cuid"] = view.cuid;
  out["state"] = view.connected ? "connected" : view.sessions.empty() ? "disconnected" : "connecting";
  for (const SessionView& session : view.sessions) {
    if (!view.connected && session.state == "lost") out["state"] = "no answer";
  }
  out["requests"] = view.requests;
  out["mitigating"] = view.mitigating;
  out["configuration"] = view.config_state;
  if (view.sid) out["sid"] = view.sid->value;
  out["session-config"] = render_parameters(view.config, view.mitigating_config);
  json::array sessions;
  for (const SessionView& session : view.sessions) {
    json::object one;
    one["server"] = model::to_string(session.way.server);
    one["transport"] = model::to_string(session.way.transport);
    if (!session.why.empty()) one["because"] = session.why;
    one["state"] = session.state;
    one["age_s"] = base::whole_seconds(session.age);
    one["resumed"] = session.resumed;
    one["missed-heartbeats"] = session.missed_heartbeats;
    one["waiting"] = session.waiting;
    if (session.round_trip) {
      one["round-trip_ms"] = std::chrono::duration_cast<std::chrono::milliseconds>(*session.round_trip).count();
    }
    sessions.push_back(std::move(one));
  }
  out["sessions"] = std::move(sessions);
  if (view.next_attempt_in) out["next-attempt-in_s"] = base::whole_seconds(*view.next_attempt_in);
  if (view.redirect) {
    json::object redirect{{"alt-server", view.redirect->host},
                          {"from", view.redirect->from},
                          {"age_s", base::whole_seconds(view.redirect->age)},
                          {"connected", view.redirect->connected}};
    if (view.redirect->left) redirect["left_s"] = base::whole_seconds(*view.redirect->left);
    if (!view.redirect->mids.empty()) {
      json::array mids;
      for (const base::Mid mid : view.redirect->mids) mids.push_back(mid.value);
      redirect["mids"] = std::move(mids);
    }
    out["redirect"] = std::move(redirect);
    out["requests-go-to"] = redirect_text(*view.redirect);
  }
  if (!view.last_failure.empty()) out["last-failure"] = view.last_failure;
  return out;
}

std::string explain_request(const RequestView& view, bool connected) {
  const ports::ClientRequestRecord& record = view.record;
  std::string text = "mid " + std::to_string(record.mid.value) + " asks " + record.server + " to " +
                     (record.request.trigger_mitigation ? "protect " : "protect, when the signal is lost, ") +
                     signal::client::describe(record.request.scope) + ", wanted by " + record.author;
  if (!record.note.empty()) text += " (" + record.note + ")";
  switch (view.phase) {
    case Phase::requesting:
      text += connected ? "; it is being sent until the server answers" : "; it waits for a session with the server";
      break;
    case Phase::active:
      text += "; the server has accepted it";
      if (view.status) text += " and says: " + status_text(*view.status);
      if (view.service_used) text += "; with the service " + *view.service_used;
      if (!view.actual_prefix.empty()) {
        text += "; what is really mitigated:";
        for (const model::Prefix& prefix : view.actual_prefix) text += " " + model::to_string(prefix);
      }
      if (view.refusal_reason) {
        text += "; it has trouble (" + std::string(model::name_of(*view.refusal_reason)) + ")";
        if (!view.failure.empty()) text += ": " + view.failure;
      }
      if (view.remaining) {
        text += "; " + std::to_string(base::whole_seconds(*view.remaining)) + " s are left, refreshed before they end";
      }
      break;
    case Phase::waiting:
      text += "; the server asked to wait";
      if (view.retry_in) text += ", again in " + std::to_string(base::whole_seconds(*view.retry_in)) + " s";
      break;
    case Phase::withdrawing:
      text += connected ? "; it is being withdrawn" : "; it is being withdrawn as soon as there is a session";
      break;
    case Phase::refused:
      text += "; the server refused it";
      break;
    case Phase::ended:
      text += "; it has ended";
      break;
  }
  if (!view.reason.empty()) text += ": " + view.reason;
  return text;
}

}  // namespace dots::agent::client
