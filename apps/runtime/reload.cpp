#include "apps/runtime/reload.h"

#include <boost/json/array.hpp>
#include <utility>

#include "agent/operators/answers.h"
#include "apps/runtime/operator_calls.h"

namespace dots::runtime {

namespace {

using agent::call_failed;
using agent::CallAnswer;
constexpr std::size_t kMostInOneLine = 20;

}  // namespace

base::Result<Reload, CallAnswer> read_reload(const ops::Config& running) {
  auto next = ops::load_config(running.file);
  if (!next) {
    std::string text = "the configuration cannot be used, so nothing was changed";
    for (const auto& problem : next.error()) text += "\n" + ops::to_string(problem);
    return call_failed(CallAnswer::Outcome::bad_request, std::move(text),
                       "correct the file; dotsctl check-config " + running.file + " tells whether it is right");
  }
  Reload reload{std::move(*next), {}};
  reload.changes = ops::config_changes(running, reload.next);
  std::string fixed;
  for (const auto& change : reload.changes)
    if (!change.live) fixed += "\n" + ops::to_string(change);
  if (!fixed.empty()) {
    return call_failed(CallAnswer::Outcome::conflict,
                       "the running daemon cannot take these changes, so nothing was changed:" + fixed,
                       "restart the daemon, which keeps acknowledged mitigations, or take these changes back");
  }
  return reload;
}

CallAnswer refused_reload(const base::Error& error) {
  return call_failed(CallAnswer::Outcome::bad_request, error.message + ", so nothing was changed",
                     "correct it and ask again");
}

boost::json::value render_reload(const Reload& reload, bool applied) {
  boost::json::array changes;
  for (const auto& change : reload.changes)
    changes.push_back(boost::json::object{{"key", change.key}, {"before", change.before}, {"after", change.after}});
  return boost::json::object{{"changes", std::move(changes)}, {"applied", applied}};
}

std::string reload_line(const Reload& reload) {
  if (reload.changes.empty()) return "nothing has changed";
  std::string line;
  for (std::size_t i = 0; i < reload.changes.size() && i < kMostInOneLine; ++i)
    line += (i == 0 ? "" : "; ") + ops::to_string(reload.changes[i]);
  if (reload.changes.size() > kMostInOneLine)
    line += "; and " + std::to_string(reload.changes.size() - kMostInOneLine) + " more";
  return line;
}

base::Result<bool> parse_reload_arguments(const boost::json::object& arguments) {
  bool dry_run = false;
  for (const auto& [key, value] : arguments) {
    if (key != "dry_run" || !value.is_bool())
      return base::Error{std::string{key} + " is unknown here, or not true or false"};
    dry_run = value.as_bool();
  }
  return dry_run;
}

}  // namespace dots::runtime
