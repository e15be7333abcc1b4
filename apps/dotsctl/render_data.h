// Aliases, filters and capabilities of a server as text for people. Pure; what is missing is left out.
#pragma once

#include <boost/json/value.hpp>
#include <string>

#include "data/client/entry.h"

namespace dots::dotsctl {

std::string render_entries(data::client::Kind kind, const boost::json::value& body);
std::string render_kept(const boost::json::value& body);
// A document that can be put again, with its entity-tag in front.
std::string render_entry(data::client::Kind kind, const boost::json::value& body);
std::string render_capabilities(const boost::json::value& body);
// "name: value" lines, nested objects indented.
std::string pretty(const boost::json::value& value, std::size_t indent = 0);

}  // namespace dots::dotsctl
