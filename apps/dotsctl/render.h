// The daemon's JSON (docs/api.md) as text for people. Pure; what is missing is left out.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <string>

namespace dots::dotsctl {

std::string render_status(const boost::json::value& body, std::int64_t now_unix_s);
std::string render_list(const boost::json::value& body, std::int64_t now_unix_s);
// One or several mitigations at length.
std::string render_show(const boost::json::value& body, std::int64_t now_unix_s);
std::string render_explain(const boost::json::value& body, std::int64_t now_unix_s);
std::string render_rules(const boost::json::value& body, std::int64_t now);
std::string render_audit(const boost::json::value& body);
std::string audit_lines(const boost::json::value& body);  // JSON, oldest first
std::string render_reload(const boost::json::value& body);
std::string render_filters(const boost::json::value& body, std::int64_t now);
// The lists of filters in an answer of explain; empty without any.
std::string render_explained_filters(const boost::json::value& body, std::int64_t now);
std::string render_redirects(const boost::json::value& body, std::int64_t now);
std::string render_policy(const boost::json::value& body);
std::string render_what_if(const boost::json::value& body);
// What a change did: "mitigation 7 requested", with what the daemon said.
std::string render_done(const std::string& verb, const boost::json::value& body, std::int64_t now_unix_s);

// The mitigations of a body: its list, or the body itself when it is one.
boost::json::array mitigations_of(const boost::json::value& body);
// Where a mitigation is, in two words: the status at the server, or how far a client's request has come.
std::string state_words(const boost::json::value& mitigation);
// "mitigated" for "attack-successfully-mitigated"; unknown ones as they are.
std::string status_words(const std::string& status);

}  // namespace dots::dotsctl
