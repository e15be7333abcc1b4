// What the client does by itself: look whether the server still has what was put there, and for how long.
#include <algorithm>

#include "data/client/keeper_state.h"
#include "data/printing.h"

namespace dots::data::client {

void Keeper::State::check(base::Now now, Effects& out) {
  // The server may have lost us, or learnt something, since the last look.
  registered = false;
  offer.reset();
  look_failure.clear();
  chores_first = 0;
  prepare(now, out, [this](base::Now at, Effects& effects) {
    std::vector<Kind> kinds;
    for (const Kind kind : {Kind::alias, Kind::acl}) {
      if (std::any_of(kept.begin(), kept.end(), [&](const auto& item) { return item.first.first == kind; })) {
        kinds.push_back(kind);
      }
    }
    look(std::move(kinds), at, effects);
  });
}

void Keeper::State::look(std::vector<Kind> kinds, base::Now now, Effects& out) {
  if (kinds.empty()) {
    if (!look_failure.empty()) {
      chores_first = chores.size();
      return broken(look_failure + ", asked what it has of ours", "ask the operator of the server", now, out);
    }
    check_at = now.steady + settings.check_every;
    return end_upkeep(now, out);
  }
  const Kind kind = kinds.back();
  kinds.pop_back();
  ask(request_for("GET", paths().container(kind) + "?content=nonconfig"), now, out,
      [this, kind, kinds](const ports::HttpAnswer& answer, base::Now at, Effects& effects) {
        std::vector<Listed> there;
        // A server may say so of a container that holds nothing.
        if (answer.status != 404) {
          const auto list = answer.status == 200 ? listed(kind, answer.body)
                                                 : base::Result<std::vector<Listed>>{base::Error{explain(answer)}};
          if (!list) {
            look_failure = list.error().message;
            // The other kind is not kept waiting, unless it is we who are refused.
            return look(answer.status == 401 ? std::vector<Kind>{} : kinds, at, effects);
          }
          there = *list;
        }
        compare(kind, there, effects);
        look(kinds, at, effects);
      });
}

void Keeper::State::compare(Kind kind, const std::vector<Listed>& there, Effects& out) {
  std::map<std::string, const Listed*> by_name;
  for (const Listed& listed : there) by_name[listed.name] = &listed;
  std::erase_if(chores, [&](const Chore& chore) { return chore.key.first == kind; });
  std::vector<std::string> names;
  if (kind == Kind::acl) {
    present.clear();
    for (const Listed& listed : there) present.push_back(listed.name);
    follow_order(there, out);
    names = order;
  } else {
    for (const auto& [key, record] : kept) {
      if (key.first == kind) names.push_back(key.second);
    }
  }
  for (const std::string& name : names) {
    const auto found = by_name.find(name);
    if (const Key key{kind, name}; doubtful.erase(key) > 0) {
      const bool gone = found == by_name.end();
      out.push_back(Message{"DATA_DELETION_SETTLED", "server " + settings.server + ": " + quoted(kind, name) +
                                                         (gone ? " is gone" : " is still there, and is kept")});
      if (gone) {
        forget(key, out);
        continue;
      }
    }
    if (found == by_name.end()) {
      chores.push_back({Chore::What::restore, {kind, name}});
    } else if (found->second->pending_lifetime_min.value_or(0) <= settings.refresh_before_min) {
      chores.push_back({Chore::What::refresh, {kind, name}});
    }
  }
}

// The order at the server counts; what it has lost stays behind its neighbour.
void Keeper::State::follow_order(const std::vector<Listed>& there, Effects& out) {
  std::vector<std::string> next;
  for (const Listed& listed : there) {
    if (kept.contains({Kind::acl, listed.name})) next.push_back(listed.name);
  }
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (std::find(next.begin(), next.end(), order[i]) != next.end()) continue;
    const auto before = i == 0 ? next.end() : std::find(next.begin(), next.end(), order[i - 1]);
    next.insert(i == 0 ? next.begin() : before + 1, order[i]);
  }
  if (next == order) return;
  order = std::move(next);
  rank_anew(out);
}

void Keeper::State::end_upkeep(base::Now /*now*/, Effects& out) {
  if (look_failure.empty()) well(out);
  purpose = Purpose::none;
}

void Keeper::State::do_chore(base::Now now, Effects& out) {
  at_chore = true;
  if (chores.front().what == Chore::What::refresh) {
    refresh(now, out);
  } else {
    restore(now, out);
  }
}

