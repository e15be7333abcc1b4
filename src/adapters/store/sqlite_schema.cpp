#include "adapters/store/sqlite_schema.h"

#include <string>

namespace dots::adapters::store {
namespace {

// Times are nanoseconds since 1970 (column names end in _ns); unsigned 64-bit numbers are stored as signed ones of the
// same bits; `request`, `expanded` and `addresses` are JSON (record_codec.h).
constexpr const char* kTables = R"sql(
CREATE TABLE meta(
  name TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO meta VALUES('fencing_token', 0), ('last_commit_ns', 0), ('settlements', 0);
CREATE TABLE mitigations(
  domain TEXT NOT NULL, cuid TEXT NOT NULL, mid INTEGER NOT NULL, client TEXT NOT NULL,
  request TEXT NOT NULL, expanded TEXT NOT NULL, granted_s INTEGER NOT NULL, status INTEGER NOT NULL,
  accepted_at_ns INTEGER NOT NULL, started_at_ns INTEGER, deadline_ns INTEGER, span_ns INTEGER NOT NULL,
  terminating_cycles INTEGER NOT NULL, author TEXT NOT NULL,
  PRIMARY KEY(domain, cuid, mid)
) WITHOUT ROWID;
CREATE TABLE cuids(
  domain TEXT NOT NULL, cuid TEXT NOT NULL, client TEXT NOT NULL, since_ns INTEGER NOT NULL,
  PRIMARY KEY(domain, cuid)
) WITHOUT ROWID;
CREATE TABLE names(
  name TEXT PRIMARY KEY NOT NULL, addresses TEXT NOT NULL, resolved_at_ns INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE client_requests(
  server TEXT NOT NULL, mid INTEGER NOT NULL, cuid TEXT NOT NULL, request TEXT NOT NULL,
  withdrawing INTEGER NOT NULL, acknowledged INTEGER NOT NULL, granted_s INTEGER, granted_at_ns INTEGER,
  author TEXT NOT NULL, note TEXT NOT NULL,
  PRIMARY KEY(server, mid)
) WITHOUT ROWID;
CREATE TABLE counters(
  name TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE audit(
  id INTEGER PRIMARY KEY NOT NULL, at_ns INTEGER NOT NULL, domain TEXT NOT NULL, actor TEXT NOT NULL,
  action TEXT NOT NULL, subject TEXT NOT NULL, verdict TEXT NOT NULL, text TEXT NOT NULL
);
CREATE TABLE batches(
  id INTEGER PRIMARY KEY NOT NULL, instance INTEGER NOT NULL, sequence INTEGER NOT NULL,
  UNIQUE(instance, sequence)
);
)sql";

// The audit log of one domain must not cost a walk over everybody's.
constexpr const char* kAuditByDomain = "CREATE INDEX audit_by_domain ON audit(domain, id);";

// `body` is the configuration as RFC 7951 JSON; kind 1 is an alias, 2 an access control list.
constexpr const char* kDataChannel = R"sql(
CREATE TABLE data_clients(
  domain TEXT NOT NULL, cuid TEXT NOT NULL, client TEXT NOT NULL, cdid TEXT, since_ns INTEGER NOT NULL,
  revision INTEGER NOT NULL, modified_ns INTEGER NOT NULL,
  aliases_revision INTEGER NOT NULL, aliases_modified_ns INTEGER NOT NULL,
  acls_revision INTEGER NOT NULL, acls_modified_ns INTEGER NOT NULL,
  PRIMARY KEY(domain, cuid)
) WITHOUT ROWID;
CREATE TABLE data_entries(
  domain TEXT NOT NULL, cuid TEXT NOT NULL, kind INTEGER NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL,
  rank INTEGER NOT NULL, revision INTEGER NOT NULL, modified_ns INTEGER NOT NULL,
  expires_ns INTEGER NOT NULL, granted_ns INTEGER NOT NULL,
  PRIMARY KEY(domain, cuid, kind, name)
);
)sql";

// What the alias-names of a request stood for when it was accepted.
constexpr const char* kResolvedAliases = "ALTER TABLE mitigations ADD COLUMN aliases TEXT NOT NULL DEFAULT '[]';";

// The word of a person that a mitigation waits for, or has; empty: none was needed.
constexpr const char* kApproval = "ALTER TABLE mitigations ADD COLUMN approval TEXT NOT NULL DEFAULT '';";

// What a client role keeps at its servers; `body` and kind as in data_entries.
constexpr const char* kClientData = R"sql(
CREATE TABLE client_data(
  server TEXT NOT NULL, kind INTEGER NOT NULL, name TEXT NOT NULL, cuid TEXT NOT NULL, body TEXT NOT NULL,
  rank INTEGER NOT NULL, author TEXT NOT NULL, put_at_ns INTEGER NOT NULL, refreshed_at_ns INTEGER NOT NULL,
  PRIMARY KEY(server, kind, name)
);
)sql";

// How the actor of a line was known.
constexpr const char* kAuditCredential = "ALTER TABLE audit ADD COLUMN credential TEXT NOT NULL DEFAULT '';";

constexpr UpgradeStep kSteps[] = {
    {1, "tables", kTables},
    {2, "audit by domain", kAuditByDomain},
    {3, "data channel", kDataChannel},
    {4, "resolved aliases", kResolvedAliases},
    {5, "client data", kClientData},
    {6, "credentials in the audit log", kAuditCredential},
    {7, "approval", kApproval},
};
static_assert(std::size(kSteps) == kSchemaVersion);

base::Result<void> run_step(Database& db, const UpgradeStep& step) {
  const std::string sql = "BEGIN IMMEDIATE;" + std::string(step.sql) +
                          "PRAGMA application_id=" + std::to_string(kApplicationId) + ";" +
                          "PRAGMA user_version=" + std::to_string(step.to_version) + ";COMMIT;";
  if (db.execute(sql.c_str()) == SQLITE_OK) return {};
  const std::string why = db.last_error();
  db.execute("ROLLBACK");
  return base::Error{"step " + std::to_string(step.to_version) + " (" + step.name +
                     ") of the schema failed and was undone: " + why};
}

}  // namespace

std::span<const UpgradeStep> upgrade_steps() { return kSteps; }

base::Result<void> upgrade(Database& db, int to_version) {
  const auto version_text = db.query("PRAGMA user_version");
  if (!version_text) return version_text.error();
  const int version = std::stoi(*version_text);
  const auto application = db.query("PRAGMA application_id");
  if (!application) return application.error();
  const auto tables = db.query("SELECT count(*) FROM sqlite_schema");
  if (!tables) return tables.error();
  if (*tables != "0" && *application != std::to_string(kApplicationId)) {
    return base::Error{"it is the database of another program; move it away or set another state_dir"};
  }
  if (version > kSchemaVersion) {
    return base::Error{"it was written by a newer release (schema " + std::to_string(version) +
                       ", this release knows up to " + std::to_string(kSchemaVersion) +
                       "); install that release again, or restore the state directory from a backup"};
  }
  for (const auto& step : kSteps) {
    if (step.to_version <= version || step.to_version > to_version) continue;
    if (auto done = run_step(db, step); !done) return done;
  }
  return {};
}

}  // namespace dots::adapters::store
