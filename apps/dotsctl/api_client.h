// The management API from the other side of the socket.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <chrono>
#include <string>

namespace dots::dotsctl {

struct ApiReply {
  bool reached = false;
  std::string why;        // when not reached
  std::string next_step;  // when not reached
  unsigned status = 0;
  boost::json::value body;
};

// POST /v1/<operation>; blocks for at most `patience`.
ApiReply call_api(const std::string& socket, const std::string& operation, const boost::json::object& arguments,
                  std::chrono::milliseconds patience = std::chrono::seconds{40});

}  // namespace dots::dotsctl
