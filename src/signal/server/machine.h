// The machine behind Domain: one class, one file for each idea. Internal to this room.
//
//   put.cpp        requests: validate, refresh, accept, replace        names.cpp      look-ups, held requests
//   retrieve.cpp   GET and its observers                               reports.cpp    what the back ends say
//   withdraw.cpp   DELETE, the operator                                load.cpp       from the store, new policy,
//   conflicts.cpp  between clients of the domain          armed.cpp      preconfigured requests
//   filters.cpp    filters of the data channel that a request switches
//   presence.cpp   is the signal of a client there?       cuids.cpp      who may use which cuid
//   approval.cpp   what waits for a person
//   clocks lifetimes.cpp  deadlines, the terminating period, the end          domain.cpp     dispatch, views
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "signal/server/domain.h"
#include "signal/server/records.h"

namespace dots::signal::server {

class Machine {
 public:
  Machine(std::shared_ptr<const policy::DomainRules> rules, std::shared_ptr<const Planner> planner,
          const DomainLimits& limits, AliasLookup aliases, DataChannel data_channel)
      : rules_(std::move(rules)),
        planner_(std::move(planner)),
        limits_(limits),
        aliases_(std::move(aliases)),
        data_channel_(std::move(data_channel)) {}

  std::vector<Effect> load(const ports::Snapshot& snapshot, base::Now now, bool keep_observers,
                           const std::set<model::RuleOwner>& unsaid);
  std::vector<Effect> step(const Event& event, base::Now now);
  std::optional<base::SteadyTime> next_deadline() const { return timers_.next(); }
  std::vector<Effect> set_rules(std::shared_ptr<const policy::DomainRules> rules, base::Now now);
  std::vector<Effect> set_planner(std::shared_ptr<const Planner> planner, Replan which, base::Now now);
  const policy::DomainRules& rules() const { return *rules_; }
  std::vector<MitigationView> view(base::Now now) const;
  ClientCounts clients() const;
  bool has_armed_requests(const base::ClientId& client) const;
  std::optional<base::ClientId> cuid_owner(const base::Cuid& cuid) const;  // cuids.cpp
  bool mitigating(const base::Cuid& cuid) const;
  std::uint64_t mitigating_version() const { return mitigating_version_; }
  std::vector<const ports::MitigationRecord*> running(const base::Cuid& cuid) const;

 private:
  using Origins = std::vector<Origin>;

  // ---- domain.cpp
  void on_event(const TimerFired&, base::Now) {}  // every step fires what is due
  // The session configuration has a machine of its own (session_config.h).
  void on_event(const PutConfig&, base::Now) {}
  void on_event(const GetConfig&, base::Now) {}
  void on_event(const DeleteConfig&, base::Now) {}
  void fire_due(base::Now now);
  // What a step gathers and says once, at its end: rules together, and clients that began or ceased to mitigate.
  std::vector<Effect> finish();
  void reply(const Origin& origin, Answer answer, bool observe = false);
  void persist(ports::Change change) { out_.emplace_back(Persist{std::move(change)}); }
  void audit(base::Now now, std::string actor, std::string action, const Key& key, std::string verdict,
             std::string text, std::string credential = {});
  // What the client of the request asked for, and what became of it.
  void audit(base::Now now, const Origin& origin, std::string action, const Key& key, std::string verdict,
             std::string text);
  const base::DomainId& domain() const { return rules_->policy().id; }

  // The cuid when it belongs to this client, else null.
  const CuidState* own_cuid(const base::Cuid& cuid, const base::ClientId& client) const;
  Mitigation* find(const base::Cuid& cuid, base::Mid mid);
  // Keeps the indices, counts and users of names right. The record must not change its scope, expansion or status
  // behind their back.
  Mitigation& put_in(Mitigation mitigation, base::Now now);
  void take_out(const Key& key, base::Now now);
  ScopeIndex& index_of(const Mitigation& m) { return m.preconfigured() ? preconfigured_ : immediate_; }
  // What depends on the state of a mitigation is counted; every change of it goes through these.
  void count(const Mitigation& mitigation, bool in);
  void set_status(Mitigation& mitigation, model::MitigationStatus status, base::Now now);
  void note(std::string_view id, std::string details) { out_.emplace_back(OperatorNote{id, std::move(details)}); }
  std::string text_of(const Mitigation& mitigation) const;
  void save(const Mitigation& mitigation) { persist(ports::PutMitigation{mitigation.record}); }
  // Asks for the rules of the mitigation as they are planned now; `plan` when that has just been done.
  // `quiet`: nothing but loads has changed, so that back ends that keep their part need not hear of it.
  void want(Mitigation& mitigation, std::optional<Plan> plan, base::Now now, bool quiet = false);
  void want(Mitigation& mitigation, base::Now now) { want(mitigation, std::nullopt, now); }
  // `holders`: whose rules go when these come: the mitigation itself, when it is not new, and those that it replaces.
  Plan plan(const ports::MitigationRecord& record, const std::vector<const Mitigation*>& holders) const;
  std::vector<PlanTargets> targets_of(const ports::MitigationRecord& record) const;
  void hold(Mitigation& mitigation, const std::vector<Plan::Part>& parts);
  void want_nothing(const Key& key);

