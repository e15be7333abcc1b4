#include "agent/client/redirection.h"

#include <utility>

#include "policy/domain_policy.h"
#include "policy/redirect_rules.h"

namespace dots::agent::client {

namespace {

// An alternate that has never answered is given up after this time, one that has fallen silent later.
constexpr base::Duration kFirstPatience = std::chrono::seconds{60};
constexpr base::Duration kLaterPatience = std::chrono::seconds{300};
constexpr base::Duration kFailurePause = std::chrono::seconds{60};

// "provider.example" of "dots.provider.example"; a name of two labels is its own domain.
std::string parent_of(const std::string& host) {
  const auto dot = host.find('.');
  if (dot == std::string::npos || host.find('.', dot + 1) == std::string::npos) return host;
  return host.substr(dot + 1);
}

}  // namespace

Redirection::Redirection(std::string provisioned_host, RedirectPolicy policy)
    : provisioned_(policy::canonical_name(provisioned_host)), policy_(std::move(policy)) {
  if (policy_.domains.empty()) policy_.domains.push_back(parent_of(provisioned_));
}

bool Redirection::allowed(const std::string& host) const {
  if (policy_.follow != RedirectPolicy::Follow::same_domain) return policy_.follow == RedirectPolicy::Follow::any;
  return policy::is_inside(host, policy_.domains);
}

Redirection::Verdict Redirection::judge(const model::RedirectedSignal& signal, std::uint32_t max_age_s,
                                        bool from_alternate, const std::function<bool(const std::string& host)>& lately,
                                        base::SteadyTime now) const {
  using Kind = Verdict::Kind;
  const std::string host = policy::canonical_name(signal.alt_server);
  if (all() && !from_alternate) return {Kind::repeated, false, {}};
  if (!policy::is_domain_name(host)) return {Kind::ignore, false, "its alternate server has no valid name"};
  const bool in_use = place_ && place_->host == host;
  if (in_use && !from_alternate) {
    // The same alternate for another request, or now for all of them: no loop.
    return {max_age_s == 0 ? Kind::only_this : Kind::follow, false, {}};
  }
  if (policy_.follow == RedirectPolicy::Follow::no) return {Kind::ignore, false, "follow_redirects is \"no\""};
  if (!allowed(host)) {
    return {Kind::ignore, false, "'" + host + "' is outside the administrative domain of the server"};
  }
  if (host == failed_host_ && now < failed_until_) {
    return {Kind::ignore, false, "no session with '" + host + "' could be kept a short while ago"};
  }
  if (lately(host)) return {Kind::ignore, true, "'" + host + "' was heard within the last 5 minutes: a loop"};
  if (max_age_s != 0) return {Kind::follow, false, {}};
  if (place_) return {Kind::ignore, false, "requests are redirected to '" + place_->host + "' already"};
  return {Kind::only_this, false, {}};
}

void Redirection::follow(const std::string& host, const std::string& from, std::uint32_t ttl_s, base::SteadyTime now) {
  place_ = Place{policy::canonical_name(host), from, now, std::nullopt, std::nullopt, now, false};
  if (ttl_s != model::kRedirectForever) place_->until = now + std::chrono::seconds{ttl_s};
}

void Redirection::follow_only(const std::string& host, const std::string& from, base::Mid mid, base::SteadyTime now) {
  if (!place_) {
    place_ = Place{policy::canonical_name(host), from, now, std::nullopt, std::set<base::Mid>{}, now, false};
  }
  if (place_->only) place_->only->insert(mid);
}

void Redirection::keep_only(const std::set<base::Mid>& living) {
  if (!place_ || !place_->only) return;
  std::erase_if(*place_->only, [&](base::Mid mid) { return !living.contains(mid); });
}

void Redirection::on_connected(bool connected, base::SteadyTime now) {
  if (!place_) return;
  if (connected) {
    place_->was_connected = true;
    place_->without_since.reset();
  } else if (!place_->without_since) {
    place_->without_since = now;
  }
}

std::optional<std::string> Redirection::ending(bool attack, base::SteadyTime now) const {
  if (!place_) return std::nullopt;
  if (place_->only && place_->only->empty()) return "the redirected requests have ended";
  if (place_->without_since &&
      now - *place_->without_since >= (place_->was_connected ? kLaterPatience : kFirstPatience)) {
    return "there is no session with '" + place_->host + "'";
  }
  // RFC 9132 4.6: at once, except when an attack is active.
  if (place_->until && *place_->until <= now && !attack) return "its time is over";
  return std::nullopt;
}

std::optional<base::SteadyTime> Redirection::next_deadline(bool attack) const {
  if (!place_) return std::nullopt;
  std::optional<base::SteadyTime> earliest;
  if (place_->until && !attack) earliest = place_->until;
  if (place_->without_since) {
    const auto at = *place_->without_since + (place_->was_connected ? kLaterPatience : kFirstPatience);
    if (!earliest || at < *earliest) earliest = at;
  }
  return earliest;
}

void Redirection::on_failure(const std::string& host, base::SteadyTime now) {
  failed_host_ = policy::canonical_name(host);
  failed_until_ = now + kFailurePause;
}

}  // namespace dots::agent::client
