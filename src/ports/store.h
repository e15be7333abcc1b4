// The Store port: what must survive `kill -9` and power loss, and how its fate is told.
//
// Durable before visible (ARCHITECTURE idea 3): a batch of core steps yields one Batch of changes; every effect that
// leaves waits until the batch is committed. A store answers committed, refused or unknown; an unknown batch is settled
// by asking again with its id. One suite, tests/contract/store_contract.h, runs on every implementation.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "model/alias.h"
#include "model/mitigation.h"

namespace dots::ports {

// The word of a person, where a mitigation needs one (docs/decisions/approval.md). What is refused ends at once, so
// that no record says so.
struct Approval {
  enum class State : std::uint8_t { none, waiting, approved } state = State::none;
  std::string why;         // it has to be approved
  base::WallTime since{};  // it waits, or waited
  std::string by;          // "operator <name>", once approved
  std::optional<base::WallTime> at;
  std::string note;
  friend bool operator==(const Approval&, const Approval&) = default;
};

// One mitigation of one client, keyed (domain, cuid, mid).
struct MitigationRecord {
  base::DomainId domain;
  base::Cuid cuid;
  base::Mid mid;
  base::ClientId client;                // who created it
  model::MitigationRequest request;     // as accepted, list order kept
  std::vector<model::Alias> aliases;    // what its alias-names stood for when it was accepted
  std::vector<model::Prefix> expanded;  // of all targets: prefixes, and what names and URIs resolved to
  model::Lifetime granted;
  model::MitigationStatus status = model::MitigationStatus::in_progress;
  base::WallTime accepted_at;
  std::optional<base::WallTime> started_at;  // mitigation-start
  // When the state that is now running ends: expiry of the lifetime, or the end of the terminating period (status 5).
  // Absent for an indefinite lifetime. On load remaining = clamp(deadline - wall, 0, span).
  std::optional<base::WallTime> deadline;
  base::Duration span{};                 // the full length of the period that `deadline` ends
  std::uint32_t terminating_cycles = 0;  // how often the active-but-terminating period was prolonged (120, 240, 300)
  std::string author;                    // "client <id>", "operator <name>"
  Approval approval;

  friend bool operator==(const MitigationRecord&, const MitigationRecord&) = default;
};

struct MitigationKey {
  base::DomainId domain;
  base::Cuid cuid;
  base::Mid mid;
  friend auto operator<=>(const MitigationKey&, const MitigationKey&) = default;
};

// A cuid belongs to the client identity that used it first (RFC 9132 4.4.1.1).
struct CuidRecord {
  base::DomainId domain;
  base::Cuid cuid;
  base::ClientId client;
  base::WallTime since;
  friend bool operator==(const CuidRecord&, const CuidRecord&) = default;
};

// The last answer that a name gave: the victim's DNS is often dead during its attack.
struct NameRecord {
  std::string name;
  std::vector<model::IpAddress> addresses;
  base::WallTime resolved_at;
  friend bool operator==(const NameRecord&, const NameRecord&) = default;
};

// One line of the audit log. Never erased by the core; the store keeps at most its configured number, oldest out first.
struct AuditRecord {
  base::WallTime at;
  base::DomainId domain;
  std::string actor;    // "client <id>", "operator <user>", "server"
  std::string action;   // "request", "refresh", "withdraw", "expire", "refuse", ...
  std::string subject;  // "cuid=... mid=..."
  std::string verdict;  // "accepted", "refused", ...
  std::string text;     // one sentence: why, and what next
  // How the actor was known: "certificate edge.example.net", "PSK edge", "user 1000 (alice)"; empty for "server".
  std::string credential = {};
  friend bool operator==(const AuditRecord&, const AuditRecord&) = default;
};

// Which lines of the audit log; what is empty does not narrow.
struct AuditQuery {
  std::optional<base::DomainId> domain;
  std::string action;                   // the whole word
  std::string actor;                    // a part of the actor or of its credential
  std::string subject;                  // a part of it
  std::optional<base::WallTime> since;  // from then on
  std::optional<base::WallTime> until;  // before
  std::size_t limit = 100;              // the newest ones

