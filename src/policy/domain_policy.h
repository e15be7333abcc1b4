// What a client domain owns and may ask for: configuration as a value, verdicts that explain themselves.
//
// RFC 9132 4.4.1.1: the server MUST check that prefixes, and addresses that names resolve to, are within the domain.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "model/ip.h"
#include "model/mitigation.h"
#include "model/refusal_reason.h"
#include "model/response_code.h"
#include "policy/prefix_tree.h"

namespace dots::policy {

// A yes or a no that carries its reason: a code and a diagnostic text for the peer, a sentence and a next step for the
// operator (ARCHITECTURE idea 6).
struct Verdict {
  bool allowed = true;
  model::ResponseCode code = model::ResponseCode::created;
  std::string diagnostic;                            // to the peer; says nothing about other domains
  std::string reason;                                // to the operator
  std::string next_step;                             // to the operator; may be empty
  std::optional<model::RefusalReason> refusal = {};  // of a no, for programs (docs/extensions.md)

  static Verdict yes() { return {}; }
  static Verdict no(model::ResponseCode code, std::string diagnostic, std::string reason, std::string next_step = {},
                    model::RefusalReason refusal = model::RefusalReason::scope) {
    return {false, code, std::move(diagnostic), std::move(reason), std::move(next_step), refusal};
  }
};

// A client identity and all its credentials: certificate names, PSK identities, raw public keys.
struct ClientPolicy {
  base::ClientId id;
  std::vector<std::string> certificate_names;     // exact, case-insensitive
  std::vector<std::string> psk_identities;        // exact
  std::uint32_t priority = 100;                   // in conflicts with other clients of the domain; the higher one wins
  std::vector<std::string> raw_public_keys = {};  // SHA-256 of the SPKI, 64 hexadecimal digits in lower case
  friend bool operator==(const ClientPolicy&, const ClientPolicy&) = default;
};

// Who wins when requests of two clients of equal priority overlap (RFC 9132 4.4.1.3, 4.4.2.1): the one that is there,
// the one that comes, neither until the conflict is resolved, or both.
enum class ConflictWinner : std::uint8_t { first, last, nobody, everybody };
enum class ConflictOutcome : std::uint8_t { holder, newcomer, neither, both };

// What happens to a scope that names neither protocol nor port (RFC 9132 leaves it to the server): it is limited, never
// silently dropped; `blackhole` is an explicit choice (ARCHITECTURE idea 4).
enum class BroadScopeAction : std::uint8_t { limit, refuse, blackhole };

// An agreement that requests can refer to by its id (docs/extensions.md). What it does not limit, the domain does.
struct ContractPolicy {
  std::string id;
  std::vector<std::string> services = {};  // that it offers; none: those of the domain
  std::uint32_t max_mitigations = 0;       // under this contract, beside the domain's own; 0: only the domain's counts
  std::uint64_t max_lifetime_s = 0;        // instead of the domain's; 0: the domain's
  friend bool operator==(const ContractPolicy&, const ContractPolicy&) = default;
};

struct DomainPolicy {
  base::DomainId id;
  std::vector<ClientPolicy> clients;
  std::vector<ContractPolicy> contracts;
  std::vector<std::string> services;  // offered by name; the first is what a request without a wish gets

  std::vector<model::Prefix> prefixes;  // owned
  std::vector<std::string> names;       // owned DNS names; "example.net" covers itself and everything below it