// RFC 8783 6.2, 7.3: what GET gave, without the state, by PUT. As the server has it now: an activation-type that was
// switched over the signal channel stays as it is.
void Keeper::State::refresh(base::Now now, Effects& out) {
  const Key key = chores.front().key;
  ask(request_for("GET", paths().entry(key.first, key.second) + "?content=all"), now, out,
      [this, key](const ports::HttpAnswer& answer, base::Now at, Effects& effects) {
        if (answer.status == 404) {
          chores.front().what = Chore::What::restore;
          purpose = Purpose::none;
          return;
        }
        if (answer.status != 200) return chore_refused(answer, at, effects);
        const auto entry = single_entry(key.first, key.second, answer.body);
        if (!entry) return drop_chore("the server: " + entry.error().message, at, effects);
        auto request = with_body(request_for("PUT", paths().entry(key.first, key.second)), entry_body(*entry));
        if (const std::string tag = etag_of(answer); !tag.empty()) request.headers.add("If-Match", tag);
        ask(std::move(request), at, effects,
            [this, key, found = *entry](const ports::HttpAnswer& put, base::Now then, Effects& told) {
              if (put.status == 412 && !std::exchange(chores.front().again, true)) {
                purpose = Purpose::none;  // changed between the two requests: once more
                return;
              }
              if (put.status >= 300) return chore_refused(put, then, told);
              problems.erase(key);
              adopt(key, found, told);
              ports::ClientDataRecord& record = kept.at(key);
              record.cuid = settings.cuid;
              record.refreshed_at = then.wall;
              store(key, told);
              chores.pop_front();
              end_upkeep(then, told);
            });
      });
}

void Keeper::State::adopt(const Key& key, const Instance& entry, Effects& out) {
  ports::ClientDataRecord& record = kept.at(key);
  const auto was = read_entry(key.first, record.body, true);
  Instance before = was ? *was : Instance(list_of(key.first));
  Instance after = entry;
  record.body = print_config(entry);
  // A switch of the signal channel is our own doing.
  for (Instance* one : {&before, &after}) {
    std::erase_if(one->children, [](const Instance& child) { return child.is(NodeId::activation_type); });
  }
  if (canonical(before) == canonical(after)) return;
  out.push_back(Message{"DATA_ENTRY_CHANGED", "server " + settings.server + ": " + quoted(key.first, key.second)});
}

void Keeper::State::restore(base::Now now, Effects& out) {
  const Key key = chores.front().key;
  const ports::ClientDataRecord& record = kept.at(key);
  const auto entry = read_entry(key.first, record.body, true);
  if (!entry) {
    return drop_chore("as it is stored here, it cannot be read: " + entry.error().message, now, out);
  }
  std::string target = paths().entry(key.first, key.second);
  if (key.first == Kind::acl && !present.empty()) {
    // Behind the nearest one before it that is there.
    auto at = std::find(order.begin(), order.end(), key.second);
    std::string neighbour;
    while (at != order.begin() && neighbour.empty()) {
      --at;
      if (std::find(present.begin(), present.end(), *at) != present.end()) neighbour = *at;
    }
    target += neighbour.empty() ? "?insert=first" : "?insert=after&point=" + paths().point(Kind::acl, neighbour);
  }
  auto request = with_body(request_for("PUT", target), entry_body(*entry));
  request.headers.add("If-None-Match", "*");
  ask(std::move(request), now, out, [this, key](const ports::HttpAnswer& answer, base::Now at, Effects& effects) {
    if (answer.status >= 300 && answer.status != 412) return chore_refused(answer, at, effects);
    problems.erase(key);
    if (answer.status != 412) {  // else somebody was faster; the next look tells
      effects.push_back(
          Message{"DATA_ENTRY_RESTORED", "server " + settings.server + ": " + quoted(key.first, key.second)});
      ports::ClientDataRecord& restored = kept.at(key);
      restored.cuid = settings.cuid;
      restored.refreshed_at = at.wall;
      store(key, effects);
      if (key.first == Kind::acl) present.push_back(key.second);
    }
    chores.pop_front();
    end_upkeep(at, effects);
  });
}

// The others are not kept waiting by one that the server does not take; only the refusal of us ourselves is of all.
void Keeper::State::chore_refused(const ports::HttpAnswer& answer, base::Now now, Effects& out) {
  if (answer.status == 401) {
    const Key key = chores.front().key;
    return broken(explain(answer) + ", asked to keep " + quoted(key.first, key.second),
                  "ask the operator of the server", now, out);
  }
  // RFC 8783 6.1, 7.2: register, then try again.
  if (answer.status == 403 && error_of(answer).tag == "access-denied" &&
      !std::exchange(chores.front().registered, true)) {
    registered = false;
    post_anyway = true;
    purpose = Purpose::none;
    return;
  }
  drop_chore(explain(answer), now, out);
}

void Keeper::State::drop_chore(const std::string& why, base::Now now, Effects& out) {
  const Key key = chores.front().key;
  if (std::exchange(problems[key], why) != why) {
    out.push_back(
        Message{"DATA_ENTRY_REFUSED", "server " + settings.server + ": " + quoted(key.first, key.second) + ": " + why});
  }
  chores.pop_front();
  end_upkeep(now, out);
}

}  // namespace dots::data::client
