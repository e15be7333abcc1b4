// `dotsctl reload` and SIGHUP: the file is read again, checked as a whole and compared with what runs; the runtime of
// the role applies all of it or nothing.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <string>
#include <vector>

#include "agent/control.h"
#include "base/result.h"
#include "ops/config.h"
#include "ops/config_changes.h"

namespace dots::runtime {

struct Reload {
  ops::Config next;
  std::vector<ops::ConfigChange> changes;
};

// Refused with every problem of the file, or with every change that needs a restart.
base::Result<Reload, agent::CallAnswer> read_reload(const ops::Config& running);

// Its credentials cannot be used.
agent::CallAnswer refused_reload(const base::Error& error);

// {"changes": [{"key", "before", "after"}], "applied": true}
boost::json::value render_reload(const Reload& reload, bool applied);
// One line for the log and the audit.
std::string reload_line(const Reload& reload);

// The argument "dry_run" of the call; anything else is refused.
base::Result<bool> parse_reload_arguments(const boost::json::object& arguments);

}  // namespace dots::runtime
