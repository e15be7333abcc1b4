// The nouns of the mitigation exchange (RFC 9132 4.4), as values. Units are last in names.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "model/filter.h"
#include "model/ip.h"
#include "model/refusal_reason.h"

namespace dots::model {

// RFC 9132 4.4.2, Table 3. Unknown codes from a peer are kept as numbers by the client.
enum class MitigationStatus : std::uint8_t {
  in_progress = 1,         // attack-mitigation-in-progress
  successfully_mitigated,  // attack-successfully-mitigated
  attack_stopped,          // attack-stopped
  exceeded_capability,     // attack-exceeded-capability
  client_withdrawn,        // dots-client-withdrawn-mitigation: active but terminating
  terminated,              // attack-mitigation-terminated
  withdrawn,               // attack-mitigation-withdrawn: by the server
  signal_loss,             // attack-mitigation-signal-loss: armed
};
enum class ConflictStatus : std::uint8_t { inactive_other_active = 1, active = 2, all_inactive = 3 };
enum class ConflictCause : std::uint8_t {
  overlapping_targets = 1,
  conflict_with_acceptlist = 2,
  cuid_collision = 3,
  rejected_legitimate_traffic = 4,  // RFC 9066
  overlapping_pipes = 5,            // RFC 9244
};
enum class AttackStatus : std::uint8_t { under_attack = 1, successfully_mitigated = 2 };

struct PortRange {
  std::uint16_t lower = 0;
  std::uint16_t upper = 0;  // equal to lower for a single port

  friend auto operator<=>(const PortRange&, const PortRange&) = default;
};

// lifetime in a request or an answer: seconds, or -1 for indefinite (RFC 9132 4.4.1.1).
struct Lifetime {
  static constexpr std::int64_t kIndefinite = -1;
  std::int64_t seconds = 3600;

  bool indefinite() const { return seconds == kIndefinite; }
  friend auto operator<=>(const Lifetime&, const Lifetime&) = default;
};

// What is to be protected. The order of the lists is the client's and is echoed (RFC 9132 4.4.2).
struct MitigationScope {
  std::vector<Prefix> target_prefix;
  std::vector<PortRange> target_port_range;
  std::vector<std::uint8_t> target_protocol;
  std::vector<std::string> target_fqdn;
  std::vector<std::string> target_uri;
  std::vector<std::string> alias_name;

  bool names_a_target() const {
    return !target_prefix.empty() || !target_fqdn.empty() || !target_uri.empty() || !alias_name.empty();
  }
  friend bool operator==(const MitigationScope&, const MitigationScope&) = default;
};

// The same scope up to order, duplicates, host bits and case of names: what "all other parameters unchanged" compares
// (RFC 9132 4.4.1.3; decision in docs/decisions).
MitigationScope normalised(const MitigationScope& scope);

// An entry of acl-list: a filter of the data channel, and when it is to be enforced (RFC 9133 3.2.1).
struct AclActivation {
  std::string acl_name;
  ActivationType type = ActivationType::activate_when_mitigating;

  friend auto operator<=>(const AclActivation&, const AclActivation&) = default;
};
// Without regard to the order: what a repetition of a request is compared by.
bool same_acls(std::vector<AclActivation> a, std::vector<AclActivation> b);

// The body of PUT mitigate (RFC 9132 4.4.1.1, Figure 6; 4.4.3 when attack_status is present).
struct MitigationRequest {
  MitigationScope scope;
  std::optional<Lifetime> lifetime;  // absent only in an efficacy update
  bool trigger_mitigation = true;
  std::optional<AttackStatus> attack_status;
  std::vector<AclActivation> acl_list;  // filter control (RFC 9133)

  // Extensions of ours (docs/extensions.md).
  bool extensions = false;                       // the client reads ours in answers
  std::optional<std::string> contract_id;        // the agreement that it refers to
  std::optional<std::string> requested_service;  // the function that it wants

  // By the flag, or because it uses one of them.
  bool takes_extensions() const { return extensions || contract_id || requested_service; }
  friend bool operator==(const MitigationRequest&, const MitigationRequest&) = default;
};

struct ConflictScope {
  MitigationScope targets;             // only with cause overlapping_targets
  std::optional<base::Mid> mid;        // only with cause overlapping_targets
  std::vector<std::string> acl_names;  // only with cause conflict_with_acceptlist
  friend bool operator==(const ConflictScope&, const ConflictScope&) = default;
};
struct ConflictInformation {
  std::optional<ConflictStatus> status;  // absent for a cuid collision
  std::optional<ConflictCause> cause;
  std::optional<std::uint32_t> retry_timer_s;
  std::optional<ConflictScope> scope;
  friend bool operator==(const ConflictInformation&, const ConflictInformation&) = default;
};

// What a back end dropped for one mitigation since it was triggered. Bytes are layer-3 bytes; bps is BYTES per second
// (RFC 9132 5.3). A back end that cannot count leaves the field empty: unknown is not zero.
struct DropCounters {
  std::optional<std::uint64_t> bytes_dropped;
  std::optional<std::uint64_t> bps_dropped;
  std::optional<std::uint64_t> pkts_dropped;
  std::optional<std::uint64_t> pps_dropped;
  friend bool operator==(const DropCounters&, const DropCounters&) = default;
};

// One entry of `scope` in an answer of the server: 2.01/2.04 carry mid and lifetime only, 2.05 everything, 4.09 the
// conflict only (RFC 9132 4.4.1.3, 4.4.2), 5.03 the mid and the filters that could not be switched (RFC 9133 3.2.1).
struct MitigationEntry {
  std::optional<base::Mid> mid;
  std::optional<MitigationScope> scope;
  std::optional<Lifetime> lifetime;
  std::optional<bool> trigger_mitigation;
  std::optional<std::uint64_t> mitigation_start_s;  // seconds since 1970, UTC
  std::optional<MitigationStatus> status;
  std::optional<ConflictInformation> conflict;
  DropCounters counters;
  std::vector<AclActivation> acl_list;  // changed by the server, or not applied by it (RFC 9133 3.2.1)

  // Extensions of ours (docs/extensions.md), only to clients that take them.
  std::optional<RefusalReason> refusal_reason;  // of a refusal, or of what does not work
  std::string diagnostic;                       // the same for people
  std::vector<std::string> offered_service;     // with a refusal: what could be asked for instead
  std::optional<std::string> service_used;
  std::vector<Prefix> actual_prefix;  // what is mitigated, when that differs from what was asked for
  friend bool operator==(const MitigationEntry&, const MitigationEntry&) = default;
};

// The names of the enumerations as YANG and JSON spell them; "unknown" for a code outside the registry.
std::string_view name_of(MitigationStatus status);
std::string_view name_of(ConflictStatus status);
std::string_view name_of(ConflictCause cause);
std::string_view name_of(AttackStatus status);

}  // namespace dots::model