  // ---- put.cpp
  void on_event(const PutMitigation& put, base::Now now);
  enum class Stage : std::uint8_t { first, names_known };
  void decide(const PutMitigation& put, const Origins& origins, Stage stage, base::Now now);
  void refresh(Mitigation& known, const PutMitigation& put, const Origins& origins, base::Now now);
  void create(const PutMitigation& put, std::vector<model::Alias> aliases, const Origins& origins, Stage stage,
              base::Now now);
  // What the alias-names stand for now; an error names the one that is not known.
  base::Result<std::vector<model::Alias>> resolve_aliases(const PutMitigation& put) const;
  // Too many requests of the domain begin to be mitigated: answered with 5.03.
  bool damped(const PutMitigation& put, const Origins& origins, base::Now now);
  policy::Verdict may_request(const PutMitigation& put, const std::vector<model::Alias>& aliases) const;
  void refuse(const PutMitigation& put, const Origins& origins, Answer answer, const std::string& reason,
              const std::string& next_step, base::Now now);
  void refuse(const PutMitigation& put, const Origins& origins, const policy::Verdict& verdict, base::Now now);

  // ---- filters.cpp
  // Both answer when not. The first changes nothing, the second switches.
  bool may_switch(const PutMitigation& put, const Origins& origins, base::Now now);
  bool switch_filters(const PutMitigation& put, const Origins& origins, base::Now now);
  void on_event(const FiltersChanged& changes, base::Now now);
  // What the server has switched since `told`, each once.
  void add_filter_news(Answer& answer, const base::Cuid& cuid, std::uint64_t& told) const;

  // ---- cuids.cpp
  // The other client to whom this cuid belongs, by use or as the hash of its credential.
  std::optional<base::ClientId> taken_by_other(const base::Cuid& cuid, const base::ClientId& client) const;
  // Room for one more cuid of the client: free, or freed from one without mitigations.
  bool make_room_for_cuid(const base::ClientId& client);
  void claim_cuid(const base::Cuid& cuid, const base::ClientId& client, base::Now now);
  void free_cuid(const base::Cuid& cuid);
  void remember_credential(const base::Cuid& cuid, const base::ClientId& client);
  void on_event(const OperatorReleaseCuid& release, base::Now now);

  // ---- conflicts.cpp
  void on_event(const AcceptListReport& report, base::Now now);
  // Requests of other clients that overlap and contend, each once.
  std::vector<Mitigation*> rivals(const base::ClientId& client, const model::MitigationScope& scope,
                                  const std::vector<model::Prefix>& expanded) const;
  std::vector<Mitigation*> rivals(const Mitigation& mitigation) const;
  Contest contest(const base::ClientId& client, const model::MitigationScope& scope,
                  const std::vector<model::Prefix>& expanded) const;
  // May a request that is kept out run now?
  bool blocked(const Mitigation& mitigation) const;
  // Refuses with 4.09; those in the way learn of it.
  void refuse_conflict(const PutMitigation& put, const Origins& origins, const model::MitigationScope& targets,
                       const std::vector<model::Prefix>& expanded, const std::vector<Mitigation*>& in_the_way,
                       base::Now now);
  void refuse_deactivated(Mitigation& known, const PutMitigation& put, const Origins& origins, base::Now now);
  // Takes the rules from what runs; `for_so_long` is the lifetime of what it gives way to.
  void give_way(Mitigation& loser, const Mitigation& to, base::Duration for_so_long, base::Now now);
  void keep_deactivated(Mitigation& mitigation, base::Duration retry, base::Now now);
  void activate(Mitigation& mitigation, base::Now now);
  // It contends no more, or runs no more: others may.
  void freed(const Mitigation& mitigation, base::Now now);
  void reconsider(base::Now now);
  void reconsider_all();
  std::optional<model::ConflictInformation> conflict_of(const Mitigation& mitigation, base::Now now) const;
  base::Duration retry_after(const std::vector<Mitigation*>& of, base::Now now) const;
  base::Duration left(const Mitigation& mitigation, base::Now now) const;
  model::MitigationEntry entry_for(const Mitigation& mitigation, GetMitigation::Filter filter, base::Now now) const;
  void tell_rivals(const Mitigation& mitigation, base::Now now);

