// One simulation: a scenario played by the real machines under virtual time, with the oracle at its side.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/sim/coverage.h"
#include "tests/sim/network.h"
#include "tests/sim/oracle.h"
#include "tests/sim/random.h"
#include "tests/sim/scenario.h"
#include "tests/world/client_node.h"
#include "tests/world/server_node.h"

namespace dots::sim {

inline base::Duration seconds_of(double s) { return base::Duration{static_cast<std::int64_t>(s * 1e9)}; }

struct Outcome {
  std::string failure;  // empty: everything held
  double at_s = 0;      // of the failure
  std::uint64_t events = 0;
};

class Simulation {
 public:
  // `verbose`: every step is told on standard output.
  Simulation(const Scenario& scenario, Coverage& coverage, bool verbose);
  Outcome run();

 private:
  struct Client {
    std::string name, domain;
    world::ClientParts parts;
    world::WallClock clock;
    std::unique_ptr<world::ClientNode> node;
    std::uint64_t starts = 0;
    double store_faults = 0, store_delay_s = 0;
    std::map<std::uint32_t, std::string> phases;  // as seen last
    std::map<std::uint32_t, std::string> sessions;
    bool look_due = false;
    bool was_redirected = false;
    std::optional<base::SteadyTime> dark_since;  // nothing gets through, and nobody has restarted
  };

  // A server's process and what outlives it. The clients know the first; the second is where it may send them.
  struct Site {
    std::string name, host;
    model::SocketAddress address;
    world::ServerParts parts;
    world::WallClock clock;
    world::BackEnd back_end;
    std::unique_ptr<world::ServerNode> node;
    std::unique_ptr<Oracle> oracle;
    std::uint64_t starts = 0;
    bool stopping = false, wanted = true;
    double store_faults = 0, store_delay_s = 0;
    // Orders of operators outlive the process.
    std::shared_ptr<const agent::server::Redirects> redirects = std::make_shared<agent::server::Redirects>();

    bool up() const { return node && !stopping; }
  };

  void perform(const Action& action);
  void make_site(const std::string& name, const std::string& host, const std::string& address);
  void server_action(Site& site, const std::vector<std::string>& words);
  void client_action(Client& client, const std::vector<std::string>& words);
  void mitigate(Client& client, const std::string& target, std::int64_t lifetime_s, bool trigger);
  void start_server(Site& site);
  void end_server(Site& site, bool running_commit_comes_through);
  void stop_server(Site& site);
  world::RunnerHooks runner_hooks(Site& site);
  void start_client(Client& client);
  void end_client(Client& client);
  world::CommitHooks commit_hooks(const std::string& whose, double& faults, double& delay_s);
  void resolve(const std::string& name, std::function<void(const ports::Resolution&)> done);
  void back_end(const std::string& what, const std::string& how);
  void forge(std::int64_t datagrams);
  void operator_withdraw(std::uint64_t pick);
  void redirect(const std::vector<std::string>& words);
  void look_at(Client& client);
  void check_dark(Client& client);
  void quiesce();
  void check_end();
  void check_client_end(Client& client);
  static bool somebody_contends(const Site& site, const ports::MitigationRecord& record);
  void check_server_end(Site& site);
  void check_bounds();
  void fail(const std::string& why);
  void tell(const std::string& text) const;
  double seconds() const;
  Client& client(const std::string& name) { return *clients_.at(name); }
  Site& home() const { return *sites_.front(); }
  Site* site_named(const std::string& name) const;
  const std::string* domain_of(const model::SocketAddress& address) const;

  const Scenario scenario_;
  Coverage& coverage_;
  const bool verbose_;
  Random random_;
  world::Timeline timeline_;
  const base::SteadyTime began_ = timeline_.now();
  Network network_;
  std::map<std::string, std::unique_ptr<Client>> clients_;
  std::map<std::string, std::string> domain_by_client_;

  std::vector<std::unique_ptr<Site>> sites_;
  double back_end_faults_ = 0;
  double hand_over_full_ = 0, hand_over_delay_s_ = 0;
  double names_fail_ = 0;
  std::string crash_at_;  // "commit" or "back_end"
  std::int64_t crash_after_ = 0;
  std::uint64_t tickets_ = 0;
  std::string failure_;
  double failed_at_ = 0;
};

}  // namespace dots::sim
