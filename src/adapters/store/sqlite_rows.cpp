#include "adapters/store/sqlite_rows.h"

#include <algorithm>
#include <limits>

#include "adapters/store/record_codec.h"
#include "adapters/store/sqlite_read.h"

namespace dots::adapters::store {

int RowWriter::prepare(sqlite3* db) {
  const struct {
    Statement& statement;
    const char* sql;
  } all[] = {
      {put_mitigation_, "INSERT OR REPLACE INTO mitigations VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"},
      {erase_mitigation_, "DELETE FROM mitigations WHERE domain=? AND cuid=? AND mid=?"},
      {put_cuid_, "INSERT OR REPLACE INTO cuids VALUES(?,?,?,?)"},
      {erase_cuid_, "DELETE FROM cuids WHERE domain=? AND cuid=?"},
      {put_name_, "INSERT OR REPLACE INTO names VALUES(?,?,?)"},
      {erase_name_, "DELETE FROM names WHERE name=? AND resolved_at_ns<=?"},
      {append_audit_,
       "INSERT INTO audit(at_ns, domain, actor, action, subject, verdict, text, credential) VALUES(?,?,?,?,?,?,?,?)"},
      {put_request_, "INSERT OR REPLACE INTO client_requests VALUES(?,?,?,?,?,?,?,?,?,?)"},
      {erase_request_, "DELETE FROM client_requests WHERE server=? AND mid=?"},
      {put_counter_, "INSERT OR REPLACE INTO counters VALUES(?,?)"},
  };
  if (const int rc = prepare_data(db); rc != SQLITE_OK) return rc;
  for (const auto& entry : all) {
    if (const int rc = entry.statement.prepare(db, entry.sql); rc != SQLITE_OK) return rc;
  }
  return SQLITE_OK;
}

void RowWriter::finalize() {
  for (auto* statement :
       {&put_mitigation_, &erase_mitigation_, &put_cuid_, &erase_cuid_, &put_name_, &erase_name_, &append_audit_,
        &put_request_, &erase_request_, &put_counter_, &put_data_client_, &erase_data_client_, &put_data_entry_,
        &erase_data_entry_, &erase_data_entries_, &move_data_versions_, &put_client_data_, &erase_client_data_}) {
    statement->finalize();
  }
}

int RowWriter::apply(const ports::Change& change) { return std::visit(*this, change); }

int RowWriter::operator()(const ports::PutMitigation& put) {
  const auto& r = put.record;
  const std::string request = encode_request(r.request);
  const std::string expanded = encode_prefixes(r.expanded);
  const std::string aliases = encode_aliases(r.aliases);
  const std::string approval = encode_approval(r.approval);
  return put_mitigation_.text(r.domain.value)
      .text(r.cuid.value)
      .integer(r.mid.value)
      .text(r.client.value)
      .text(request)
      .text(expanded)
      .integer(r.granted.seconds)
      .integer(static_cast<std::int64_t>(r.status))
      .time(r.accepted_at)
      .time(r.started_at)
      .time(r.deadline)
      .integer(r.span.count())
      .integer(r.terminating_cycles)
      .text(r.author)
      .text(aliases)
      .text(approval)
      .run();
}

int RowWriter::operator()(const ports::EraseMitigation& erase) {
  return erase_mitigation_.text(erase.key.domain.value).text(erase.key.cuid.value).integer(erase.key.mid.value).run();
}

int RowWriter::operator()(const ports::PutCuid& put) {
  const auto& r = put.record;
  return put_cuid_.text(r.domain.value).text(r.cuid.value).text(r.client.value).time(r.since).run();
}

int RowWriter::operator()(const ports::EraseCuid& erase) {
  return erase_cuid_.text(erase.domain.value).text(erase.cuid.value).run();
}

int RowWriter::operator()(const ports::PutName& put) {
  const std::string addresses = encode_addresses(put.record.addresses);
  return put_name_.text(put.record.name).text(addresses).time(put.record.resolved_at).run();
}

int RowWriter::operator()(const ports::EraseName& erase) {
  return erase_name_.text(erase.name).time(erase.not_after).run();
}

int RowWriter::operator()(const ports::AppendAudit& append) {
  const auto& r = append.record;
  return append_audit_.time(r.at)
      .text(r.domain.value)
      .text(r.actor)
      .text(r.action)
      .text(r.subject)
      .text(r.verdict)
      .text(r.text)
      .text(r.credential)
      .run();
}

int RowWriter::operator()(const ports::PutClientRequest& put) {
  const auto& r = put.record;
  const std::string request = encode_request(r.request);
  put_request_.text(r.server).integer(r.mid.value).text(r.cuid.value).text(request);
  put_request_.integer(r.withdrawing ? 1 : 0).integer(r.acknowledged ? 1 : 0);
  if (r.granted) {
    put_request_.integer(r.granted->seconds);
  } else {
    put_request_.null();
  }
  return put_request_.time(r.granted_at).text(r.author).text(r.note).run();
}

int RowWriter::operator()(const ports::EraseClientRequest& erase) {
  return erase_request_.text(erase.server).integer(erase.mid.value).run();
}

int RowWriter::operator()(const ports::PutCounter& put) { return put_counter_.text(put.name).number(put.value).run(); }

base::Result<std::vector<ports::MitigationRecord>> read_mitigations(Database& db,
                                                                    const std::optional<base::DomainId>& domain) {
  const auto read = [](Statement& row) -> base::Result<ports::MitigationRecord> {
    ports::MitigationRecord r;
    r.domain = base::DomainId(row.column_text(0));
    r.cuid = base::Cuid(row.column_text(1));
    r.mid = base::Mid(static_cast<std::uint32_t>(row.column_integer(2)));
    const std::string key = r.domain.value + ", " + r.cuid.value + ", " + std::to_string(r.mid.value);
    r.client = base::ClientId(row.column_text(3));
    auto request = decode_request(row.column_view(4));
    if (!request) return unreadable("mitigations", key, request.error().message);
    r.request = std::move(*request);
    auto expanded = decode_prefixes(row.column_view(5));
    if (!expanded) return unreadable("mitigations", key, expanded.error().message);
    r.expanded = std::move(*expanded);
    r.granted = model::Lifetime{row.column_integer(6)};
    const std::int64_t status = row.column_integer(7);
    if (status < 1 || status > static_cast<std::int64_t>(model::MitigationStatus::signal_loss)) {
      return unreadable("mitigations", key, "status " + std::to_string(status) + " is not known");
    }
    r.status = static_cast<model::MitigationStatus>(status);
    r.accepted_at = row.column_time(8);
    r.started_at = row.column_optional_time(9);
    r.deadline = row.column_optional_time(10);
    r.span = base::Duration{row.column_integer(11)};
    r.terminating_cycles = static_cast<std::uint32_t>(row.column_integer(12));
    r.author = row.column_text(13);
    auto aliases = decode_aliases(row.column_view(14));
    if (!aliases) return unreadable("mitigations", key, aliases.error().message);
    r.aliases = std::move(*aliases);
    auto approval = decode_approval(row.column_view(15));
    if (!approval) return unreadable("mitigations", key, approval.error().message);
    r.approval = std::move(*approval);
    return r;
  };
  if (!domain) {
    return read_rows<ports::MitigationRecord>(db, "SELECT * FROM mitigations ORDER BY domain, cuid, mid", bind_nothing,
                                              read);
  }
  return read_rows<ports::MitigationRecord>(
      db, "SELECT * FROM mitigations WHERE domain=? ORDER BY cuid, mid",
      [&](Statement& query) { query.text(domain->value); }, read);
}

base::Result<std::vector<ports::CuidRecord>> read_cuids(Database& db, const std::optional<base::DomainId>& domain) {
  const auto read = [](Statement& row) -> base::Result<ports::CuidRecord> {
    return ports::CuidRecord{base::DomainId(row.column_text(0)), base::Cuid(row.column_text(1)),
                             base::ClientId(row.column_text(2)), row.column_time(3)};
  };
  if (!domain) {
    return read_rows<ports::CuidRecord>(db, "SELECT * FROM cuids ORDER BY domain, cuid", bind_nothing, read);
  }
  return read_rows<ports::CuidRecord>(
      db, "SELECT * FROM cuids WHERE domain=? ORDER BY cuid", [&](Statement& query) { query.text(domain->value); },
      read);
}

base::Result<std::vector<ports::NameRecord>> read_names(Database& db) {
  return read_rows<ports::NameRecord>(db, "SELECT * FROM names ORDER BY name", bind_nothing,
                                      [](Statement& row) -> base::Result<ports::NameRecord> {
                                        ports::NameRecord r;
                                        r.name = row.column_text(0);
                                        auto addresses = decode_addresses(row.column_view(1));
                                        if (!addresses) return unreadable("names", r.name, addresses.error().message);
                                        r.addresses = std::move(*addresses);
                                        r.resolved_at = row.column_time(2);
                                        return r;
                                      });
}

base::Result<std::vector<ports::ClientRequestRecord>> read_client_requests(Database& db) {
  return read_rows<ports::ClientRequestRecord>(
      db, "SELECT * FROM client_requests ORDER BY server, mid", bind_nothing,
      [](Statement& row) -> base::Result<ports::ClientRequestRecord> {
        ports::ClientRequestRecord r;
        r.server = row.column_text(0);
        r.mid = base::Mid(static_cast<std::uint32_t>(row.column_integer(1)));
        r.cuid = base::Cuid(row.column_text(2));
        auto request = decode_request(row.column_view(3));
        if (!request) {
          return unreadable("client_requests", r.server + ", " + std::to_string(r.mid.value), request.error().message);
        }
        r.request = std::move(*request);
        r.withdrawing = row.column_integer(4) != 0;
        r.acknowledged = row.column_integer(5) != 0;
        if (!row.column_null(6)) r.granted = model::Lifetime{row.column_integer(6)};
        r.granted_at = row.column_optional_time(7);
        r.author = row.column_text(8);
        r.note = row.column_text(9);
        return r;
      });
}

base::Result<std::map<std::string, std::uint64_t>> read_counters(Database& db) {
  std::map<std::string, std::uint64_t> counters;
  const auto rows = read_rows<bool>(db, "SELECT * FROM counters", bind_nothing, [&](Statement& row) {
    counters.emplace(row.column_text(0), row.column_number(1));
    return base::Result<bool>(true);
  });
  if (!rows) return rows.error();
  return counters;
}

base::Result<std::vector<ports::AuditRecord>> read_audit(Database& db, const ports::AuditQuery& wanted) {
  std::string sql = "SELECT at_ns, domain, actor, action, subject, verdict, text, credential FROM audit WHERE true";
  if (wanted.domain) sql += " AND domain=?";
  if (!wanted.action.empty()) sql += " AND action=?";
  if (!wanted.actor.empty()) sql += " AND (instr(actor, ?)>0 OR instr(credential, ?)>0)";
  if (!wanted.subject.empty()) sql += " AND instr(subject, ?)>0";
  if (wanted.since) sql += " AND at_ns>=?";
  if (wanted.until) sql += " AND at_ns<?";
  sql += " ORDER BY id DESC LIMIT ?";
  return read_rows<ports::AuditRecord>(
      db, sql.c_str(),
      [&](Statement& query) {
        if (wanted.domain) query.text(wanted.domain->value);
        if (!wanted.action.empty()) query.text(wanted.action);
        if (!wanted.actor.empty()) query.text(wanted.actor).text(wanted.actor);
        if (!wanted.subject.empty()) query.text(wanted.subject);
        if (wanted.since) query.time(*wanted.since);
        if (wanted.until) query.time(*wanted.until);
        query.integer(
            static_cast<std::int64_t>(std::min<std::size_t>(wanted.limit, std::numeric_limits<std::int64_t>::max())));
      },
      [](Statement& row) -> base::Result<ports::AuditRecord> {
        return ports::AuditRecord{row.column_time(0), base::DomainId(row.column_text(1)),
                                  row.column_text(2), row.column_text(3),
                                  row.column_text(4), row.column_text(5),
                                  row.column_text(6), row.column_text(7)};
      });
}

}  // namespace dots::adapters::store
