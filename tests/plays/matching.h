// Does what came match what a play expects? JSON against JSON.
#pragma once

#include <boost/json/value.hpp>
#include <string>

namespace dots::plays {

// Empty when they match, else where they differ: "scope[0].lifetime: expected 3600, got 3599".
// In what is expected the text "*" stands for anything, "10..20" for a number from 10 to 20, and a member "..." for any
// further members.
std::string difference(const boost::json::value& expected, const boost::json::value& got,
                       const std::string& where = {});

}  // namespace dots::plays
