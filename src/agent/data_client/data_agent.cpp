#include "agent/data_client/data_agent.h"

#include <algorithm>
#include <array>
#include <boost/json/parse.hpp>
#include <map>

#include "agent/data_client/arguments.h"
#include "agent/operators/answers.h"
#include "base/overload.h"

namespace dots::agent::data_client {

namespace json = boost::json;
using namespace data::client;
using Outcome = CallAnswer::Outcome;

namespace {

constexpr base::Duration kStorePause = std::chrono::seconds{10};

CallAnswer unstorable(const std::string& reason, bool sent) {
  return call_failed(
      Outcome::unavailable,
      sent ? "the server has taken the change, but it cannot be stored here, so that a restart forgets to "
             "keep it: " +
                 reason
           : "nothing can be stored at present, so nothing was sent: " + reason,
      "make room in the state directory, then ask again");
}

}  // namespace

struct DataAgent::State {
  struct Server {
    KeeperSettings settings;
    Keeper keeper;
    bool told_unwell = false;
  };
  struct Asked {
    CallTicket ticket;
    std::size_t server;
    Wish::What what;
    Kind kind;
    std::string name;
  };

  std::vector<Server> servers;
  std::map<WishId, Asked> asked;
  std::uint64_t wishes = 0;

  // Durable before visible: what is told waits for the changes before it.
  std::vector<ports::Change> gathered_changes, changes_out;
  std::vector<DataEffects::Done> gathered, held;
  bool out_there = false;
  std::optional<base::SteadyTime> store_again;
  std::string store_reason;