  // ---- armed.cpp
  void on_event(const AttackReport& report, base::Now now);
  void start_armed(const base::ClientId& client, base::Now now);
  void start(Mitigation& mitigation, base::Now now);
  // Its start was not committed: tried again by the next step.
  void start_again(Mitigation& mitigation, base::Now now);
  // Back to waiting; `status` (3 or 7) is shown for four notification intervals before 8.
  void stand_down(Mitigation& mitigation, model::MitigationStatus status, const std::string& why, base::Now now);
  void stand_down_for(const Mitigation& immediate, base::Now now);
  void on_fade_timer(const Key& key, base::Now now);

  // ---- presence.cpp
  void on_event(const SessionEdge& edge, base::Now now);
  void on_event(const SignalGuard& guard, base::Now now);
  void set_presence(ClientState& client, Presence presence);
  void went_elsewhere(const base::ClientId& id);
  void came_back(const base::ClientId& id, base::Now now);
  void judge(const base::ClientId& id, std::optional<base::Duration> closed_for_loss, base::Now now);
  void arm_presence(const base::ClientId& id, ClientState& client, base::Now now);
  void on_presence_timer(const base::ClientId& id, base::Now now);
  bool all_silent(const ClientState& client) const;
  void expect_after_start(base::Now now);

  // ---- names.cpp
  void on_event(const NameResolved& event, base::Now now);
  void hold(const PutMitigation& put, const std::set<std::string>& missing, base::Now now);
  bool join_held(const PutMitigation& put, base::Now now);
  void drop_held(const HoldKey& key, const Answer& answer);
  Hold take_hold(std::uint64_t number);
  void on_hold_timer(std::uint64_t number, base::Now now);
  void on_name_timer(const std::string& name, base::Now now);
  void ask(const std::string& name, base::Now now);
  bool usable(const std::string& name, base::Now now) const;
  // Into the store, as far as its bound allows.
  void remember(Name& name);
  void use_names(const Mitigation& mitigation, base::Now now);
  void unuse_names(const Mitigation& mitigation, base::Now now);
  void maybe_forget(const std::string& name);
  // A name that the store has and that nothing has used for `idle`: forgotten at last.
  void forget_later(const std::string& text, Name& name, base::Duration idle, base::Now now);
  std::vector<model::Prefix> expand(const model::MitigationScope& scope) const;
  // After a name or the policy changed: the addresses that this mitigation may be about now.
  void re_expand(Mitigation& mitigation, base::Now now);
  void took_answer(const std::string& name, std::vector<model::IpAddress> addresses, base::Duration ttl, base::Now now);

  // ---- retrieve.cpp
  void on_event(const GetMitigation& get, base::Now now);
  void on_event(const ObservationCancelled& cancelled, base::Now now);
  // What a client may see; the cuid of another client looks like one that nobody uses.
  Answer render(const base::ClientId& client, const base::Cuid& cuid, std::optional<base::Mid> mid,
                GetMitigation::Filter filter, base::Now now) const;
  bool observe(const GetMitigation& get, base::Now now);
  void unobserve(std::uint64_t number);
  void unobserve(base::SessionId session, const base::Bytes& token);
  // Something that the observers of this mitigation can see has changed; `farewell` when it has ended.
  void changed(const Key& key, base::Now now, const model::MitigationEntry* farewell = nullptr);
  void mark(Observer& observer, base::Now now, const model::MitigationEntry* farewell);
  void schedule(Observer& observer, base::Now now);
  void on_observer_timer(std::uint64_t number, base::Now now);
  bool shows_activity(const Observer& observer) const;
  template <class Do>
  void for_observers(const Key& key, Do&& act);

  // ---- withdraw.cpp
  void on_event(const DeleteMitigation& del, base::Now now);
  void on_event(const OperatorWithdraw& withdraw, base::Now now);

  // ---- approval.cpp
  void on_event(const OperatorApprove& approve, base::Now now);
  void on_event(const OperatorRefuse& refuse, base::Now now);
  // Has it wait when the plan says so, and leaves of the plan what goes before the approval.
  void judge_approval(Mitigation& mitigation, Plan& plan, base::Now now);
  void settle_approval(Mitigation& mitigation, ports::Approval approval);
  // It waits no more, or not for now.
  void stop_approval_clock(Mitigation& mitigation);
  // What a request that takes the place of these keeps of their approval.
  ports::Approval inherited_approval(const ports::MitigationRecord& record, const Plan& plan,
                                     const std::vector<const Mitigation*>& replaced) const;
  void on_approval_timer(const Key& key, base::Now now);
  Mitigation* judged(std::uint64_t ticket, const Key& key);