  bool matches(const AuditRecord& record) const;
};

// What a client role remembers of one of its own requests, keyed (server, mid).
struct ClientRequestRecord {
  std::string server;  // name of the configured server
  base::Cuid cuid;
  base::Mid mid;
  model::MitigationRequest request;
  bool withdrawing = false;   // DELETE not answered yet
  bool acknowledged = false;  // 2.01 or 2.04 seen
  std::optional<model::Lifetime> granted;
  std::optional<base::WallTime> granted_at;
  std::string author;  // who asked for it, and the operator's note
  std::string note;
  friend bool operator==(const ClientRequestRecord&, const ClientRequestRecord&) = default;
};

// The version of a part of the data channel's configuration; what an entity-tag is made of. `revision` grows with every
// change in a domain; the time keeps a number that comes back after a restart from looking like the old one.
struct DataVersion {
  std::uint64_t revision = 0;
  base::WallTime modified{};
  friend bool operator==(const DataVersion&, const DataVersion&) = default;
};

// A client that is registered on the data channel (RFC 8783 5.1), keyed (domain, cuid).
struct DataClientRecord {
  base::DomainId domain;
  base::Cuid cuid;
  base::ClientId client;
  std::optional<std::string> cdid;  // only from a gateway that may name it
  base::WallTime since{};
  DataVersion version, aliases, acls;  // of the client with everything below, of its aliases, of its lists
  friend bool operator==(const DataClientRecord&, const DataClientRecord&) = default;
};

enum class DataEntryKind : std::uint8_t { alias = 1, acl = 2 };

struct DataEntryKey {
  base::DomainId domain;
  base::Cuid cuid;
  DataEntryKind kind = DataEntryKind::alias;
  std::string name;
  friend auto operator<=>(const DataEntryKey&, const DataEntryKey&) = default;
};

// One alias or one access control list of a registered client.
struct DataEntryRecord {
  DataEntryKey key;
  std::string body;       // its configuration as RFC 7951 JSON in canonical form; opaque to the store
  std::int64_t rank = 0;  // the client's order: by rank, ascending; unique within client and kind
  DataVersion version;
  base::WallTime expires{};  // without a refresh
  base::Duration granted{};  // the full lifetime that `expires` ends
  friend bool operator==(const DataEntryRecord&, const DataEntryRecord&) = default;
};

// An alias or access control list that an operator of a client role has put at a server (RFC 8783), keyed (server,
// kind, name): what the client keeps there.
struct ClientDataRecord {
  std::string server;  // name of the configured server
  DataEntryKind kind = DataEntryKind::alias;
  std::string name;
  base::Cuid cuid;        // under which it stands at the server
  std::string body;       // as DataEntryRecord::body, as the server has it
  std::int64_t rank = 0;  // the order at the server: by rank, ascending
  std::string author;     // who put it there
  base::WallTime put_at{};
  base::WallTime refreshed_at{};
  friend bool operator==(const ClientDataRecord&, const ClientDataRecord&) = default;
};

struct PutMitigation {
  MitigationRecord record;
};
struct EraseMitigation {
  MitigationKey key;
};
struct PutCuid {
  CuidRecord record;
};
struct EraseCuid {
  base::DomainId domain;
  base::Cuid cuid;
};
struct PutName {
  NameRecord record;
};
// Erases the name unless it was stored again after `not_after`: names belong to no domain, and another one may use it.
struct EraseName {
  std::string name;
  base::WallTime not_after;
};
struct AppendAudit {
  AuditRecord record;
};
struct PutClientRequest {
  ClientRequestRecord record;
};
struct EraseClientRequest {
  std::string server;
  base::Mid mid;
};
// Named counters: the next mid of a client, among others.
struct PutCounter {
  std::string name;
  std::uint64_t value = 0;
};
// Replaces the registration, never its entries.
struct PutDataClient {
  DataClientRecord record;
};
// With all its entries.
struct EraseDataClient {
  base::DomainId domain;
  base::Cuid cuid;
};
// Both move the versions of their client, and of its aliases or lists, up to the version that they bear.
struct PutDataEntry {
  DataEntryRecord record;
};
struct EraseDataEntry {
  DataEntryKey key;
  DataVersion version;
};
struct PutClientData {
  ClientDataRecord record;
};
struct EraseClientData {
  std::string server;
  DataEntryKind kind = DataEntryKind::alias;
  std::string name;
};

using Change = std::variant<PutMitigation, EraseMitigation, PutCuid, EraseCuid, PutName, EraseName, AppendAudit,
                            PutClientRequest, EraseClientRequest, PutCounter, PutDataClient, EraseDataClient,
                            PutDataEntry, EraseDataEntry, PutClientData, EraseClientData>;

// True when the change only frees or withdraws: such changes may use the reserve of a full disk. Audit lines ride
// along.
bool is_release(const Change& change);

// Unique over all processes that ever wrote to this store: the instance is random for each start.
struct BatchId {
  std::uint64_t instance = 0;
  std::uint64_t sequence = 0;
  friend auto operator<=>(const BatchId&, const BatchId&) = default;
};

struct Batch {
  BatchId id;
  // Grows with each take-over of the writing role; a store refuses a batch whose token is older than one it has seen.
  std::uint64_t fencing_token = 0;
  base::WallTime at;
  std::vector<Change> changes;
};

// True when the batch may use the reserve: every change is a release, and at least one of them is not an audit line
// (lines about refused requests alone must not eat the room that withdrawals need).
bool is_release(const Batch& batch);

enum class CommitOutcome : std::uint8_t {
  committed,  // durable: survives kill -9 and power loss
  refused,    // certainly not there, and never will be
  unknown,    // may be there; settle with was_committed
};
struct CommitResult {
  CommitOutcome outcome = CommitOutcome::refused;
  std::string reason;  // empty when committed
};

// Everything that a start needs.
struct Snapshot {
  std::vector<MitigationRecord> mitigations;
  std::vector<CuidRecord> cuids;
  std::vector<NameRecord> names;
  std::vector<ClientRequestRecord> client_requests;
  std::map<std::string, std::uint64_t> counters;
  std::vector<DataClientRecord> data_clients;
  std::vector<DataEntryRecord> data_entries;  // by client and kind, then by rank
  std::vector<ClientDataRecord> client_data;  // by server and kind, then by rank
  base::WallTime last_commit{};  // wall time of the newest batch; nothing expires while the wall clock is behind it
  std::uint64_t fencing_token = 0;
};

// Threads: one thread at a time. Every call may block on the disk or the network; the shell calls it from the commit
// thread (and from the main thread before any other runs).
class Store {
 public:
  virtual ~Store() = default;

  // Takes the writing role: returns a fencing token greater than all before it.
  virtual base::Result<std::uint64_t> acquire() = 0;
  // All changes of all batches become durable together, or none (one fsync for the group). Idempotent by batch id.
  virtual CommitResult commit(const std::vector<Batch>& group) = 0;
  // Settles an unknown outcome. Both answers are durable and final for the attempts made so far: after `false` the same
  // batch may be committed again. An error means: not settled yet, ask again. Bounded: a store remembers at least its
  // newest 1,000 ids.
  virtual base::Result<bool> was_committed(BatchId id) = 0;
  virtual base::Result<Snapshot> load() = 0;
  // The state of one domain, to reload it after a failed commit: its mitigations, cuids, data clients and data
  // entries, all names, last_commit and fencing_token; no client requests, client data and counters, which belong to no
  // domain.
  virtual base::Result<Snapshot> load_domain(const base::DomainId& domain) = 0;
  // Newest first.
  virtual base::Result<std::vector<AuditRecord>> audit(const AuditQuery& query) = 0;
  // Housekeeping that delays nobody's answer; the commit thread calls it after the answers of a group have left.
  virtual void maintain() {}
};

}  // namespace dots::ports
