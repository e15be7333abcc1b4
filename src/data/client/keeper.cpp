#include "data/client/keeper.h"

#include <algorithm>
#include <charconv>

#include "data/client/keeper_state.h"
#include "data/http.h"

namespace dots::data::client {
namespace {

constexpr base::Duration kShortestPause = std::chrono::seconds{5};
constexpr base::Duration kLongestPause = std::chrono::minutes{15};
constexpr std::int64_t kLongestRetryAfter_s = 30;
constexpr int kMostHolds = 5;
constexpr int kRemovalTries = 5;
constexpr const char* kAskAgain = "try again; 'dotsctl status' tells when the client tries by itself";

std::optional<std::int64_t> retry_after_s(const ports::HttpAnswer& answer) {
  const std::string* text = answer.headers.find("Retry-After");
  if (text == nullptr) return std::nullopt;
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), seconds);
  if (error != std::errc{} || end != text->data() + text->size() || seconds < 0) return std::nullopt;
  return seconds;
}

}  // namespace

std::string quoted(Kind kind, const std::string& name) { return std::string(word_of(kind)) + " '" + name + "'"; }

Keeper::Keeper(KeeperSettings settings) : state_(std::make_unique<State>()) { state_->settings = std::move(settings); }
Keeper::~Keeper() = default;
Keeper::Keeper(Keeper&&) noexcept = default;

const base::Cuid& Keeper::cuid() const { return state_->settings.cuid; }

void Keeper::start(const std::vector<ports::ClientDataRecord>& records, base::Now now, Effects& out) {
  State& s = *state_;
  for (const ports::ClientDataRecord& record : records) {
    if (record.server != s.settings.server) continue;
    if (record.cuid != s.settings.cuid) s.left_behind.try_emplace(record.cuid, 0);
    s.kept.insert_or_assign({record.kind, record.name}, record);
    if (record.kind == Kind::acl) s.order.push_back(record.name);
  }
  std::sort(s.order.begin(), s.order.end(), [&](const std::string& a, const std::string& b) {
    return s.kept.at({Kind::acl, a}).rank < s.kept.at({Kind::acl, b}).rank;
  });
  s.check_at = now.steady;
  s.next(now, out);
}

void Keeper::on_answer(AskId id, ports::HttpOutcome outcome, base::Now now, Effects& out) {
  State& s = *state_;
  if (s.asked != id) return;
  s.asked.reset();
  const State::OnAnswer then = std::exchange(s.on_answer, nullptr);
  if (!outcome) {
    const std::string& reason = outcome.error().reason;
    if (outcome.error().sent && s.writes && s.wish_sent) s.lost(reason, now, out);
    s.broken(reason, kAskAgain, now, out);
  } else if (!s.is_general(*outcome, now, out)) {
    then(*outcome, now, out);
  }
  s.next(now, out);
}

void Keeper::on_timer(base::Now now, Effects& out) {
  state_->expire(now, out);
  state_->next(now, out);
}

std::optional<base::SteadyTime> Keeper::next_deadline() const {
  const State& s = *state_;
  std::optional<base::SteadyTime> earliest;
  const auto consider = [&](base::SteadyTime at) {
    if (!earliest || at < *earliest) earliest = at;
  };
  for (const State::Waiting& waiting : s.wishes) {
    if (!waiting.told) consider(waiting.deadline);
  }
  if (s.asked) return earliest;
  if (!s.wishes.empty()) consider(s.hold_until);
  const base::SteadyTime due = s.chores.empty() ? s.check_at : base::SteadyTime{};
  consider(std::max({due, s.hold_until, s.retry_at.value_or(base::SteadyTime{})}));
  return earliest;
}

void Keeper::wish(WishId id, Wish wish, base::Now now, Effects& out) {
  State& s = *state_;
  State::Waiting waiting{id, std::move(wish), now.steady + s.settings.patience};
  if (s.wishes.size() >= s.settings.waiting_wishes) {
    s.tell(waiting, {Report::Outcome::unavailable, "too many operators wait for this server", "try again", {}, {}},
           out);
    return;
  }
  s.wishes.push_back(std::move(waiting));
  s.next(now, out);
}

void Keeper::set_cuid(const base::Cuid& cuid, base::Now now, Effects& out) {
  State& s = *state_;
  if (cuid == s.settings.cuid) return;
  // Only what was really ours is removed (RFC 9132 4.4.1.1).
  bool ours = s.registered;
  for (const auto& [key, record] : s.kept) ours = ours || record.cuid == s.settings.cuid;
  if (ours) s.left_behind.try_emplace(s.settings.cuid, 0);
  s.left_behind.erase(cuid);
  s.settings.cuid = cuid;
  s.registered = false;
  s.check_at = now.steady;
  // A server that refuses every cuid does not make us run through them.
  if (!s.cuid_taken) s.retry_at.reset();
  s.next(now, out);
}

bool Keeper::unwell() const { return state_->unwell; }
const std::string& Keeper::last_failure() const { return state_->last_failure; }