  // ---- lifetimes.cpp
  void on_mitigation_timer(const Key& key, base::Now now);
  // Starts the period that record.deadline ends; nothing: indefinite.
  void run_for(Mitigation& mitigation, std::optional<base::Duration> span, base::Now now);
  void grant(Mitigation& mitigation, model::Lifetime granted, base::Now now);
  base::Duration terminating_period(const Mitigation& mitigation) const;
  base::Duration period_after_expiry(const Mitigation& mitigation, base::Now now) const;
  // Into the active-but-terminating period, or over at once when that is of no length.
  void terminate(Mitigation& mitigation, base::Duration period, base::Now now);
  // The end: rules gone, record gone, observers told `last` (6 or 7) and then 4.04; without `last` only 4.04.
  // `refusal`: what a person said, for clients that take it.
  void end(const Key& key, std::optional<model::MitigationStatus> last, base::Now now, const std::string& refusal = {});

  // ---- reports.cpp
  void on_event(const RulesReport& report, base::Now now);
  void on_event(const BackEndsReport& report, base::Now now);
  void on_event(const CountersReport& report, base::Now now);
  void watch_volume(Mitigation& mitigation);
  void on_volume_timer(const Key& key, base::Now now);

  // ---- load.cpp
  void watch_clocks(base::Now now);
  // `before`: what was known of it, when the store is read again.
  void adopt(const ports::MitigationRecord& record, const ports::Snapshot& snapshot, base::Now now, bool fresh,
             const Mitigation* before);
  void adopt_names(const ports::Snapshot& snapshot, std::unordered_map<std::string, Name> before);

  std::shared_ptr<const policy::DomainRules> rules_;
  std::shared_ptr<const Planner> planner_;
  DomainLimits limits_;
  AliasLookup aliases_;
  DataChannel data_channel_;

  std::size_t rules_held_ = 0;         // by all mitigations
  std::optional<std::string> unable_;  // why no back end can install rules

  std::map<base::Cuid, CuidState> cuids_;
  std::map<base::ClientId, ClientState> clients_;
  std::size_t total_ = 0;                           // mitigations
  std::map<std::string, std::size_t> by_contract_;  // mitigations that refer to one
  std::uint64_t mitigating_version_ = 0;
  ScopeIndex immediate_;
  ScopeIndex preconfigured_;
  std::unordered_map<ScopeIndex::Number, Mitigation*> by_number_;
  std::map<base::Cuid, base::ClientId> credential_cuids_;  // seen in sessions
  std::size_t contending_clients_ = 0;
  std::size_t kept_out_ = 0;
  std::set<ScopeIndex::Number> candidates_;  // kept out, and something in their way has gone in this step
  bool signal_held_ = false;                 // by the process: see SignalGuard
  base::SteadyTime no_loss_before_{};
  std::array<std::size_t, 5> present_{};  // clients by presence
  std::size_t approvals_late_ = 0;        // mitigations
  Timers timers_;

  std::unordered_map<std::string, Name> names_;
  std::size_t names_stored_ = 0;
  std::vector<std::string> idle_names_;  // a ring of candidates for forgetting
  std::size_t idle_at_ = 0;
  std::map<std::uint64_t, Hold> holds_;
  std::map<HoldKey, std::uint64_t> hold_of_;
  std::size_t held_ = 0;  // requests that wait, repeats counted
  std::uint64_t next_number_ = 1;

  std::map<std::uint64_t, Observer> observers_;
  std::map<std::pair<base::SessionId, base::Bytes>, std::uint64_t> observer_of_;
  std::map<std::pair<base::Cuid, std::optional<base::Mid>>, std::set<std::uint64_t>> observers_of_;
  std::map<base::SessionId, SessionState> sessions_;
  std::map<model::IpAddress, std::size_t> peers_;  // that sessions come from, with their number

  // wall - steady, as it was when all stored deadlines were right.
  std::optional<base::Duration> clock_offset_;

  std::vector<Effect> out_;
  std::map<Key, DesiredRules::Want> wants_;
  std::set<base::ClientId> touched_;
  std::set<base::Cuid> turned_;  // whose first mitigation came, or whose last one went, in this step
};

inline std::string client_text(const base::ClientId& client) { return "client " + client.value; }
// A request with its aliases as one scope, for names, overlap and ownership: without their protocols and ports, and
// with alias-names that tell whose they are.
model::MitigationScope whole_scope(const base::Cuid& cuid, const model::MitigationScope& scope,
                                   const std::vector<model::Alias>& aliases);
// The scopes whose rules together make the mitigation: the request's own targets when it names any, and each alias. An
// alias without protocols and ports takes those of the request.
std::vector<model::MitigationScope> parts_of(const model::MitigationScope& scope,
                                             const std::vector<model::Alias>& aliases);
// The names whose addresses a scope needs, canonical, without duplicates.
std::vector<std::string> names_of(const model::MitigationScope& scope);

}  // namespace dots::signal::server
