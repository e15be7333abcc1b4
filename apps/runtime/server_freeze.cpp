// The global stop: while it is on, back ends install nothing new and remove nothing. It survives a restart.
#include <algorithm>
#include <chrono>
#include <utility>

#include "adapters/net/event_loop.h"
#include "adapters/store/operator_mark.h"
#include "agent/operators/answers.h"
#include "apps/runtime/server_state.h"
#include "base/time_text.h"

namespace dots::runtime {

using adapters::store::Mark;
using adapters::store::OperatorMark;
using agent::call_failed;
using agent::call_ok;
using agent::CallAnswer;

namespace {

constexpr auto kFreezeTakes = std::chrono::seconds{5};  // an operator waits

std::string text_of(const OperatorMark& mark) {
  return "by " + mark.author + " at " + base::utc_text(mark.at) + (mark.note.empty() ? "" : ": " + mark.note);
}

}  // namespace

base::Result<bool> ServerRuntime::State::read_freeze() {
  auto mark = adapters::store::read_mark(config.store.state_dir, Mark::freeze);
  if (!mark) return mark.error();
  if (!mark->has_value()) return false;
  sink.message("FROZEN", text_of(**mark));
  sink.health("FROZEN", "", true, text_of(**mark));
  return true;
}

// What an answer has to add: which back ends are still at something that began before.
std::string ServerRuntime::State::await_frozen() const {
  const base::SteadyTime until = adapters::net::clock_now().steady + kFreezeTakes;
  std::string late;
  for (const auto& runner : runners) {
    const base::Duration left = std::max(base::Duration::zero(), until - adapters::net::clock_now().steady);
    if (!runner->await_freeze(left)) late += (late.empty() ? " '" : ", '") + runner->planned().name + "'";
  }
  if (late.empty()) return {};
  return "; except for a change that was under way and has not ended at" + late +
         ": it is carried out or fails within the time-out of the back end, and is the last one";
}

void ServerRuntime::State::freeze(const std::string& reason, const agent::Caller& caller, Done done) {
  // Stored first, then in force, then answered: a freeze must survive a restart.
  const bool taken = housekeeper.post([=, this] {
    const base::WallTime now = adapters::net::clock_now().wall;
    const OperatorMark mark{base::from_unix_seconds(base::unix_seconds(now)), caller.name, reason};
    if (const auto stored = adapters::store::write_mark(config.store.state_dir, Mark::freeze, mark); !stored) {
      return done(call_failed(CallAnswer::Outcome::unavailable, "it could not be stored: " + stored.error().message,
                              "look at the state directory, then ask again"));
    }
    for (auto& runner : runners) runner->freeze(true);
    const std::string late = await_frozen();
    sink.message("FROZEN", text_of(mark) + late);
    sink.health("FROZEN", "", true, text_of(mark) + late);
    audit_line(caller, "freeze", "", reason + late, [done, late] {
      done(call_ok(boost::json::object{{"text", "frozen: nothing is installed and nothing removed" + late}}));
    });
  });
  if (!taken) done(call_failed(CallAnswer::Outcome::unavailable, "too many orders wait", "try again"));
}

void ServerRuntime::State::unfreeze(const agent::Caller& caller, Done done) {
  const bool taken = housekeeper.post([=, this] {
    const auto cleared = adapters::store::clear_mark(config.store.state_dir, Mark::freeze);
    if (!cleared) {
      return done(call_failed(CallAnswer::Outcome::unavailable, cleared.error().message,
                              "remove the file 'freeze' in the state directory, then ask again"));
    }
    for (auto& runner : runners) runner->freeze(false);
    if (!*cleared) return done(call_failed(CallAnswer::Outcome::conflict, "nothing is frozen"));
    sink.message("UNFROZEN", "by " + caller.name);
    sink.health("FROZEN", "", false, "");
    audit_line(caller, "unfreeze", "", "", [done] {
      done(call_ok(boost::json::object{{"text", "what is wanted is installed again, and what is not is removed"}}));
    });
  });
  if (!taken) done(call_failed(CallAnswer::Outcome::unavailable, "too many orders wait", "try again"));
}

}  // namespace dots::runtime
