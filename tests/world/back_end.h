// A back end and the runner that keeps it (apps/runtime/mitigator_runner.h) under virtual time, with the real
// reconciler. The back end outlives the process; the runner dies with it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mitigation/reconcile.h"
#include "ports/mitigator.h"
#include "tests/world/timeline.h"

namespace dots::world {

// What is installed, outside the process.
struct BackEnd {
  std::map<model::RuleMatch, ports::InstalledRule> rules;
  bool down = false;
  std::size_t changes = 0;  // rules that were installed, replaced or removed
};

// What one call of the back end meets, and how long it takes.
struct CallFate {
  enum class Kind : std::uint8_t { works, refused, dies_before, dies_after } kind = Kind::works;
  base::Duration takes = std::chrono::milliseconds{2};
};

struct RunnerHooks {
  std::function<CallFate()> fate = [] { return CallFate{}; };
  std::function<void(const model::Rule&)> removing = [](const auto&) {};  // when it is decided
  std::function<void(const char* what)> happened = [](const char*) {};
  std::function<void(const std::vector<mitigation::OwnerReport>&)> reported = [](const auto&) {};
};

class Runner : public Timeline::Machine {
 public:
  Runner(Timeline& timeline, BackEnd& back_end, const WallClock& clock, RunnerHooks hooks);
  ~Runner() override { *alive_ = false; }

  void want(const std::vector<mitigation::Reconciler::Want>& wants);
  void on_deadline() override { round(); }
  const mitigation::Reconciler& reconciler() const { return reconciler_; }
  bool settled() const { return available_ && !busy_ && reconciler_.quiescent(); }

 private:
  void round();
  void open();
  void apply(mitigation::Reconciler::Difference batch);
  void look();
  void down(const std::string& reason);
  void report();
  std::vector<model::Rule> listed() const;
  base::Now now() const { return clock_.at(timeline_.now()); }

  Timeline& timeline_;
  BackEnd& back_end_;
  const WallClock& clock_;
  RunnerHooks hooks_;
  mitigation::Reconciler reconciler_;
  bool available_ = false;
  bool busy_ = false;
  int strikes_ = 0;
  std::string why_not_ = "not yet started";
  base::Duration back_off_ = std::chrono::milliseconds{100};
  base::SteadyTime open_at_, grace_until_, look_at_;
  bool graced_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace dots::world