  std::uint32_t max_mitigations = 1000;
  std::uint32_t max_cuids_per_client = 8;
  std::uint32_t max_targets_per_request = 64;  // prefixes, names, URIs and aliases together
  std::uint64_t max_lifetime_s = 86400;        // longer ones are cut to it
  std::uint64_t default_lifetime_s = 3600;     // granted instead of -1 when indefinite is not allowed
  bool allow_indefinite = false;
  base::Duration terminating_period = std::chrono::seconds{120};  // RFC 9132 4.4.4
  base::Duration terminating_period_max = std::chrono::seconds{300};
  bool terminate_after_expiry = true;  // expiry enters the terminating period as well (RFC 8612 SIG-007)
  ConflictWinner conflict_winner = ConflictWinner::first;
  BroadScopeAction broad_scope = BroadScopeAction::limit;
  std::uint64_t broad_scope_limit_bps = 125000;  // BYTES per second
  std::uint64_t scoped_limit_bps = 0;            // 0: traffic of a scope with protocol or port is dropped
  // An entry of an accept-list that lets more than this past a running mitigation takes part in the attack (RFC 9132
  // conflict-cause 2). 0: not judged by it.
  std::uint64_t accept_list_alarm_pps = 10000;
  std::uint64_t accept_list_alarm_bps = 12'500'000;                 // BYTES per second
  base::Duration notification_interval = std::chrono::seconds{30};  // periodic status; never under 3 s
  std::uint32_t activations_per_minute = 0;                         // requests that begin to be mitigated; 0: no limit
  friend bool operator==(const DomainPolicy&, const DomainPolicy&) = default;
};

// Owns the look-up structures over one DomainPolicy. Immutable; shared between threads; a reload makes a new one.
class DomainRules {
 public:
  explicit DomainRules(DomainPolicy policy);

  const DomainPolicy& policy() const { return policy_; }
  // Is the whole prefix inside one owned prefix, and no forbidden target?
  Verdict may_target(const model::Prefix& prefix) const;
  // Is the name, or a parent of it, owned? Case and a trailing dot do not matter.
  Verdict may_name(const std::string& fqdn) const;
  // Every target of a scope, before names are resolved. Also bounds the number of targets, and refuses a scope without
  // protocol or port when the policy says BroadScopeAction::refuse. Aliases are for the caller, who knows them.
  Verdict may_request(const model::MitigationScope& scope) const;
  // The same ownership checks without those of shape and number: may an accepted request go on under this policy?
  Verdict may_keep(const model::MitigationScope& scope) const;
  // The contract that a request refers to, and the service that it wants (docs/extensions.md).
  Verdict may_use(const model::MitigationRequest& request) const;
  // Null for none, and for one that is not known any more.
  const ContractPolicy* contract(const std::optional<std::string>& id) const;
  std::vector<std::string> offered(const std::optional<std::string>& contract_id) const;
  // What the request gets: the service that it wants, else the first that is offered; nothing when none has a name.
  std::optional<std::string> service_for(const model::MitigationRequest& request) const;
  // 0: none but the domain's.
  std::uint32_t max_mitigations(const std::optional<std::string>& contract_id) const;
  // The addresses that a name gave, on acceptance and on every later resolution.
  Verdict may_resolve_to(const std::string& name, const std::vector<model::IpAddress>& addresses) const;
  // Two clients ask for overlapping targets: which request may run? `everybody` sets priorities aside.
  ConflictOutcome arbitrate(const base::ClientId& newcomer, const base::ClientId& holder) const;
  // Of a client; the default for one that is not configured any more.
  std::uint32_t priority_of(const base::ClientId& client) const;
  // The lifetime that is granted for a requested one (RFC 9132 4.4.1.1).
  model::Lifetime grant(model::Lifetime requested, const std::optional<std::string>& contract_id = {}) const;

 private:
  Verdict may_request_uri(const std::string& uri) const;

  DomainPolicy policy_;
  PrefixTree<std::uint32_t> owned_prefixes_;     // value: index in policy_.prefixes
  std::unordered_set<std::string> owned_names_;  // canonical
};

// Lower case, without a trailing dot: the form in which names are compared, looked up and remembered.
std::string canonical_name(const std::string& fqdn);
// RFC 1123 host names and the underscore; at most 253 characters in labels of at most 63; no wildcards.
bool is_domain_name(const std::string& fqdn);

// The parts of a target URI that make a scope (RFC 9132 4.4.1.1): host, protocol and port from the scheme.
struct UriTarget {
  std::string host;                         // name or address text without brackets
  std::optional<model::IpAddress> address;  // when the host is an address
  std::optional<std::uint8_t> protocol;     // 6 for http, https, ...; absent for an unknown scheme
  std::optional<std::uint16_t> port;
};
base::Result<UriTarget> parse_target_uri(const std::string& uri);

}  // namespace dots::policy
