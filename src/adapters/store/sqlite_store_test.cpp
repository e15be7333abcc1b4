// What only the SQLite store has: its file, its schema, and a disk that is damaged, foreign, read-only or in use.
#include "adapters/store/sqlite_store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "adapters/store/sqlite_db.h"
#include "adapters/store/sqlite_schema.h"
#include "tests/contract/store_contract.h"
#include "tests/support/faulty_vfs.h"
#include "tests/support/temp_dir.h"

namespace dots::adapters::store {
namespace {

class SqliteFile : public testing::Test {
 protected:
  base::Result<std::unique_ptr<SqliteStore>> open() const { return SqliteStore::open(options()); }
  SqliteOptions options() const {
    SqliteOptions options;
    options.state_dir = dir.path();
    options.disk_reserve_bytes = 4096;
    return options;
  }
  std::string database() const { return dir.path() + "/tidewall.db"; }
  // Runs SQL past the store.
  void execute(const std::string& sql) const {
    std::ofstream(database(), std::ios::app).close();
    Database db;
    ASSERT_EQ(db.open(database(), ""), SQLITE_OK);
    ASSERT_EQ(db.execute(sql.c_str()), SQLITE_OK) << db.last_error();
  }
  void expect_refused(std::initializer_list<std::string> words) const {
    const auto refused = open();
    ASSERT_FALSE(refused);
    for (const auto& word : words) {
      EXPECT_NE(refused.error().message.find(word), std::string::npos) << word << "\n" << refused.error().message;
    }
  }

