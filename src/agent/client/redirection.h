// Where a client's requests go after a redirection, and for how long (RFC 9132 4.6), pure.
//
// It judges a 5.03 with an alternate server under the client's policy, remembers what was followed, and says when it is
// over: when the TTL has ended and no attack is under way, or when the alternate cannot be reached.
//
// Ownership: one for each configured server, by the ClientAgent. Threads: none of its own. Bounds: one alternate at a
// time.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "model/redirect.h"

namespace dots::agent::client {

struct RedirectPolicy {
  enum class Follow : std::uint8_t { no, same_domain, any } follow = Follow::same_domain;
  // The administrative domain of the server: an alternate is inside when it is one of these or below one. Empty: the
  // parent of the server's name (RFC 8612 SIG-005).
  std::vector<std::string> domains;
};

// A redirection to a server that was heard within this time is a loop (RFC 9132 4.6).
inline constexpr base::Duration kLoopWindow = std::chrono::minutes{5};

class Redirection {
 public:
  Redirection(std::string provisioned_host, RedirectPolicy policy);

  struct Verdict {
    enum class Kind : std::uint8_t {
      follow,     // every request goes to the alternate
      only_this,  // Max-Age 0: the request in progress alone
      repeated,   // said already; the first one counts
      ignore,     // stay, for `reason`
    } kind = Kind::ignore;
    bool loop = false;
    std::string reason;
  };
  // `lately` tells whether a server was heard within kLoopWindow.
  Verdict judge(const model::RedirectedSignal& signal, std::uint32_t max_age_s, bool from_alternate,
                const std::function<bool(const std::string& host)>& lately, base::SteadyTime now) const;

  // `from` redirected to `host`.
  void follow(const std::string& host, const std::string& from, std::uint32_t ttl_s, base::SteadyTime now);
  void follow_only(const std::string& host, const std::string& from, base::Mid mid, base::SteadyTime now);
  // With Max-Age 0: only these mids are still wanted.
  void keep_only(const std::set<base::Mid>& living);
  void end() { place_.reset(); }

  void on_connected(bool connected, base::SteadyTime now);
  // Why it is over now; nothing while it goes on.
  std::optional<std::string> ending(bool attack, base::SteadyTime now) const;
  std::optional<base::SteadyTime> next_deadline(bool attack) const;
  // The alternate could not be used: it is not followed again for a while.
  void on_failure(const std::string& host, base::SteadyTime now);

  struct Place {
    std::string host;
    std::string from;
    base::SteadyTime since;
    std::optional<base::SteadyTime> until;          // absent: until it redirects itself, or with `only`
    std::optional<std::set<base::Mid>> only;        // absent: every request
    std::optional<base::SteadyTime> without_since;  // no session with it since then
    bool was_connected = false;
  };
  const std::optional<Place>& place() const { return place_; }
  bool all() const { return place_ && !place_->only; }
  bool covers(base::Mid mid) const { return place_ && (!place_->only || place_->only->contains(mid)); }

 private:
  bool allowed(const std::string& host) const;

  std::string provisioned_;
  RedirectPolicy policy_;
  std::optional<Place> place_;
  std::string failed_host_;
  base::SteadyTime failed_until_{};
};

}  // namespace dots::agent::client
