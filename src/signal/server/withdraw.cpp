// The end of a mitigation on somebody's word: the client's (RFC 9132 4.4.4) or the operator's.
#include "signal/server/answers.h"
#include "signal/server/machine.h"

namespace dots::signal::server {

void Machine::on_event(const DeleteMitigation& del, base::Now now) {
  const Key key{del.cuid, del.mid};
  Answer deleted;
  deleted.code = model::ResponseCode::deleted;
  reply(del.origin, std::move(deleted));

  drop_held({del.cuid, del.mid, del.origin.client},
            refused(model::ResponseCode::bad_request, "withdrawn by a DELETE while its names were looked up"));
  // Unknown mids and cuids of other clients: the same answer without effect (RFC 9132 4.4.4).
  if (own_cuid(del.cuid, del.origin.client) == nullptr) return;
  Mitigation* mitigation = find(del.cuid, del.mid);
  if (mitigation == nullptr || mitigation->terminating()) return;
  const base::Duration period = terminating_period(*mitigation);
  audit(now, del.origin, "withdraw", key, "accepted",
        period > base::Duration::zero()
            ? "active but terminating for " + std::to_string(base::whole_seconds(period)) + " s"
            : "terminated at once");
  terminate(*mitigation, period, now);
}

void Machine::on_event(const OperatorWithdraw& withdraw, base::Now now) {
  const Key key{withdraw.cuid, withdraw.mid};
  if (find(withdraw.cuid, withdraw.mid) == nullptr) {
    out_.emplace_back(OperatorAnswer{withdraw.ticket, false,
                                     "there is no mitigation with cuid=" + withdraw.cuid.value + " mid=" +
                                         std::to_string(withdraw.mid.value) + " in domain " + domain().value});
    return;
  }
  audit(now, "operator " + withdraw.author, "withdraw", key, "accepted",
        withdraw.note.empty() ? "withdrawn by the server" : "withdrawn by the server: " + withdraw.note,
        withdraw.credential);
  // The terminating period is not observed for withdrawals of the server (RFC 9132 4.4.1.3).
  end(key, model::MitigationStatus::withdrawn, now);
  out_.emplace_back(OperatorAnswer{withdraw.ticket, true, "withdrawn"});
}

}  // namespace dots::signal::server
