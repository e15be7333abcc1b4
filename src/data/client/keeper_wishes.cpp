// What operators ask for.
#include <algorithm>

#include "data/client/keeper_state.h"
#include "data/printing.h"

namespace dots::data::client {
namespace {

std::string query_of(const Paths& paths, Kind kind, const Placement& placement) {
  switch (placement.where) {
    case Placement::Where::unsaid:
      return "";
    case Placement::Where::first:
      return "?insert=first";
    case Placement::Where::last:
      return "?insert=last";
    case Placement::Where::before:
      return "?insert=before&point=" + paths.point(kind, placement.point.front());
    case Placement::Where::after:
      return "?insert=after&point=" + paths.point(kind, placement.point.front());
  }
  return "";
}

const std::string& name_in(const Wish& wish) { return wish.entry ? name_of(*wish.entry) : wish.name; }

}  // namespace

void Keeper::State::serve(base::Now now, Effects& out) {
  Waiting& waiting = wishes.front();
  const Wish& wish = waiting.wish;
  using What = Wish::What;
  if (waiting.told) {  // its time ran out while we were preparing; nothing was changed
    purpose = Purpose::none;
    wishes.pop_front();
    return;
  }
  if (wish.what == What::capabilities) return finish({Report::Outcome::done, {}, {}, offer_text, {}}, now, out);
  if (wish.what == What::put) {
    if (auto good = check_offered({wish.kind, *wish.entry}, *offer); !good) {
      return finish({Report::Outcome::bad_request,
                     good.error().message + " (at " + good.error().path + "); nothing was sent",
                     "see what it offers: dotsctl capabilities",
                     {},
                     {}},
                    now, out);
    }
  }
  ports::HttpRequest request;
  switch (wish.what) {
    case What::list:
      request = request_for("GET", paths().container(wish.kind) + "?content=all");
      break;
    case What::show:
      request = request_for("GET", paths().entry(wish.kind, wish.name) + "?content=all");
      break;
    case What::put:
      request = with_body(request_for("PUT", paths().entry(wish.kind, name_of(*wish.entry)) +
                                                 query_of(paths(), wish.kind, wish.placement)),
                          entry_body(*wish.entry));
      break;
    default:
      request = request_for("DELETE", paths().entry(wish.kind, wish.name));
      break;
  }
  if (!wish.if_match.empty()) request.headers.add("If-Match", wish.if_match);
  if (wish.create_only) request.headers.add("If-None-Match", "*");
  wish_sent = true;
  ask(std::move(request), now, out,
      [this](const ports::HttpAnswer& answer, base::Now at, Effects& effects) { on_wish_answer(answer, at, effects); });
}

void Keeper::State::finish(Report report, base::Now now, Effects& out) {
  well(out);
  tell(wishes.front(), std::move(report), out);
  wishes.pop_front();
  purpose = Purpose::none;
  (void)now;
}

void Keeper::State::on_wish_answer(const ports::HttpAnswer& answer, base::Now now, Effects& out) {
  Waiting& waiting = wishes.front();
  const Wish& wish = waiting.wish;
  const bool on_entry = wish.what == Wish::What::show || wish.what == Wish::What::erase;
  const bool stranger = answer.status == 403 && error_of(answer).tag == "access-denied";
  // RFC 8783 6.1, 7.2: register, then try again.
  if ((stranger || (answer.status == 404 && !on_entry)) && !waiting.retried) {
    waiting.retried = true;
    registered = false;
    post_anyway = stranger;
    purpose = Purpose::none;
    return;
  }
  const std::string name = name_in(wish);
  const Key key{wish.kind, name};
  if (answer.status == 404 && wish.what == Wish::What::erase) {
    forget(key, out);
    return finish({Report::Outcome::not_found,
                   "the server has no " + quoted(wish.kind, name),
                   std::string("see what is there: dotsctl ") + std::string(word_of(wish.kind)) + " list",
                   {},
                   {}},
                  now, out);
  }
  if (answer.status < 200 || answer.status >= 300) return finish(refused(wish, answer), now, out);
  Report report;
  report.etag = etag_of(answer);
  report.created = answer.status == 201;
  if (wish.what == Wish::What::put) {
    keep(wish, now, out);
  } else if (wish.what == Wish::What::erase) {
    forget(key, out);
  } else {
    report.body = answer.body;
  }
  finish(std::move(report), now, out);
}

Report Keeper::State::refused(const Wish& wish, const ports::HttpAnswer& answer) const {
  const std::string word(word_of(wish.kind));
  const std::string name = name_in(wish);
  using Outcome = Report::Outcome;
  const auto report = [&](Outcome outcome, std::string message, std::string next) {
    return Report{outcome, std::move(message), std::move(next), {}, {}};
  };
  switch (answer.status) {
    case 404:
      if (wish.what == Wish::What::show) {
        return report(Outcome::not_found, "the server has no " + quoted(wish.kind, name),
                      "see what is there: dotsctl " + word + " list");
      }
      return report(Outcome::unavailable, explain(answer), "ask the operator of the server");
    case 412:
      if (wish.create_only) {
        return report(Outcome::conflict, "the server has " + quoted(wish.kind, name) + " already; nothing was changed",
                      "look at it: dotsctl " + word + " show " + name);
      }
      return report(Outcome::conflict,
                    quoted(wish.kind, name) + " was changed by somebody else meanwhile; nothing was changed",
                    "look at it again: dotsctl " + word + " show " + name);
    case 409:
      return report(Outcome::conflict, quoted(wish.kind, name) + " is refused: " + explain(answer),
                    "another client of the domain may have a contradicting filter, or a quota is used up");
    case 400:
    case 413:
    case 414:
      return report(Outcome::bad_request, quoted(wish.kind, name) + " is refused: " + explain(answer),
                    "correct it, and put it again");
    default:
      return report(Outcome::unavailable, explain(answer), "ask the operator of the server");
  }
}

void Keeper::State::keep(const Wish& wish, base::Now now, Effects& out) {
  const std::string& name = name_of(*wish.entry);
  const Key key{wish.kind, name};
  ports::ClientDataRecord& record = kept[key];
  const bool fresh = record.server.empty();
  const std::int64_t rank = record.rank;
  record = {settings.server, wish.kind, name,    settings.cuid, print_config(*wish.entry), rank,
            wish.author,     now.wall,  now.wall};
  problems.erase(key);
  doubtful.erase(key);
  if (wish.kind == Kind::acl && (fresh || wish.placement.where != Placement::Where::unsaid)) {
    std::erase(order, name);
    auto at = order.end();
    if (wish.placement.where == Placement::Where::first) at = order.begin();
    if (!wish.placement.point.empty()) {
      at = std::find(order.begin(), order.end(), wish.placement.point.front());
      if (at != order.end() && wish.placement.where == Placement::Where::after) ++at;
    }
    order.insert(at, name);
    rank_anew(out);
  }
  store(key, out);
}

void Keeper::State::lost(const std::string& reason, base::Now now, Effects& out) {
  const Wish& wish = wishes.front().wish;
  const Key key{wish.kind, name_in(wish)};
  if (wish.what == Wish::What::erase && kept.contains(key)) {
    // What is gone as it was wished must not be put there again.
    doubtful.insert(key);
    std::erase_if(chores, [&](const Chore& chore) { return chore.key == key; });
    check_at = now.steady;
  }
  tell(wishes.front(),
       {Report::Outcome::unavailable,
        reason + "; it is not known whether the server has carried it out",
        "look at what is there before you repeat it: dotsctl " + std::string(word_of(wish.kind)) + " list",
        {},
        {}},
       out);
}

void Keeper::State::forget(const Key& key, Effects& out) {
  problems.erase(key);
  doubtful.erase(key);
  if (kept.erase(key) == 0) return;
  if (key.first == Kind::acl) std::erase(order, key.second);
  std::erase_if(chores, [&](const Chore& chore) { return chore.key == key; });
  out.push_back(Persist{ports::EraseClientData{settings.server, key.first, key.second}});
}

void Keeper::State::store(const Key& key, Effects& out) { out.push_back(Persist{ports::PutClientData{kept.at(key)}}); }

void Keeper::State::rank_anew(Effects& out) {
  std::int64_t rank = 0;
  for (const std::string& name : order) {
    ports::ClientDataRecord& record = kept.at({Kind::acl, name});
    ++rank;
    if (std::exchange(record.rank, rank) != rank) store({Kind::acl, name}, out);
  }
}

}  // namespace dots::data::client