KeeperView Keeper::view() const {
  const State& s = *state_;
  KeeperView view;
  view.root = s.root.value_or("");
  view.registered = s.registered;
  view.unwell = s.unwell;
  view.last_failure = s.last_failure;
  if (s.unwell) view.next_attempt = s.retry_at;
  for (const auto& [key, record] : s.kept) {
    const auto problem = s.problems.find(key);
    view.kept.push_back({record, problem == s.problems.end() ? std::string{} : problem->second});
  }
  std::stable_sort(view.kept.begin(), view.kept.end(), [](const auto& a, const auto& b) {
    return std::pair{a.record.kind, a.record.rank} < std::pair{b.record.kind, b.record.rank};
  });
  return view;
}

// ---- one thing after the other --------------------------------------------------------------------------------------

void Keeper::State::next(base::Now now, Effects& out) {
  while (is_free(now)) {
    at_chore = wish_sent = false;
    if (!wishes.empty()) {
      purpose = Purpose::wish;
      prepare(now, out, [this](base::Now then, Effects& effects) { serve(then, effects); });
      continue;
    }
    if (retry_at && *retry_at > now.steady) return;
    if (chores.empty() && check_at > now.steady) return;
    retry_at.reset();
    purpose = Purpose::upkeep;
    if (chores.empty() || (check_at <= now.steady && chores_first == 0)) {
      check(now, out);
    } else {
      if (chores_first > 0) --chores_first;
      prepare(now, out, [this](base::Now then, Effects& effects) { do_chore(then, effects); });
    }
  }
}

void Keeper::State::ask(ports::HttpRequest request, base::Now /*now*/, Effects& out, OnAnswer then) {
  asked = AskId{++asks};
  on_answer = std::move(then);
  writes = request.method != "GET" && request.method != "HEAD";
  out.push_back(Ask{*asked, std::move(request)});
}

void Keeper::State::tell(Waiting& waiting, Report report, Effects& out) {
  if (!std::exchange(waiting.told, true)) out.push_back(Tell{waiting.id, std::move(report)});
}

