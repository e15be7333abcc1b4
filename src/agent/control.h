// What an operator may ask of a running agent, whatever its role: the one door for the management API.
//
// Operations and their JSON are described in docs/api.md. The agent renders its views; the api room adds the transport,
// the caller's rights and limits; dotsctl and the portal render for people.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <functional>
#include <string>

namespace dots::agent {

struct Caller {
  std::string name;        // user name, stored as author with every change
  std::uint32_t uid = 0;
  bool may_write = false;  // member of the operator group

  // For the audit log: the kernel names the user of a unix socket.
  std::string credential() const { return "user id " + std::to_string(uid); }
};

struct Call {
  std::string operation;          // "status", "list", "show", "explain", "mitigate", "withdraw", "audit"
  boost::json::object arguments;
  Caller caller;
};

struct CallAnswer {
  enum class Outcome : std::uint8_t { ok, bad_request, forbidden, not_found, conflict, unavailable } outcome = Outcome::ok;
  boost::json::value body;        // with ok
  std::string message;            // otherwise: one sentence
  std::string next_step;          // what the operator can do; may be empty
};

// Threads: call may come from any thread; `done` is called exactly once, on a thread of the agent's choice.
class Control {
 public:
  virtual ~Control() = default;
  virtual void call(Call call, std::function<void(CallAnswer)> done) = 0;
};

}  // namespace dots::agent
