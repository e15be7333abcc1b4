// Arguments of operator calls to the server, taken apart (docs/api.md).
#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>

#include "agent/control.h"
#include "agent/server/render.h"
#include "base/result.h"
#include "ports/store.h"

namespace dots::runtime {

// The members that an operation knows; an unknown or ill-typed one is an error that names it.
struct ServerArguments {
  agent::server::ExplainQuery query;  // mid, cuid, prefix
  std::string domain;
  std::string note;
  std::string back_end;
  bool only_differences = false;
  ports::AuditQuery audit;  // without its domain
};
base::Result<ServerArguments> parse_arguments(const boost::json::object& arguments);

}  // namespace dots::runtime
