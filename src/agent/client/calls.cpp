// What operators may ask of a client (docs/api.md).
#include <algorithm>

#include "agent/client/client_state.h"

namespace dots::agent::client {

namespace json = boost::json;
using signal::client::Phase;
using signal::client::RequestView;
using Outcome = CallAnswer::Outcome;

static std::string author_of(const Caller& caller) {
  return caller.name.empty() ? "uid " + std::to_string(caller.uid) : caller.name;
}

void ClientAgent::handle(CallTicket ticket, const Call& call, base::Now now, ClientEffects& out) {
  state_->asking = call.caller.credential();
  state_->dispatch(ticket, call, now, out);
  state_->asking.clear();
  state_->settle(now, out);
}

void ClientAgent::State::dispatch(CallTicket ticket, const Call& call, base::Now now, ClientEffects& out) {
  const std::string& operation = call.operation;
  const bool changes =
      operation == "withdraw" || operation == "refresh" || operation == "efficacy" || operation == "filter-control";
  const bool writes = changes || operation == "mitigate";
  if (writes && !call.caller.may_write) {
    answer(ticket,
           call_failed(Outcome::forbidden, author_of(call.caller) + " may look but not change anything",
                       "ask an administrator to put this user into api.operator_group"),
           out);
    return;
  }
  if (writes && store_refused) {
    answer(ticket,
           call_failed(Outcome::unavailable, "nothing can be stored at present: " + store_reason,
                       "make room in the state directory, then ask again"),
           out);
    return;
  }
  if (operation == "mitigate") {
    mitigate(ticket, call, now, out);
    return;
  }
  const auto selection = parse_selection(call.arguments);
  if (!selection) {
    answer(ticket, call_failed(Outcome::bad_request, selection.error().message), out);
  } else if (operation == "efficacy" && !selection->attack_status) {
    answer(ticket, call_failed(Outcome::bad_request, "attack-status is missing"), out);
  } else if (operation == "filter-control" && selection->acl_list.empty()) {
    answer(ticket, call_failed(Outcome::bad_request, "acl-list is missing"), out);
  } else if (changes) {
    change(ticket, call, *selection, now, out);
  } else if (operation == "status") {
    answer(ticket, status(now), out);
  } else if (operation == "list") {
    answer(ticket, list(*selection, now), out);
  } else if (operation == "show") {
    answer(ticket, show(*selection, now), out);
  } else if (operation == "explain") {
    answer(ticket, explain(*selection, now), out);
  } else if (operation == "audit") {
    out.audit.push_back({ticket, selection->audit});
  } else {
    answer(
        ticket,
        call_failed(Outcome::bad_request, "a client has no operation '" + operation + "'",
                    "use status, list, show, explain, mitigate, withdraw, refresh, efficacy, filter-control or audit"),
        out);
  }
}

void ClientAgent::on_audit(CallTicket ticket, const base::Result<std::vector<ports::AuditRecord>>& records,
                           ClientEffects& out) {
  out.done.push_back(
      {ticket, records ? call_ok(render_audit(*records)) : call_failed(Outcome::unavailable, records.error().message)});
}

// Also what is only looked at waits for the changes before it; while the store refuses, it is told as it is.
void ClientAgent::State::answer(CallTicket ticket, CallAnswer answer, ClientEffects& out) {
  if (store_refused) {
    out.done.push_back({ticket, std::move(answer)});
  } else {
    gate.add(Visible{ClientEffects::Done{ticket, std::move(answer)}});
  }
}

base::Result<std::size_t, CallAnswer> ClientAgent::State::server_named(const std::string& name) const {
  if (servers.empty()) return call_failed(Outcome::unavailable, "no server is configured");
  if (name.empty()) return std::size_t{0};
  for (std::size_t i = 0; i < servers.size(); ++i) {
    if (servers[i].upstream.settings().name == name) return i;
  }
  return call_failed(Outcome::not_found, "no server '" + name + "' is configured", "see the names in 'dotsctl status'");
}

base::Result<std::size_t, CallAnswer> ClientAgent::State::server_of(const Selection& selection, base::Now now) const {
  if (!selection.mid) return call_failed(Outcome::bad_request, "mid is missing", "see the mids in 'dotsctl list'");
  if (!selection.server.empty()) return server_named(selection.server);
  std::optional<std::size_t> found;
  for (std::size_t i = 0; i < servers.size(); ++i) {
    if (!servers[i].requests.find(*selection.mid, now)) continue;
    if (found) {
      return call_failed(Outcome::conflict, "several servers have a request with this mid", "name the server");
    }
    found = i;
  }
  return found.value_or(0);
}

CallAnswer ClientAgent::State::status(base::Now now) const {
  json::object body;
  body["role"] = "client";
  body["version"] = settings.version;
  body["uptime_s"] = base::whole_seconds(now.steady - started_at);
  json::array views;
  std::vector<std::string> unwell;
  std::size_t requests = 0;
  for (const Server& server : servers) {
    ServerView view;
    view.name = server.upstream.settings().name;
    view.host = server.upstream.settings().host;
    view.cuid = server.requests.cuid().value;
    view.connected = server.upstream.connected() || server.active().connected();
    view.mitigating = server.requests.mitigating();
    view.sessions = server.upstream.view(now.steady);
    if (server.alternate) {
      for (SessionView& session : server.alternate->view(now.steady)) view.sessions.push_back(std::move(session));
    }
    view.redirect = redirect_view(server, now);
    view.last_failure = server.active().last_failure();
    if (const auto at = server.active().next_attempt(now.steady)) view.next_attempt_in = *at - now.steady;
    view.config = server.config.sets();
    view.config_state = std::string(name_of(server.config.phase()));
    view.sid = server.config.sid();
    view.mitigating_config = server.config.mitigating();
    for (const RequestView& request : server.requests.view(now)) {
      if (request.phase != Phase::refused && request.phase != Phase::ended) ++view.requests;
    }
    requests += view.requests;
    if (!view.connected) {
      unwell.push_back("no session with server " + view.name +
                       (view.last_failure.empty() ? "" : ": " + view.last_failure));
    }
    views.push_back(render_server(view));
  }
  if (store_refused) unwell.push_back("changes cannot be stored: " + store_reason);
  body["requests"] = requests;
  body["servers"] = std::move(views);
  body["unwell"] = json::array(unwell.begin(), unwell.end());
  return call_ok(std::move(body));
}

json::object ClientAgent::State::rendered(const Server& server, const RequestView& view, base::Now now) const {
  const bool moved = server.alternate && server.redirection.covers(view.record.mid);
  const Upstream& link = moved ? *server.alternate : server.upstream;
  json::object out = render_request(view, link.connected(), now);
  const bool living = view.phase != Phase::refused && view.phase != Phase::ended;
  if (living && moved) out["at"] = redirect_text(*redirect_view(server, now));
  return out;
}

CallAnswer ClientAgent::State::list(const Selection& selection, base::Now now) const {
  json::array all;
  for (const Server& server : servers) {
    if (!selection.server.empty() && server.upstream.settings().name != selection.server) continue;
    for (const RequestView& view : server.requests.view(now)) all.push_back(rendered(server, view, now));
  }
  return call_ok(json::object{{"mitigations", std::move(all)}});
}

CallAnswer ClientAgent::State::show(const Selection& selection, base::Now now) const {
  const auto server = server_of(selection, now);
  if (!server) return server.error();
  return request_answer(*server, *selection.mid, now);
}

CallAnswer ClientAgent::State::request_answer(std::size_t server, base::Mid mid, base::Now now) const {
  const auto view = servers[server].requests.find(mid, now);
  if (!view) {
    return call_failed(Outcome::not_found, "no request with mid " + std::to_string(mid.value),
                       "see the mids in 'dotsctl list'");
  }
  return call_ok(json::object{{"mitigation", rendered(servers[server], *view, now)}});
}

CallAnswer ClientAgent::State::explain(const Selection& selection, base::Now now) const {
  json::array sentences;
  for (const Server& server : servers) {
    for (const RequestView& view : server.requests.view(now)) {
      if (selection.mid && view.record.mid != *selection.mid) continue;
      const auto& prefixes = view.record.request.scope.target_prefix;
      if (selection.prefix && std::none_of(prefixes.begin(), prefixes.end(), [&](const model::Prefix& prefix) {
            return prefix.overlaps(*selection.prefix);
          })) {
        continue;
      }
      const bool moved = server.alternate && server.redirection.covers(view.record.mid);
      const Upstream& link = moved ? *server.alternate : server.upstream;
      std::string sentence = explain_request(view, link.connected());
      if (moved) sentence += "; it goes to " + redirect_text(*redirect_view(server, now));
      sentences.push_back(json::value(sentence));
    }
  }
  if (sentences.empty()) {
    const bool narrowed = selection.mid || selection.prefix;
    sentences.push_back(json::value(narrowed ? "nothing that matches is asked for" : "no mitigation is asked for"));
  }
  return call_ok(json::object{{"sentences", std::move(sentences)}});
}

void ClientAgent::State::mitigate(CallTicket ticket, const Call& call, base::Now now, ClientEffects& out) {
  auto arguments = parse_mitigate(call.arguments);
  if (!arguments) {
    answer(ticket, call_failed(Outcome::bad_request, arguments.error().message), out);
    return;
  }
  const auto server = server_named(arguments->server);
  if (!server) {
    answer(ticket, server.error(), out);
    return;
  }
  arguments->wanted.author = author_of(call.caller);
  keep_mids_apart(*server);
  signal::client::Effects effects;
  const auto accepted = servers[*server].requests.mitigate(arguments->wanted, now, effects);
  take(*server, std::move(effects));
  if (!accepted) {
    answer(ticket, call_failed(Outcome::bad_request, accepted.error().message), out);
    return;
  }
  conclude(ticket, *server, accepted->mid, arguments->wait, now);
}

void ClientAgent::State::change(CallTicket ticket, const Call& call, const Selection& selection, base::Now now,
                                ClientEffects& out) {
  const auto server = server_of(selection, now);
  if (!server) {
    answer(ticket, server.error(), out);
    return;
  }
  const base::Mid mid = *selection.mid;
  signal::client::Requests& requests = servers[*server].requests;
  const auto view = requests.find(mid, now);
  const bool over = !view || view->phase == Phase::refused || view->phase == Phase::ended;
  signal::client::Effects effects;
  if (over && call.operation == "withdraw" && selection.force) {
    requests.withdraw_unknown(mid, now, effects);
    take(*server, std::move(effects));
    answer(ticket,
           call_ok(json::object{
               {"mitigation", json::object{{"server", servers[*server].upstream.settings().name}, {"mid", mid.value}}},
               {"message", "DELETE is sent for mid " + std::to_string(mid.value) + ", which is none of our requests"}}),
           out);
    return;
  }
  if (!view) {
    answer(ticket,
           call_failed(Outcome::not_found, "no request with mid " + std::to_string(mid.value),
                       "see the mids in 'dotsctl list'; force withdraws what only the server knows"),
           out);
    return;
  }
  if (over) {
    answer(ticket,
           call_failed(Outcome::conflict, "mid " + std::to_string(mid.value) + " is over already: " + view->reason),
           out);
    return;
  }
  if (call.operation == "filter-control") {
    keep_mids_apart(*server);
    const auto created =
        requests.control_filters(mid, selection.acl_list, author_of(call.caller), selection.note, now, effects);
    take(*server, std::move(effects));
    if (!created) {
      answer(ticket, call_failed(Outcome::conflict, created.error().message), out);
      return;
    }
    conclude(ticket, *server, created->mid, selection.wait, now);
    return;
  }
  const auto result = call.operation == "withdraw"
                          ? requests.withdraw(mid, author_of(call.caller), selection.note, now, effects)
                      : call.operation == "efficacy"
                          ? requests.efficacy(mid, *selection.attack_status, author_of(call.caller), now, effects)
                          : requests.refresh(mid, author_of(call.caller), now, effects);
  take(*server, std::move(effects));
  if (!result) {
    answer(ticket, call_failed(Outcome::conflict, result.error().message), out);
    return;
  }
  conclude(ticket, *server, mid, selection.wait, now);
}

void ClientAgent::State::conclude(CallTicket ticket, std::size_t server, base::Mid mid, base::Duration wait,
                                  base::Now now) {
  const auto view = servers[server].requests.find(mid, now);
  const bool settled = view && view->phase == Phase::active && !view->refreshing;
  if (wait > base::Duration::zero() && !settled && waits.size() < settings.waiting_calls) {
    gate.add(Visible{Wait{ticket, server, mid, now.steady + wait}});
  } else {
    gate.add(Visible{ClientEffects::Done{ticket, request_answer(server, mid, now)}});
  }
}

}  // namespace dots::agent::client
