// The commands of dotsctl. Each prints and returns its exit code (exit_code.h).
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <iosfwd>
#include <string>
#include <vector>

#include "base/result.h"
#include "dotsctl/api_client.h"
#include "dotsctl/cli.h"

namespace dots::dotsctl {

struct Streams {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
};

// status, list, show, explain, filters, audit, mitigate, withdraw, approve, refuse, reload, redirect, watch: through
// the daemon.
int run_remote(const std::string& command, const Options& options, Streams streams);
int run_watch(const Options& options, const std::string& socket, Streams streams);

// alias, filter, capabilities, apply: the data channel of a client.
bool is_data_command(const std::string& command);
int run_data(const std::string& command, const Options& options, Streams streams);

int run_decode(const Options& options, Streams streams);
int run_check_config(const Options& options, Streams streams);
int run_init(const Options& options, Streams streams);
int run_emergency(const std::string& command, const Options& options, Streams streams);
std::string messages_reference();

int run(const std::string& command, const CLI::App& app, const Options& options, Streams streams);

// "error: ...\nnext: ..." or its JSON, on err; returns `code`.
int fail(const Options& options, Streams streams, int code, const std::string& error, const std::string& next_step);

// The daemon's socket as the options say.
base::Result<std::string> socket_of(const Options& options);
// What went wrong in a reply, told; kOk when nothing did.
int check(const Options& options, Streams streams, const ApiReply& reply);

// The arguments of an operation from the command line; an Error is one of usage.
base::Result<boost::json::object> mitigate_arguments(const Options::Mitigate& mitigate);
// Filters to be activated and deactivated, as an acl-list.
boost::json::array acl_list(const std::vector<std::string>& activate, const std::vector<std::string>& deactivate,
                            bool when_mitigating = false);
base::Result<boost::json::object> explain_arguments(const std::string& text);
// `now` is in seconds since 1970; a time is so long ago, or of the calendar.
base::Result<boost::json::object> audit_arguments(const Options::Audit& audit, std::int64_t now);
base::Result<boost::json::object> rules_arguments(const Options::Rules& rules);
base::Result<boost::json::object> filters_arguments(const Options& options);
base::Result<boost::json::object> alias_from_flags(const Options::Data& data);
base::Result<boost::json::object> filter_from_flags(const Options::Data& data);
base::Result<boost::json::object> what_if_arguments(const Options::WhatIf& what_if);
base::Result<boost::json::object> redirect_arguments(const Options::Redirect& redirect);
// An address becomes its prefix; a protocol its number.
base::Result<std::string> prefix_text(const std::string& text);
base::Result<std::uint8_t> protocol_number(const std::string& text);
base::Result<std::string> port_range(const std::string& text);
// "90", "30m", "2h", "1d", "forever".
base::Result<std::int64_t> parse_lifetime(const std::string& text);

std::int64_t unix_now();
std::string render_time();  // now, for the head of a watch

}  // namespace dots::dotsctl