void Keeper::State::expire(base::Now now, Effects& out) {
  for (std::size_t i = 0; i < wishes.size();) {
    Waiting& waiting = wishes[i];
    if (waiting.told || waiting.deadline > now.steady) {
      ++i;
      continue;
    }
    const bool under_way = i == 0 && purpose == Purpose::wish && asked;
    const bool unsure = under_way && writes && wish_sent;
    tell(waiting,
         {Report::Outcome::unavailable,
          unsure ? "the server has not answered so far; it is not known whether it has carried it out"
                 : "the server has not answered so far, and nothing was changed",
          unsure ? "look at what is there before you repeat it" : kAskAgain,
          {},
          {}},
         out);
    if (under_way) {
      ++i;  // its answer is still awaited
    } else {
      wishes.erase(wishes.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
}

void Keeper::State::broken(const std::string& reason, const std::string& next_step, base::Now now, Effects& out) {
  root.reset();
  offer.reset();
  registered = false;
  purpose = Purpose::none;
  holds = 0;
  last_failure = reason;
  // It may be this one alone: the next attempt begins with another.
  if (std::exchange(at_chore, false)) std::rotate(chores.begin(), chores.begin() + 1, chores.end());
  if (!unwell) out.push_back(Message{"DATA_CHANNEL_LOST", "server " + settings.server + ": " + reason});
  unwell = true;
  // Nobody waits for what the first one has just seen fail.
  for (Waiting& waiting : wishes) tell(waiting, {Report::Outcome::unavailable, reason, next_step, {}, {}}, out);
  wishes.clear();
  pause = std::clamp<base::Duration>(2 * pause, kShortestPause, kLongestPause);
  retry_at = now.steady + pause;
}

void Keeper::State::well(Effects& out) {
  pause = base::Duration::zero();
  cuid_taken = false;
  holds = 0;
  retry_at.reset();
  last_failure.clear();
  if (!std::exchange(unwell, false)) return;
  out.push_back(Message{"DATA_CHANNEL_FOUND", "server " + settings.server});
}

bool Keeper::State::is_general(const ports::HttpAnswer& answer, base::Now now, Effects& out) {
  if (answer.status == 429 || answer.status == 503) {
    const auto wait_s = retry_after_s(answer);
    if (wait_s && *wait_s <= kLongestRetryAfter_s && holds < kMostHolds) {
      // The whole step is done again; longer and longer, however short a time it names.
      hold_until = now.steady + std::chrono::seconds{std::max(*wait_s, std::int64_t{1} << holds)};
      ++holds;
      purpose = Purpose::none;
      if (!wishes.empty() && wishes.front().told) wishes.pop_front();
      return true;
    }
    broken(explain(answer), kAskAgain, now, out);
    return true;
  }
  if (answer.status >= 300 && answer.status < 400 && answer.status != 304) {
    const std::string* to = answer.headers.find("Location");
    broken("the server redirects" + (to != nullptr ? " to " + printable(*to).substr(0, 200) : std::string{}) +
               ", and redirects of the data channel are not followed",
           "set host, port and addresses of [upstream.data_channel] to where it really is", now, out);
    return true;
  }
  if (answer.status == 508) {
    out.push_back(Message{"DATA_CHANNEL_LOOP", "server " + settings.server + ": " + explain(answer)});
  }
  return false;
}

// ---- before anything about entries ----------------------------------------------------------------------------------

void Keeper::State::prepare(base::Now now, Effects& out, Then then) {
  if (!root) return discover(now, out, then);
  if (!offer) return look_at_capabilities(now, out, then);
  if (!left_behind.empty()) return remove_old(now, out, then);
  if (!registered) return register_client(now, out, then);
  then(now, out);
}

void Keeper::State::discover(base::Now now, Effects& out, const Then& then) {
  ports::HttpRequest request;
  request.method = "GET";
  request.target = "/.well-known/host-meta";
  request.headers.add("Accept", "application/xrd+xml");
  ask(std::move(request), now, out, [this, then](const ports::HttpAnswer& answer, base::Now at, Effects& effects) {
    if (answer.status == 200) {
      const auto found = root_of(answer.body, settings.authority);
      if (!found) {
        return broken("the host-meta document of " + settings.authority + " is of no use: " + found.error().message,
                      "ask the operator of the server for its data channel", at, effects);
      }
      root = *found;
    } else if (answer.status == 404 || answer.status == 405 || answer.status == 410) {
      root = settings.default_root;
    } else {
      return broken(explain(answer) + ", asked for its host-meta document",
                    answer.status == 401 || answer.status == 403
                        ? "ask the operator of the server whether this client is configured there"
                        : kAskAgain,
                    at, effects);
    }
    prepare(at, effects, then);
  });
}

void Keeper::State::look_at_capabilities(base::Now now, Effects& out, const Then& then) {
  ask(request_for("GET", paths().capabilities()), now, out,
      [this, then](const ports::HttpAnswer& answer, base::Now at, Effects& effects) {
        if (answer.status != 200) {
          return broken(explain(answer) + ", asked for its capabilities",
                        "ask the operator of the server for its data channel", at, effects);
        }
        auto read = read_capabilities(answer.body);
        if (!read) {
          return broken("the capabilities of the server cannot be read: " + read.error().message,
                        "ask the operator of the server for its data channel", at, effects);
        }
        offer = std::move(*read);
        offer_text = answer.body;
        prepare(at, effects, then);
      });
}

// RFC 9132 4.4.1.1: what stands under a former cuid goes before it is put under the new one.
void Keeper::State::remove_old(base::Now now, Effects& out, const Then& then) {
  const base::Cuid old = left_behind.begin()->first;
  ask(request_for("DELETE", Paths(*root, old).client()), now, out,
      [this, then, old](const ports::HttpAnswer& answer, base::Now at, Effects& effects) {
        if (answer.status >= 300 && answer.status != 404 && answer.status != 403) {
          const std::string why = explain(answer) + ", asked to remove our former cuid " + old.value;
          if (answer.status == 401 || ++left_behind.at(old) < kRemovalTries) return broken(why, kAskAgain, at, effects);
          effects.push_back(Message{"DATA_FORMER_CUID_STAYS", "server " + settings.server + ": " + why});
        }
        left_behind.erase(old);
        prepare(at, effects, then);
      });
}

void Keeper::State::register_client(base::Now now, Effects& out, const Then& then) {
  if (post_anyway) return post_registration(now, out, then);
  ask(request_for("HEAD", paths().client()), now, out,
      [this, then](const ports::HttpAnswer& answer, base::Now at, Effects& effects) {
        if (answer.status == 404) return post_registration(at, effects, then);
        if (answer.status >= 300) {
          return broken(explain(answer) + ", asked whether we are registered",
                        "ask the operator of the server whether this client is configured there", at, effects);
        }
        registered = true;
        prepare(at, effects, then);
      });
}

void Keeper::State::post_registration(base::Now now, Effects& out, const Then& then) {
  ask(with_body(request_for("POST", paths().dots_data()), registration_body(settings.cuid)), now, out,
      [this, then](const ports::HttpAnswer& answer, base::Now at, Effects& effects) {
        if (answer.status == 409 && names_quota(error_of(answer))) {
          post_anyway = false;
          return broken(explain(answer) + ", asked to register us",
                        "ask the operator of the server to remove a cuid of this client, or to allow more", at,
                        effects);
        }
        const bool known = answer.status == 409;
        if (known && !post_anyway) {
          effects.push_back(CuidTaken{settings.cuid});
          cuid_taken = true;
          return broken("the cuid " + settings.cuid.value + " belongs to another client at the server",
                        "the client takes a new one when no mitigation is active; or set upstream.cuid", at, effects);
        }
        post_anyway = false;
        if (answer.status >= 300 && !known) {
          return broken(explain(answer) + ", asked to register us",
                        "ask the operator of the server whether this client is configured there", at, effects);
        }
        registered = true;
        if (!known) {
          effects.push_back(
              Message{"DATA_CHANNEL_REGISTERED", "server " + settings.server + ", cuid " + settings.cuid.value});
          // Whatever it had of ours, it has no more.
          if (!kept.empty()) check_at = at.steady;
        }
        prepare(at, effects, then);
      });
}

}  // namespace dots::data::client