  tests::TempDir dir;
};

// What release 1 of the schema wrote; never changed again.
constexpr const char* kVersion1 = R"sql(
CREATE TABLE meta(name TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES('fencing_token', 41), ('last_commit_ns', 1700000000000000000), ('settlements', 3);
CREATE TABLE mitigations(domain TEXT NOT NULL, cuid TEXT NOT NULL, mid INTEGER NOT NULL, client TEXT NOT NULL,
  request TEXT NOT NULL, expanded TEXT NOT NULL, granted_s INTEGER NOT NULL, status INTEGER NOT NULL,
  accepted_at_ns INTEGER NOT NULL, started_at_ns INTEGER, deadline_ns INTEGER, span_ns INTEGER NOT NULL,
  terminating_cycles INTEGER NOT NULL, author TEXT NOT NULL, PRIMARY KEY(domain, cuid, mid)) WITHOUT ROWID;
INSERT INTO mitigations VALUES('shop', 'dz6pHjaADkaFTbjr0JGBpw', 123, 'edge',
  '{"v":1,"prefixes":["2001:db8:6401::1/128"],"ports":[[80,80]],"protocols":[6],"lifetime":3600,"trigger":true}',
  '["2001:db8:6401::1/128"]', 3600, 2, 1699999000000000000, 1699999001000000000, 1700002600000000000, 3600000000000, 0,
  'client edge');
CREATE TABLE cuids(domain TEXT NOT NULL, cuid TEXT NOT NULL, client TEXT NOT NULL, since_ns INTEGER NOT NULL,
  PRIMARY KEY(domain, cuid)) WITHOUT ROWID;
INSERT INTO cuids VALUES('shop', 'dz6pHjaADkaFTbjr0JGBpw', 'edge', 5);
CREATE TABLE names(name TEXT PRIMARY KEY NOT NULL, addresses TEXT NOT NULL, resolved_at_ns INTEGER NOT NULL)
  WITHOUT ROWID;
INSERT INTO names VALUES('www.example.net', '["192.0.2.1","2001:db8::1"]', 6);
CREATE TABLE client_requests(server TEXT NOT NULL, mid INTEGER NOT NULL, cuid TEXT NOT NULL, request TEXT NOT NULL,
  withdrawing INTEGER NOT NULL, acknowledged INTEGER NOT NULL, granted_s INTEGER, granted_at_ns INTEGER,
  author TEXT NOT NULL, note TEXT NOT NULL, PRIMARY KEY(server, mid)) WITHOUT ROWID;
INSERT INTO client_requests VALUES('up', 7, 'us', '{"v":1,"trigger":false}', 0, 1, NULL, NULL, 'operator o', 'note');
CREATE TABLE counters(name TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO counters VALUES('next_mid', -1);
CREATE TABLE audit(id INTEGER PRIMARY KEY NOT NULL, at_ns INTEGER NOT NULL, domain TEXT NOT NULL, actor TEXT NOT NULL,
  action TEXT NOT NULL, subject TEXT NOT NULL, verdict TEXT NOT NULL, text TEXT NOT NULL);
INSERT INTO audit VALUES(1, 9, 'shop', 'client edge', 'request', 'mid=123', 'accepted', 'owned');
CREATE TABLE batches(id INTEGER PRIMARY KEY NOT NULL, instance INTEGER NOT NULL, sequence INTEGER NOT NULL,
  UNIQUE(instance, sequence));
INSERT INTO batches VALUES(1, -2, 17);
PRAGMA application_id=1146049619;
PRAGMA user_version=1;
)sql";

TEST_F(SqliteFile, AVersion1DatabaseOpensUnderTheCurrentCode) {
  execute(kVersion1);
  auto store = open();
  ASSERT_TRUE(store) << store.error().message;
  const auto snapshot = *(*store)->load();
  ASSERT_EQ(snapshot.mitigations.size(), 1u);
  const auto& record = snapshot.mitigations.front();
  EXPECT_EQ(record.mid, base::Mid(123));
  EXPECT_EQ(record.status, model::MitigationStatus::successfully_mitigated);
  EXPECT_EQ(record.request.scope.target_prefix, std::vector{*model::parse_prefix("2001:db8:6401::1/128")});
  EXPECT_EQ(record.deadline, tests::wall_at(1'700'002'600'000'000'000));
  EXPECT_EQ(record.span, std::chrono::hours{1});
  EXPECT_EQ(snapshot.cuids.size(), 1u);
  EXPECT_EQ(snapshot.names.front().addresses.size(), 2u);
  EXPECT_FALSE(snapshot.client_requests.front().granted);
  EXPECT_EQ(snapshot.counters.at("next_mid"), UINT64_MAX);
  EXPECT_EQ(snapshot.fencing_token, 41u);
  EXPECT_EQ(*(*store)->acquire(), 42u);
  EXPECT_TRUE(*(*store)->was_committed({UINT64_MAX - 1, 17}));
  EXPECT_EQ((*store)->audit(tests::newest(9, "shop"))->size(), 1u);
  const ports::Batch batch{{1, 1}, 42, {}, {ports::AppendAudit{tests::audit_line("shop", 1)}}};
  EXPECT_EQ((*store)->commit({batch}).outcome, ports::CommitOutcome::committed);
  store->reset();
  Database db;
  ASSERT_EQ(db.open(database(), ""), SQLITE_OK);
  EXPECT_EQ(*db.query("PRAGMA user_version"), std::to_string(kSchemaVersion));
  EXPECT_EQ(*db.query("SELECT count(*) FROM sqlite_schema WHERE name='audit_by_domain'"), "1");
}

// Every schema that a release wrote, with data or without, leads to the very schema of a new database.
TEST_F(SqliteFile, EveryOlderSchemaLeadsToTheCurrentOne) {
  const auto schema_of = [this](int from) {
    ::unlink(database().c_str());
    std::ofstream(database()).close();
    Database db;
    EXPECT_EQ(db.open(database(), ""), SQLITE_OK);
    EXPECT_TRUE(from == 0 || upgrade(db, from));
    EXPECT_EQ(*db.query("PRAGMA user_version"), std::to_string(from));
    const auto done = upgrade(db);
    EXPECT_TRUE(done) << done.error().message;
    EXPECT_EQ(*db.query("PRAGMA user_version"), std::to_string(kSchemaVersion));
    return *db.query("SELECT group_concat(sql, ';') FROM (SELECT sql FROM sqlite_schema ORDER BY name)");
  };
  const std::string fresh = schema_of(0);
  for (int version = 1; version <= kSchemaVersion; ++version) EXPECT_EQ(schema_of(version), fresh);
  int expected = 1;
  for (const auto& step : upgrade_steps()) EXPECT_EQ(step.to_version, expected++);
  EXPECT_EQ(expected - 1, kSchemaVersion);
}

TEST_F(SqliteFile, AFailedUpgradeStepLeavesTheOldSchema) {
  execute(kVersion1);
  execute("CREATE TABLE audit_by_domain(x)");  // stands in the way of step 2
  expect_refused({"step 2", "undone", database()});
  Database db;
  ASSERT_EQ(db.open(database(), ""), SQLITE_OK);
  EXPECT_EQ(*db.query("PRAGMA user_version"), "1");
  EXPECT_EQ(*db.query("SELECT count(*) FROM mitigations"), "1");
}

TEST_F(SqliteFile, ANewerSchemaIsRefusedAndLeftAlone) {
  execute(kVersion1);
  execute("PRAGMA user_version=" + std::to_string(kSchemaVersion + 1));
  expect_refused({"newer release", "schema " + std::to_string(kSchemaVersion + 1), database()});
  Database db;
  ASSERT_EQ(db.open(database(), ""), SQLITE_OK);
  EXPECT_EQ(*db.query("PRAGMA user_version"), std::to_string(kSchemaVersion + 1));
}

TEST_F(SqliteFile, TheDatabaseOfAnotherProgramIsRefused) {
  execute("CREATE TABLE recipes(x); PRAGMA application_id=7;");
  expect_refused({"another program", database()});
}

TEST_F(SqliteFile, AFileThatIsNoDatabaseIsRefused) {
  std::ofstream(database()) << std::string(8192, 'x');
  expect_refused({"not a database", database(), "backup"});
}

TEST_F(SqliteFile, ADamagedDatabaseIsRefused) {
  {
    auto store = open();
    ASSERT_TRUE(store);
    std::vector<ports::Change> changes;
    for (std::uint32_t i = 0; i < 300; ++i) changes.push_back(ports::PutMitigation{tests::full_record("d", "c", i)});
    ASSERT_EQ((*store)->commit({{{1, 1}, *(*store)->acquire(), {}, changes}}).outcome, ports::CommitOutcome::committed);
  }
  std::fstream file(database(), std::ios::in | std::ios::out | std::ios::binary);
  for (int page = 2; page < 12; ++page) {
    file.seekp(page * 4096);
    file << std::string(300, '\xA5');
  }
  file.close();
  expect_refused({"damaged", database(), "backup"});
}

TEST_F(SqliteFile, ARowThatCannotBeReadIsNamed) {
  execute(kVersion1);
  for (const char* sql : {"UPDATE mitigations SET status=99", "UPDATE mitigations SET status=2, request='{'",
                          "UPDATE mitigations SET request='{\"v\":1}', expanded='[\"x\"]'"}) {
    execute(sql);
    auto store = open();
    ASSERT_TRUE(store) << store.error().message;
    for (const auto& snapshot : {(*store)->load(), (*store)->load_domain(base::DomainId("shop"))}) {
      ASSERT_FALSE(snapshot) << sql;
      EXPECT_NE(snapshot.error().message.find("shop, dz6pHjaADkaFTbjr0JGBpw, 123"), std::string::npos)
          << snapshot.error().message;
    }
  }
}

TEST_F(SqliteFile, ASecondProgramIsKeptOut) {
  auto store = open();
  ASSERT_TRUE(store);
  expect_refused({"another program", database()});
}

// S8612-SEC-003-02, S8811-5-02
TEST_F(SqliteFile, NobodyElseMayReadWhoAskedForWhat) {
  auto store = open();
  ASSERT_TRUE(store);
  ASSERT_TRUE((*store)->acquire());
  for (const char* name : {"/tidewall.db", "/tidewall.db-wal", "/reserve"}) {
    struct stat facts {};
    ASSERT_EQ(::stat((dir.path() + name).c_str(), &facts), 0) << name;
    EXPECT_EQ(facts.st_mode & 0077, 0u) << name;
  }
}

TEST_F(SqliteFile, ALogThatNobodyTendsStaysBounded) {
  auto store = open();
  ASSERT_TRUE(store);
  const auto token = *(*store)->acquire();
  for (std::uint64_t n = 1; n <= 60; ++n) {
    std::vector<ports::Change> changes;
    for (std::uint32_t i = 0; i < 400; ++i) changes.push_back(ports::PutMitigation{tests::full_record("d", "c", i)});
    ASSERT_EQ((*store)->commit({{{1, n}, token, {}, changes}}).outcome, ports::CommitOutcome::committed);
  }
  struct stat facts {};
  ASSERT_EQ(::stat((database() + "-wal").c_str(), &facts), 0);
  EXPECT_LT(facts.st_size, 20'000'000);
}

TEST_F(SqliteFile, AFailingDiskAtTheStartIsAnErrorThatNamesTheFile) {
  auto& vfs = tests::FaultyVfs::instance();
  auto with_faults = options();
  with_faults.vfs = tests::FaultyVfs::kName;
  for (int failures = 1; failures < 3; ++failures) {
    vfs.reset();
    vfs.fail_log_syncs(failures, true);
    const auto refused = SqliteStore::open(with_faults);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find(database()), std::string::npos) << refused.error().message;
  }
  vfs.reset();
  EXPECT_TRUE(SqliteStore::open(with_faults));
  vfs.reset();
}

// Opens a store as a user without rights (when we are root) and answers the error.
std::string error_as_nobody(const std::string& state_dir) {
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    if (::geteuid() == 0 && ::setresuid(65534, 65534, 65534) != 0) ::_exit(2);
    SqliteOptions options;
    options.state_dir = state_dir;
    auto store = SqliteStore::open(options);
    const std::string text = store ? "opened" : store.error().message;
    if (::write(ends[1], text.data(), text.size()) < 0) ::_exit(3);
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string text(4096, '\0');
  const ssize_t n = ::read(ends[0], text.data(), text.size());
  text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  return text;
}

TEST_F(SqliteFile, AStateDirectoryThatCannotBeUsedIsNamedWithTheRemedy) {
  ASSERT_EQ(::chmod(dir.path().c_str(), 0555), 0);
  const std::string read_only = error_as_nobody(dir.path());
  EXPECT_NE(read_only.find("'" + dir.path() + "' is not writable"), std::string::npos) << read_only;
  EXPECT_NE(read_only.find("chown"), std::string::npos) << read_only;
  ASSERT_EQ(::chmod(dir.path().c_str(), 0755), 0);

  const std::string missing = error_as_nobody(dir.path() + "/missing");
  EXPECT_NE(missing.find("'" + dir.path() + "/missing' does not exist"), std::string::npos) << missing;
  EXPECT_NE(missing.find("install -d"), std::string::npos) << missing;

  std::ofstream(dir.path() + "/file").close();
  EXPECT_NE(error_as_nobody(dir.path() + "/file").find("not a directory"), std::string::npos);
}

}  // namespace
}  // namespace dots::adapters::store
