// The inside of ServerRuntime. Its parts: server_runtime.cpp starts and stops, server_world.cpp is what shards ask for,
// server_calls.cpp what operators ask for, server_reload.cpp what changes while the server runs.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "adapters/net/dtls_admission.h"
#include "adapters/net/tls_channel.h"
#include "adapters/resolver/ares_resolver.h"
#include "adapters/store/committer.h"
#include "agent/server/back_ends.h"
#include "agent/server/mitigation_planner.h"
#include "agent/server/ownership_gate.h"
#include "apps/runtime/admission_thread.h"
#include "apps/runtime/data_channel.h"
#include "apps/runtime/housekeeper.h"
#include "apps/runtime/losses.h"
#include "apps/runtime/mitigator_runner.h"
#include "apps/runtime/operator_calls.h"
#include "apps/runtime/operator_tickets.h"
#include "apps/runtime/redirect_desk.h"
#include "apps/runtime/reload.h"
#include "apps/runtime/server_runtime.h"
#include "apps/runtime/shard_thread.h"
#include "apps/runtime/stream_admission_thread.h"

namespace dots::runtime {

// What a configuration says about who is trusted and who may ask for what: made as a whole before any of it counts.
struct Beliefs {
  std::shared_ptr<const adapters::net::Credentials> credentials;
  std::shared_ptr<const policy::Identities> identities;
  std::vector<std::shared_ptr<const policy::DomainRules>> domains;
};
base::Result<Beliefs> load_beliefs(const ops::Config& config, ops::facts::Sink& sink);

struct ServerRuntime::State {
  using Done = std::function<void(agent::CallAnswer)>;

  State(ops::Config c, ops::facts::Sink& s);

  // ---- start and stop (server_runtime.cpp) -------------------------------------------------------------------------
  base::Result<void> open();
  base::Result<void> open_back_ends(bool hold, bool frozen);
  void open_shards(const Beliefs& believed, std::uint32_t count);
  void open_admission(const Beliefs& believed, std::vector<adapters::net::TcpListener> listeners);
  base::Result<void> open_data_channel(const Beliefs& believed);
  void stop();

  // ---- what shards ask for (server_world.cpp) ----------------------------------------------------------------------
  ShardWorld world();
  bool commit(std::uint32_t from, std::vector<ports::Change> changes, base::Now now);
  bool read(std::uint32_t from, const base::DomainId& domain);
  void want(std::vector<signal::server::DesiredRules> rules, std::vector<mitigation::DomainFilters> filters);
  void filters_counted(std::vector<mitigation::FilterCounts> counts);
  void resolve(const base::DomainId& domain, const std::string& name);
  void peers(const std::vector<model::Path>& opened, const std::vector<model::Path>& closed);
  bool to_domain(agent::server::ToDomain message);
  bool to_data(agent::server::DataRequest asked);
  void to_domains(const std::vector<agent::server::ToDomain>& messages);
  // Counts what a full queue drops.
  void hand_over(std::uint32_t to, const char* what, ShardThread::Step step, adapters::net::Priority priority);
  void watch_clock(base::Now now);
  void tell_able();

  // ---- what operators ask for (server_calls.cpp) -------------------------------------------------------------------
  template <class View>
  void gather(std::function<View(const agent::server::Shard&, base::Now)> take,
              std::function<void(std::vector<View>)> done);
  void status(Done done);
  void list(Done done);
  void show(const ServerArguments& arguments, Done done);
  void explain(const ServerArguments& arguments, Done done);
  void filters(const ServerArguments& arguments, Done done);
  void rules(const ServerArguments& arguments, Done done);
  void audit(const ServerArguments& arguments, Done done);
  template <class Event>
  void about_one(const ServerArguments& arguments, Event event, Done done);
  template <class Event>
  void ask_domain(const base::DomainId& domain, Event event, std::optional<base::Mid> mid, Done done);
  void release_cuid(const ServerArguments& arguments, const agent::Caller& caller, Done done);
  void release_armed(const agent::Caller& caller, Done done);
  void redirects(Done done);

  // ---- policy (server_policy.cpp) ----------------------------------------------------------------------------------
  std::shared_ptr<const agent::server::PlannerSettings> planner_settings(const ops::Config& from) const;
  std::shared_ptr<const agent::server::MitigationPlanner> make_planner(
      std::shared_ptr<const agent::server::PlannerSettings> settings);
  void watch_load();
  void watch_means();
  void set_owners(const std::vector<std::shared_ptr<const policy::DomainRules>>& domains);
  void add_safe_lists(std::vector<mitigation::DomainFilters>& filters) const;
  void tell_safe_lists(const agent::server::Owners& before);
  void withhold_unowned(signal::server::DesiredRules::Want& want);
  void show_policy(const Done& done) const;
  void what_if(const boost::json::object& arguments, const Done& done) const;

