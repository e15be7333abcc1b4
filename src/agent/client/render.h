// What operators see of a client, as JSON (docs/api.md): pure functions over views.
//
// Attributes of the protocol keep their RFC names; ours end in their unit.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <string>
#include <vector>

#include "agent/client/upstream.h"
#include "base/time.h"
#include "model/session_config.h"
#include "ports/store.h"
#include "signal/client/requests.h"

namespace dots::agent::client {

struct RedirectView {
  std::string host;
  std::string from;
  base::Duration age{};
  std::optional<base::Duration> left;  // absent: until it redirects itself, or with `mids`
  std::vector<base::Mid> mids;         // Max-Age 0: only these
  bool connected = false;
};

struct ServerView {
  std::string name;
  std::string host;
  std::string cuid;
  bool connected = false;
  bool mitigating = false;
  std::vector<SessionView> sessions;
  std::optional<base::Duration> next_attempt_in;
  std::string last_failure;
  std::size_t requests = 0;
  std::optional<RedirectView> redirect;
  model::ParameterSets config;
  std::string config_state;
  std::optional<base::Sid> sid;
  bool mitigating_config = false;  // is in force, else idle-config
};

// `connected`: there is a session with the server of this request.
boost::json::object render_request(const signal::client::RequestView& view, bool connected, base::Now now);
boost::json::object render_server(const ServerView& view);
// "sent to alt.example.net (redirected by dots.example.net)": for what is sent there.
std::string redirect_text(const RedirectView& view);
// What is asked of the server, by whom, how far it is and what comes next: one sentence.
std::string explain_request(const signal::client::RequestView& view, bool connected);

}  // namespace dots::agent::client