  void absorb(std::size_t server, Effects&& effects, DataEffects& out);
  void settle(base::Now now, DataEffects& out);
  CallAnswer answer_of(const Asked& asked, Report&& report) const;
  CallAnswer kept_answer(std::size_t server, const DataArguments& arguments, base::Now now) const;
  base::Result<std::size_t, CallAnswer> server_named(const std::string& name) const;
  template <class Step>
  void step(std::size_t server, base::Now now, DataEffects& out, Step take) {
    Effects effects;
    take(servers[server].keeper, effects);
    absorb(server, std::move(effects), out);
    settle(now, out);
  }
};

DataAgent::DataAgent(std::vector<KeeperSettings> servers) : state_(std::make_unique<State>()) {
  for (KeeperSettings& settings : servers) state_->servers.push_back({settings, Keeper(settings)});
}
DataAgent::~DataAgent() = default;

bool DataAgent::serves(std::string_view operation) {
  constexpr std::array<std::string_view, 7> all{"aliases",      "filters",       "alias-put",   "filter-put",
                                                "alias-delete", "filter-delete", "capabilities"};
  return std::find(all.begin(), all.end(), operation) != all.end();
}

void DataAgent::start(const ports::Snapshot& snapshot, base::Now now, DataEffects& out) {
  for (std::size_t i = 0; i < state_->servers.size(); ++i) {
    state_->step(i, now, out,
                 [&](Keeper& keeper, Effects& effects) { keeper.start(snapshot.client_data, now, effects); });
  }
}

void DataAgent::on_answer(std::size_t server, AskId id, ports::HttpOutcome outcome, base::Now now, DataEffects& out) {
  state_->step(server, now, out,
               [&](Keeper& keeper, Effects& effects) { keeper.on_answer(id, std::move(outcome), now, effects); });
}

void DataAgent::on_timer(base::Now now, DataEffects& out) {
  State& s = *state_;
  if (s.store_again && *s.store_again <= now.steady) s.store_again.reset();
  for (std::size_t i = 0; i < s.servers.size(); ++i) {
    s.step(i, now, out, [&](Keeper& keeper, Effects& effects) { keeper.on_timer(now, effects); });
  }
}

std::optional<base::SteadyTime> DataAgent::next_deadline() const {
  std::optional<base::SteadyTime> earliest = state_->store_again;
  for (const State::Server& server : state_->servers) {
    const auto at = server.keeper.next_deadline();
    if (at && (!earliest || *at < *earliest)) earliest = at;
  }
  return earliest;
}

void DataAgent::set_cuid(const std::string& server, const base::Cuid& cuid, base::Now now, DataEffects& out) {
  State& s = *state_;
  for (std::size_t i = 0; i < s.servers.size(); ++i) {
    if (s.servers[i].settings.server != server) continue;
    s.step(i, now, out, [&](Keeper& keeper, Effects& effects) { keeper.set_cuid(cuid, now, effects); });
  }
}

// ---- what may be seen when ------------------------------------------------------------------------------------------

void DataAgent::State::absorb(std::size_t server, Effects&& effects, DataEffects& out) {
  for (Effect& effect : effects) {
    std::visit(base::Overload{[&](Ask& ask) {
                                out.ask.push_back({server, ask.id, std::move(ask.request)});
                              },
                              [&](Tell& tell) {
                                const auto it = asked.find(tell.wish);
                                if (it == asked.end()) return;
                                // What only looked depends on nothing of ours.
                                const bool wrote =
                                    it->second.what == Wish::What::put || it->second.what == Wish::What::erase;
                                (wrote ? gathered : out.done)
                                    .push_back({it->second.ticket, answer_of(it->second, std::move(tell.report))});
                                asked.erase(it);
                              },
                              [&](Persist& persist) { gathered_changes.push_back(std::move(persist.change)); },
                              [&](Message& message) { out.messages.push_back(std::move(message)); },
                              [&](const CuidTaken& taken) {
                                out.cuid_taken.push_back({servers[server].settings.server, taken.cuid});
                              }},
               effect);
  }
}

void DataAgent::State::settle(base::Now now, DataEffects& out) {
  for (Server& server : servers) {
    if (server.told_unwell == server.keeper.unwell()) continue;
    server.told_unwell = server.keeper.unwell();
    out.health.push_back({server.settings.server, server.told_unwell, server.keeper.last_failure()});
  }
  if (out_there) return;
  if (gathered_changes.empty()) {
    std::move(gathered.begin(), gathered.end(), std::back_inserter(out.done));
    gathered.clear();
    return;
  }
  if (store_again && *store_again > now.steady) return;
  out_there = true;
  changes_out = std::exchange(gathered_changes, {});
  held = std::exchange(gathered, {});
  out.commit = changes_out;
}

void DataAgent::on_committed(const ports::CommitResult& result, base::Now now, DataEffects& out) {
  State& s = *state_;
  s.out_there = false;
  const bool good = result.outcome == ports::CommitOutcome::committed;
  for (DataEffects::Done& done : std::exchange(s.held, {})) {
    // What was refused anyway stays refused.
    if (!good && done.answer.outcome == Outcome::ok) done.answer = unstorable(result.reason, true);
    out.done.push_back(std::move(done));
  }
  if (good) {
    s.store_reason.clear();
    s.changes_out.clear();
  } else {
    out.messages.push_back({"CLIENT_STORE_REFUSED", "data channel: " + result.reason});
    s.store_reason = result.reason;
    s.store_again = now.steady + kStorePause;
    // Each change is whole by itself; newer ones come after.
    std::vector<ports::Change> all = std::exchange(s.changes_out, {});
    std::move(s.gathered_changes.begin(), s.gathered_changes.end(), std::back_inserter(all));
    s.gathered_changes = std::move(all);
    for (DataEffects::Done& done : std::exchange(s.gathered, {})) {
      if (done.answer.outcome == Outcome::ok) done.answer = unstorable(result.reason, true);
      out.done.push_back(std::move(done));
    }
  }
  s.settle(now, out);
}

// ---- operators ------------------------------------------------------------------------------------------------------

base::Result<std::size_t, CallAnswer> DataAgent::State::server_named(const std::string& name) const {
  if (name.empty()) return std::size_t{0};
  for (std::size_t i = 0; i < servers.size(); ++i) {
    if (servers[i].settings.server == name) return i;
  }
  return call_failed(Outcome::not_found, "no server '" + name + "' with a data channel is configured",
                     "see the names in 'dotsctl status', and [upstream.data_channel] in the configuration");
}

void DataAgent::handle(CallTicket ticket, const Call& call, base::Now now, DataEffects& out) {
  State& s = *state_;
  const auto refuse = [&](CallAnswer answer) {
    out.done.push_back({ticket, std::move(answer)});
  };
  auto arguments = parse_arguments(call.operation, call.arguments);
  if (!arguments) return refuse(call_failed(Outcome::bad_request, arguments.error().message));
  Wish& wish = arguments->wish;
  const bool writes = wish.what == Wish::What::put || wish.what == Wish::What::erase;
  wish.author = call.caller.name.empty() ? "uid " + std::to_string(call.caller.uid) : call.caller.name;
  if (writes && !call.caller.may_write) {
    return refuse(call_failed(Outcome::forbidden, wish.author + " may look but not change anything",
                              "ask an administrator to put this user into api.operator_group"));
  }
  const auto server = s.server_named(arguments->server);
  if (!server) return refuse(server.error());
  if (writes && !s.store_reason.empty()) return refuse(unstorable(s.store_reason, false));
  if (arguments->kept) return refuse(s.kept_answer(*server, *arguments, now));
  const WishId id{++s.wishes};
  s.asked[id] = {ticket, *server, wish.what, wish.kind, wish.entry ? name_of(*wish.entry) : wish.name};
  s.step(*server, now, out, [&](Keeper& keeper, Effects& effects) { keeper.wish(id, std::move(wish), now, effects); });
}

CallAnswer DataAgent::State::answer_of(const Asked& ask, Report&& report) const {
  const Server& server = servers[ask.server];
  switch (report.outcome) {
    case Report::Outcome::bad_request:
      return call_failed(Outcome::bad_request, report.message, report.next_step);
    case Report::Outcome::not_found:
      return call_failed(Outcome::not_found, report.message, report.next_step);
    case Report::Outcome::conflict:
      return call_failed(Outcome::conflict, report.message, report.next_step);
    case Report::Outcome::unavailable:
      return call_failed(Outcome::unavailable, "server " + server.settings.server + ": " + report.message,
                         report.next_step);
    case Report::Outcome::done:
      break;
  }
  json::object body{{"server", server.settings.server}};
  if (!report.etag.empty()) body["etag"] = report.etag;
  if (ask.what == Wish::What::put || ask.what == Wish::What::erase) {
    body["name"] = ask.name;
    body["result"] = ask.what == Wish::What::erase ? "deleted" : report.created ? "created" : "replaced";
    return call_ok(std::move(body));
  }
  json::error_code error;
  json::value said = json::parse(report.body, error);
  if (error || !said.is_object()) {
    return call_failed(Outcome::unavailable, "the answer of the server is no JSON", "ask the operator of the server");
  }
  if (ask.what == Wish::What::capabilities) {
    body["capabilities"] = said.as_object()["ietf-dots-data-channel:capabilities"];
    return call_ok(std::move(body));
  }
  // In whichever wrapper the server answers (open point A8783-01).
  const std::string list(list_of(ask.kind).name);
  const std::string module = std::string(data::kModule) + ":";
  json::value* found = said.as_object().if_contains(module + list);
  json::value* container = said.as_object().if_contains(module + std::string(container_of(ask.kind).name));
  if (found == nullptr && container != nullptr && container->is_object())
    found = container->as_object().if_contains(list);
  body["entries"] = found != nullptr && found->is_array() ? std::move(found->as_array()) : json::array{};
  json::array kept;
  for (const KeeperView::Kept& one : server.keeper.view().kept) {
    if (one.record.kind == ask.kind && (ask.name.empty() || one.record.name == ask.name))
      kept.push_back(json::value(one.record.name));
  }
  body["kept"] = std::move(kept);
  return call_ok(std::move(body));
}

CallAnswer DataAgent::State::kept_answer(std::size_t server, const DataArguments& arguments, base::Now /*now*/) const {
  const Wish& wish = arguments.wish;
  json::array entries;
  for (const KeeperView::Kept& one : servers[server].keeper.view().kept) {
    if (one.record.kind != wish.kind || (!wish.name.empty() && one.record.name != wish.name)) continue;
    json::error_code error;
    json::object row{{"name", one.record.name},
                     {"author", one.record.author},
                     {"put-at", base::unix_seconds(one.record.put_at)},
                     {"refreshed-at", base::unix_seconds(one.record.refreshed_at)},
                     {"entry", json::parse(one.record.body, error)}};
    if (!one.problem.empty()) row["problem"] = one.problem;
    entries.push_back(std::move(row));
  }
  if (!wish.name.empty() && entries.empty()) {
    return call_failed(Outcome::not_found,
                       "this client keeps no " + std::string(word_of(wish.kind)) + " '" + wish.name + "'");
  }
  return call_ok(json::object{{"server", servers[server].settings.server}, {"kept-entries", std::move(entries)}});
}

json::array DataAgent::status(base::Now now) const {
  json::array rows;
  for (const State::Server& server : state_->servers) {
    const KeeperView view = server.keeper.view();
    json::object row{{"server", server.settings.server},
                     {"at", server.settings.authority},
                     {"state", view.unwell       ? "no answer"
                               : view.registered ? "registered"
                                                 : "connecting"},
                     {"cuid", server.keeper.cuid().value}};
    if (!view.root.empty()) row["root"] = view.root;
    std::size_t aliases = 0, filters = 0;
    json::array problems;
    for (const KeeperView::Kept& one : view.kept) {
      ++(one.record.kind == Kind::alias ? aliases : filters);
      if (!one.problem.empty()) {
        problems.push_back(
            json::value(std::string(word_of(one.record.kind)) + " '" + one.record.name + "': " + one.problem));
      }
    }
    row["aliases"] = aliases;
    row["filters"] = filters;
    if (!problems.empty()) row["problems"] = std::move(problems);
    if (!view.last_failure.empty()) row["last-failure"] = view.last_failure;
    if (view.next_attempt) {
      row["next-attempt-in_s"] = std::max<std::int64_t>(0, base::whole_seconds(*view.next_attempt - now.steady));
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace dots::agent::data_client
