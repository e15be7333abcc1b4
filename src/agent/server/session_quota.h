// How many sessions a client domain may have, and whose gives way when there are more. Pure.
//
// The client of the domain that has the most loses one: first a session that never said a word, the oldest of them,
// then the one that is silent for the longest time. So a client that opens session after session crowds out its own,
// and its neighbours keep theirs. Strangers are one domain of their own, whose name is empty.
#pragma once

#include <cstddef>
#include <list>
#include <map>
#include <optional>
#include <unordered_map>

#include "base/ids.h"
#include "policy/identities.h"

namespace dots::agent::server {

class SessionQuota {
 public:
  explicit SessionQuota(std::size_t per_domain) : per_domain_(per_domain) {}

  void opened(base::SessionId session, const std::optional<policy::KnownClient>& who);
  void spoke(base::SessionId session);
  void closed(base::SessionId session);
  // The session that must go now that this one is there; it may be this one.
  std::optional<base::SessionId> too_many(base::SessionId newcomer) const;

  std::size_t per_domain() const { return per_domain_; }

 private:
  using Order = std::list<base::SessionId>;
  struct Client {
    Order mute;   // never said a word; the oldest first
    Order heard;  // the longest silent first
    std::size_t size() const { return mute.size() + heard.size(); }
  };
  struct Domain {
    std::map<base::ClientId, Client> clients;
    std::size_t sessions = 0;
  };
  using Domains = std::map<base::DomainId, Domain>;
  struct Entry {
    Domains::iterator domain;
    std::map<base::ClientId, Client>::iterator client;
    Order::iterator place;
    bool mute = true;
  };

  std::size_t per_domain_;
  Domains domains_;
  std::unordered_map<base::SessionId, Entry> entries_;
};

}  // namespace dots::agent::server
