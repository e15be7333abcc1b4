#include "tests/sim/coverage.h"

#include <array>

namespace dots::sim {
namespace {

// A run of 10,000 seeds takes all of these; one that is never taken means that a part of the machines went untested.
constexpr std::array kExpected{
    "mitigation: none -> 1",
    "mitigation: none -> 8",
    "mitigation: 1 -> 2",
    "mitigation: 2 -> 1",
    "mitigation: 1 -> 5",
    "mitigation: 2 -> 5",
    "mitigation: 5 -> 1",
    "mitigation: 5 -> 6",
    "mitigation: 5 -> replaced",
    "mitigation: 1 -> replaced",
    "mitigation: 2 -> replaced",
    "mitigation: 8 -> replaced",
    "mitigation: 8 -> none",
    "mitigation: none -> 7",
    "mitigation: 7 -> 1",
    "mitigation: 7 -> none",
    "mitigation: 1 -> 7",
    "mitigation: 2 -> 7",
    "mitigation: 5 -> 7",
    "mitigation: 8 -> 7",
    "request at the client: none -> requesting",
    "request at the client: requesting -> active",
    "request at the client: requesting -> waiting",
    "request at the client: requesting -> withdrawing",
    "request at the client: requesting -> refused",
    "request at the client: active -> waiting",
    "request at the client: active -> withdrawing",
    "request at the client: active -> requesting",
    "request at the client: active -> ended",
    "request at the client: waiting -> active",
    "request at the client: waiting -> requesting",
    "request at the client: waiting -> withdrawing",
    "request at the client: withdrawing -> ended",
    "session at the client: OPENED",
    "session at the client: LOST",
    "session at the client: RECOVERED",
    "session at the client: CLOSED",
    "session at the client: FAILED",
    "session at the server: none -> open",
    "session at the server: open -> the peer closed the session",
    "session at the server: open -> the server stops",
    "heartbeat: both sides saw the loss",
    "redirect: told by the server",
    "redirect: followed",
    "redirect: not followed",
    "redirect: a loop",
    "redirect: over: its time is over",
    "redirect: over: the redirected requests have ended",
    "redirect: over: there is no session with ",
    "conflict: waiting",
    "configuration: agreed",
    "configuration: asking",
    "observe: notified",
    "answer: PUT 2.01",
    "answer: PUT 2.04",
    "answer: PUT 4.09",
    "answer: PUT 5.03",
    "answer: DELETE 2.02",
    "answer: GET 4.04",
    "operator's withdrawal: done",
    "operator's withdrawal: refused",
    "operator's wish: taken",
    "operator's wish: refused",
    "store of the server: committed",
    "store of the server: refused",
    "store of the server: unknown-applied",
    "store of the server: unknown-not-applied",
    "store of the server: unsettled",
    "store of the server: load-failed",
    "store of the server: crash-before-commit",
    "store of the server: crash-after-commit",
    "store of the client: committed",
    "store of the client: refused",
    "store of the client: unknown-applied",
    "store of the client: unknown-not-applied",
    "store of the client: unsettled",
    "store of the client: crash-before-commit",
    "store of the client: crash-after-commit",
    "back end: opened",
    "back end: applied",
    "back end: refused",
    "back end: died-before",
    "back end: died-after",
    "back end: down",
    "back end: unavailable",
    "back end: returned",
    "back end: changed-outside",
    "hand-over: full",
    "name: answered",
    "name: failed",
};

}  // namespace

std::vector<std::string> Coverage::missing() const {
  std::vector<std::string> out;
  for (const char* what : kExpected) {
    if (!counts_.contains(what)) out.emplace_back(what);
  }
  return out;
}

}  // namespace dots::sim
