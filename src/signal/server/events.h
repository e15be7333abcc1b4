// What reaches a client domain's mitigation machine, and what it wants done: plain values on both sides.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/time.h"
#include "model/mitigation.h"
#include "model/response_code.h"
#include "model/rule.h"
#include "model/session_config.h"
#include "ports/resolver.h"
#include "ports/store.h"
#include "signal/server/planner.h"

namespace dots::signal::server {

// Where an answer has to go.
struct Origin {
  base::SessionId session;
  base::ExchangeId exchange;
  base::ClientId client;           // the proven identity, already mapped to this domain
  base::Bytes token;               // names the observation when the request asks for one
  std::string credential = {};     // what proved the identity, for the audit log
  base::SteadyTime received_at{};  // the datagram that completed the request
  friend bool operator==(const Origin&, const Origin&) = default;
};

// ---- events -------------------------------------------------------------------------------------------------------

// PUT mitigate/cuid=/mid= with a decoded body (RFC 9132 4.4.1, 4.4.3).
struct PutMitigation {
  Origin origin;
  base::Cuid cuid;
  base::Mid mid;
  model::MitigationRequest request;
  enum class IfMatch : std::uint8_t { absent, empty, other } if_match = IfMatch::absent;
};
// GET mitigate/cuid=[/mid=] (RFC 9132 4.4.2).
struct GetMitigation {
  Origin origin;
  base::Cuid cuid;
  std::optional<base::Mid> mid;
  enum class Filter : std::uint8_t { all, config, non_config } filter = Filter::all;
  std::optional<std::uint32_t> observe;  // 0 register, 1 deregister
};
// DELETE mitigate/cuid=/mid= (RFC 9132 4.4.4).
struct DeleteMitigation {
  Origin origin;
  base::Cuid cuid;
  base::Mid mid;
};
// PUT, GET and DELETE config[/sid=] (RFC 9132 4.5): for SessionConfigs, not for the mitigation machine.
struct PutConfig {
  Origin origin;
  base::Sid sid;
  model::ParameterSets wanted;
};
struct GetConfig {
  Origin origin;
  std::optional<base::Sid> sid;
  std::optional<std::uint32_t> observe;  // 0 register, 1 deregister
  bool over_tcp = false;                 // leaves out what is not negotiated there
};
struct DeleteConfig {
  Origin origin;
  std::optional<base::Sid> sid;
};
// Edges of the client's sessions, reported by the session machines: opened; nothing heard for the whole loss threshold;
// heard again after quiet or silent; closed by either side; nothing heard for half of the threshold.
struct SessionEdge {
  enum class Kind : std::uint8_t { opened, silent, alive, closed, quiet } kind = Kind::opened;
  base::SessionId session;
  base::ClientId client;
  base::Duration loss_after{};   // with closed: the loss threshold that was in force; zero: the domain's default
  base::Cuid credential_cuid{};  // with the first: the cuid that follows from the credential (RFC 9132 4.4.1.1)
  bool redirected = false;       // with closed: the client was sent to another server (RFC 9132 4.6), which is no loss
  std::optional<model::IpAddress> peer = {};  // where it comes from, with opened
};
// The process's view over all shards: so many clients fell silent together that it can hardly be their loss, or the
// server itself was not there. Nothing preconfigured starts while `held`, and no loss is counted for `grace` from now.
struct SignalGuard {
  bool held = false;
  base::Duration grace{};
};
// The peer ended an observation (Reset, Observe 1, or its session is gone).
struct ObservationCancelled {
  base::SessionId session;
  base::Bytes token;
};
// Answers an effect ResolveName.
struct NameResolved {
  ports::Resolution resolution;
};
// What the back ends say about the rules of one mitigation.
struct RulesReport {
  base::Cuid cuid;
  base::Mid mid;
  enum class State : std::uint8_t { pending, installed, failed } state = State::pending;
  std::string reason;                                      // when failed, or what a pending one waits for
  std::optional<model::RefusalReason> why = std::nullopt;  // when failed, where the back end has told
  // The back ends that have no room for its rules, or are away and have not got them: another plan is as good.
  std::set<std::string> without = {};
  bool withheld = false;  // by the server itself (safety.rules): no back end has heard of it
};
// Whether any back end can install rules at present; until one has spoken they are taken to be able.
struct BackEndsReport {
  bool able = true;
  std::string reason;  // when not
};
// The back end's word on the attack itself (status 3 of RFC 9132 Table 2), from one that can tell.
struct AttackReport {
  base::Cuid cuid;
  base::Mid mid;
  bool stopped = true;  // false: it goes on after all
};
// Sources on accept-lists of the client take part in the attack on this mitigation's targets (conflict-cause 2). The
// names are those of its filters on the data channel; none: the conflict is over.
struct AcceptListReport {
  base::Cuid cuid;
  base::Mid mid;
  std::vector<std::string> acl_names;
};
// Counters of the rules of one mitigation, as far as the back ends can count.
struct CountersReport {
  base::Cuid cuid;
  base::Mid mid;
  model::DropCounters counters;
};
// The operator ends a mitigation (status 7, no terminating period).
struct OperatorWithdraw {
  std::uint64_t ticket = 0;  // returned in OperatorAnswer
  base::Cuid cuid;
  base::Mid mid;
  std::string author;
  std::string note;
  std::string credential = {};  // how the operator was known
};
// A person says yes to a mitigation that waits for it, or to one that does not run yet; or no (status 7).
struct OperatorApprove {
  std::uint64_t ticket = 0;
  base::Cuid cuid;
  base::Mid mid;
  std::string author;
  std::string note;
  std::string credential = {};  // how the operator was known
};
struct OperatorRefuse {
  std::uint64_t ticket = 0;
  base::Cuid cuid;
  base::Mid mid;
  std::string author;
  std::string reason;
  std::string credential = {};
};
// The operator frees a cuid from its client, so that another may use it.
struct OperatorReleaseCuid {
  std::uint64_t ticket = 0;
  base::Cuid cuid;
  std::string author;
  std::string note;
  std::string credential = {};
};
// Filters of a client have another activation-type, and not by a mitigation request.
struct FiltersChanged {
  base::Cuid cuid;
  std::vector<model::AclActivation> acl_list;
};
struct TimerFired {};

using Event = std::variant<PutMitigation, GetMitigation, DeleteMitigation, SessionEdge, SignalGuard,
                           ObservationCancelled, NameResolved, RulesReport, BackEndsReport, AttackReport,
                           AcceptListReport, CountersReport, OperatorWithdraw, OperatorApprove, OperatorRefuse,
                           OperatorReleaseCuid, FiltersChanged, TimerFired, PutConfig, GetConfig, DeleteConfig>;

// ---- effects ------------------------------------------------------------------------------------------------------

// The meaning of an answer; the session's side turns it into CoAP and CBOR. With neither entries nor diagnostic the
// answer is empty (2.02).
struct Answer {
  model::ResponseCode code = model::ResponseCode::content;
  std::vector<model::MitigationEntry> entries;
  std::string diagnostic;
  std::optional<std::uint32_t> max_age_s;
  std::size_t left_out = 0;                                 // older entries than one answer takes
  std::optional<model::RefusalReason> refusal_reason = {};  // of a refusal; told to clients that take our extensions
  std::vector<std::string> offered_service = {};            // likewise: what could be asked for instead
  friend bool operator==(const Answer&, const Answer&) = default;
};
struct Reply {
  base::SessionId session;
  base::ExchangeId exchange;
  Answer answer;
  bool observe = false;  // the observation is accepted
};
// RFC 9132 4.4.3: an efficacy update without a match gets no answer at all.
struct NoReply {
  base::SessionId session;
  base::ExchangeId exchange;
};
struct Notify {
  base::SessionId session;
  base::Bytes token;
  Answer answer;
};
struct Persist {
  ports::Change change;
};
// Replaces the rules that these mitigations want, all together (the reconciler installs new before it removes old).
struct DesiredRules {
  struct Want {
    model::RuleOwner owner;
    std::vector<Plan::Part> parts;  // for each back end; none: nothing any more
    std::string reason;             // "requested by client <id>", for dotsctl explain
    std::optional<base::WallTime> until;
    std::optional<base::SteadyTime> asked_at = {};  // with the first want of a mitigation: when its request came
  };
  std::vector<Want> wants;
};
struct ResolveName {
  std::string name;
};
struct OperatorAnswer {
  std::uint64_t ticket = 0;
  bool ok = false;
  std::string text;
};
// Mitigations of this client exist (RFC 9132 4.5: which configuration set is in force). Sent on every change.
struct ClientMitigating {
  base::ClientId client;
  bool mitigating = false;
};
// A line for the log; `id` names a row of ops/facts/messages.inc.
struct OperatorNote {
  std::string_view id;
  std::string details;
};

using Effect = std::variant<Reply, NoReply, Notify, Persist, DesiredRules, ResolveName, OperatorAnswer,
                            ClientMitigating, OperatorNote>;

}  // namespace dots::signal::server
