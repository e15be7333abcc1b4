#include "tests/world/back_end.h"

#include <algorithm>
#include <utility>

namespace dots::world {

using mitigation::RuleState;

namespace {
constexpr std::size_t kBatch = 512;
constexpr base::Duration kRetryAfter = std::chrono::seconds{10};
constexpr base::Duration kBackOffMost = std::chrono::seconds{10};
constexpr base::Duration kGrace = std::chrono::seconds{3};
constexpr base::Duration kLookEvery = std::chrono::seconds{30};
}  // namespace

Runner::Runner(Timeline& timeline, BackEnd& back_end, const WallClock& clock, RunnerHooks hooks)
    : Machine(timeline),
      timeline_(timeline),
      back_end_(back_end),
      clock_(clock),
      hooks_(std::move(hooks)),
      open_at_(timeline.now()),
      grace_until_(timeline.now() + kGrace),
      look_at_(timeline.now() + kLookEvery) {
  reconciler_.keep_unexplained(true);
  wake_at(open_at_);
}

void Runner::want(const std::vector<mitigation::Reconciler::Want>& wants) {
  reconciler_.want(wants, now());
  round();
}

void Runner::round() {
  reconciler_.wake(now());
  if (!graced_ && timeline_.now() >= grace_until_) {
    graced_ = true;
    reconciler_.keep_unexplained(false);
  }
  if (!busy_) {
    if (!available_) {
      if (timeline_.now() >= open_at_) open();
    } else if (auto batch = reconciler_.next(kBatch); !batch.empty()) {
      apply(std::move(batch));
    } else if (timeline_.now() >= look_at_) {
      look();
    }
  }
  report();
  std::optional<base::SteadyTime> next;
  const auto consider = [&](std::optional<base::SteadyTime> at) {
    if (at && (!next || *at < *next)) next = at;
  };
  if (!graced_) consider(grace_until_);
  if (!busy_) {
    consider(available_ ? look_at_ : open_at_);
    if (available_) consider(reconciler_.next_deadline());
  }
  wake_at(next);
}

std::vector<model::Rule> Runner::listed() const {
  std::vector<model::Rule> rules;
  for (const auto& [match, one] : back_end_.rules) rules.push_back(one.rule);
  return rules;
}

void Runner::open() {
  busy_ = true;
  timeline_.after(hooks_.fate().takes, [this, alive = alive_] {
    if (!*alive) return;
    busy_ = false;
    if (back_end_.down) {
      down("it does not answer");
    } else {
      if (why_not_ != "not yet started") hooks_.happened("returned");
      reconciler_.learned(listed(), now());
      available_ = true;
      reconciler_.report_all();
      back_off_ = std::chrono::milliseconds{100};
      look_at_ = timeline_.now() + kLookEvery;
      hooks_.happened("opened");
    }
    round();
  });
}

void Runner::apply(mitigation::Reconciler::Difference batch) {
  busy_ = true;
  for (const auto& rule : batch.remove) hooks_.removing(rule);
  const CallFate fate = hooks_.fate();
  timeline_.after(fate.takes, [this, alive = alive_, fate, batch = std::move(batch)] {
    if (!*alive) return;
    busy_ = false;
    const bool dead = back_end_.down;
    const bool carried_out = !dead && fate.kind != CallFate::Kind::refused && fate.kind != CallFate::Kind::dies_before;
    if (carried_out) {
      back_end_.changes += batch.install.size() + batch.remove.size();
      for (const auto& rule : batch.install) back_end_.rules[rule.match] = {rule, {}};
      for (const auto& rule : batch.remove) back_end_.rules.erase(rule.match);
    }
    if (!dead && fate.kind == CallFate::Kind::works) {
      hooks_.happened("applied");
      strikes_ = 0;
      reconciler_.applied(batch.version, std::nullopt, now(), kRetryAfter);
    } else {
      const bool gone = dead || fate.kind != CallFate::Kind::refused;
      hooks_.happened(dead ? "down" : !gone ? "refused" : carried_out ? "died-after" : "died-before");
      if (!gone || ++strikes_ > 1) {
        reconciler_.applied(batch.version, ports::MitigatorFault{"refused by the simulation"}, now(), kRetryAfter);
      }
      if (gone) {
        down("it died");
      } else {
        strikes_ = 0;
      }
    }
    round();
  });
}

void Runner::look() {
  busy_ = true;
  timeline_.after(hooks_.fate().takes, [this, alive = alive_] {
    if (!*alive) return;
    busy_ = false;
    look_at_ = timeline_.now() + kLookEvery;
    if (back_end_.down) {
      down("it does not answer");
    } else if (!reconciler_.agrees_with(listed())) {
      hooks_.happened("changed-outside");
      reconciler_.learned(listed(), now());
    }
    round();
  });
}

void Runner::down(const std::string& reason) {
  hooks_.happened("unavailable");
  why_not_ = "unavailable: " + reason;
  reconciler_.forget_installed();
  reconciler_.report_all();
  available_ = false;
  open_at_ = timeline_.now() + back_off_;
  back_off_ = std::min(back_off_ * 2, kBackOffMost);
}

void Runner::report() {
  auto reports = reconciler_.reports();
  for (auto& one : reports) {
    if (!available_ && one.state == RuleState::pending) {
      one = {one.owner, RuleState::failed, "the back end is " + why_not_};
    }
  }
  if (!reports.empty()) hooks_.reported(reports);
}

}  // namespace dots::world
