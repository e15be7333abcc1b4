// Proven identity -> configured client of a domain (RFC 9132 4.4: the identity decides which scopes may be asked for).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "model/peer.h"
#include "policy/domain_policy.h"

namespace dots::policy {

struct KnownClient {
  base::DomainId domain;
  base::ClientId client;
  // What proved it, for the audit log: "certificate edge.example.net", "PSK edge", "raw key 9f86d081884c7d65".
  std::string credential = {};

  // Whose session it is, whatever proved it.
  friend bool operator==(const KnownClient& a, const KnownClient& b) {
    return a.domain == b.domain && a.client == b.client;
  }
};

// Immutable; shared between threads. Certificate names match exactly and case-insensitively, wildcards never.
class Identities {
 public:
  // Refuses a name, PSK identity or raw public key that two clients claim.
  static base::Result<Identities> build(const std::vector<DomainPolicy>& domains);

  // The client that the identity names, by its first name that is configured; nothing for a stranger.
  std::optional<KnownClient> find(const model::PeerIdentity& identity) const;

 private:
  std::unordered_map<std::string, KnownClient> by_certificate_name_;
  std::unordered_map<std::string, KnownClient> by_psk_identity_;
  std::unordered_map<std::string, KnownClient> by_raw_public_key_;
};

}  // namespace dots::policy