  // ---- the global stop (server_freeze.cpp) -------------------------------------------------------------------------
  base::Result<bool> read_freeze();
  std::string await_frozen() const;
  void freeze(const std::string& reason, const agent::Caller& caller, Done done);
  void unfreeze(const agent::Caller& caller, Done done);
  std::vector<agent::server::BackEndView> back_end_views() const;

  // ---- what changes while the server runs (server_reload.cpp) ------------------------------------------------------
  // Any thread; the answer comes later.
  void reload_config(bool dry_run, const agent::Caller& caller, Done done);
  void redirect(boost::json::object arguments, const agent::Caller& caller, Done done);
  std::shared_ptr<const ops::Config> running() const;  // as the last reload left it
  // The housekeeper's thread: these wait for the shards.
  void on_all_shards(const ShardThread::Step& step);
  void apply(const Reload& reload, const Beliefs& next);
  void redirect_now(const boost::json::object& arguments, const agent::Caller& caller, const Done& done);
  void set_redirects();
  void believe(std::shared_ptr<const adapters::net::Credentials> next);
  void recheck_sessions();
  void watch_revocations();
  void watch_mitigators();
  void audit_line(const agent::Caller& caller, const std::string& action, const std::string& subject,
                  const std::string& text, std::function<void()> then);

  const ops::Config config;  // as it was at the start
  ops::facts::Sink& sink;
  const base::SteadyTime started;
  RedirectDesk desk;
  OperatorTickets tickets;

  mutable std::mutex running_mutex;  // held to copy the pointer alone
  std::shared_ptr<const ops::Config> running_config;
  // Guarded by running_mutex.
  std::shared_ptr<const agent::server::MitigationPlanner> planner;
  std::shared_ptr<const agent::server::Owners> owners = std::make_shared<const agent::server::Owners>();

  // ---- set by open() -----------------------------------------------------------------------------------------------
  std::vector<std::string> listening;
  std::vector<model::SocketAddress> bound;
  std::unique_ptr<Losses> losses;
  std::unique_ptr<adapters::store::Committer> committer;
  std::unique_ptr<adapters::resolver::AresResolver> resolver;
  std::vector<std::unique_ptr<MitigatorRunner>> runners;
  std::vector<std::unique_ptr<ShardThread>> shards;
  std::shared_ptr<adapters::net::DtlsAdmission> dtls_admission;  // the admission thread's, once it runs
  std::unique_ptr<AdmissionThread> admission;
  std::shared_ptr<adapters::net::TlsAcceptor> tls_acceptor;  // the stream admission's thread's, once it runs
  std::unique_ptr<StreamAdmissionThread> stream_admission;   // empty: no TCP
  std::shared_ptr<adapters::net::TicketKeys> ticket_keys;    // empty: sessions are not resumed
  std::unique_ptr<DataChannel> data_channel;                 // empty: off
  bool stopped = false;

  // ---- the housekeeper's thread, once it runs ----------------------------------------------------------------------
  std::shared_ptr<const adapters::net::Credentials> credentials;  // in force
  std::string crl_stamp;                                          // of the list in force
  std::string crl_refused;                                        // of the list that could not be used, told once
  std::optional<base::SteadyTime> mitigators_down_since;
  agent::server::BackEndLoads loads_told;  // to the planner
  Housekeeper housekeeper;
  // Answers of operators are made here: a list of 10,000 sessions takes time that no shard has.
  Housekeeper secretary;

  // ---- shared ------------------------------------------------------------------------------------------------------
  std::mutex back_ends_mutex;  // guards back_ends: reported by the runners' threads
  agent::server::BackEnds back_ends;
  signal::server::BackEndsReport able_report;  // guarded by back_ends_mutex
  std::vector<bool> shards_to_tell;            // guarded by back_ends_mutex: who has not heard able_report
  // Guarded by back_ends_mutex: what was counted for entries of filters and is not handed over.
  std::map<model::FilterListKey, std::map<std::string, model::RuleCounters>> uncounted;
  std::mutex exemptions_mutex;  // guards exemptions: changed by the shards' threads
  agent::server::Exemptions exemptions;
  std::atomic<bool> other_means{false};  // a back end has said that it can do other things than it was taken for
  std::atomic<base::WallTime> newest_commit{base::WallTime{}};  // what is stored, by the wall clock of then
  bool clock_is_behind = false;                                 // the first shard's thread
};

}  // namespace dots::runtime
