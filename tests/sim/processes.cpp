// Starts and ends of the processes in a simulation, and what happens to their commits and calls.
#include <utility>

#include "tests/sim/simulation.h"
#include "tests/sim/telling.h"

namespace dots::sim {

using adapters::store::Fault;
using model::SocketAddress;
using world::CallFate;
using world::CommitFate;

world::CommitHooks Simulation::commit_hooks(const std::string& whose, double& faults, double& delay_s) {
  world::CommitHooks hooks;
  hooks.fate = [this, whose, &faults, &delay_s] {
    CommitFate fate;
    fate.takes = std::chrono::microseconds{300} + random_.up_to(std::chrono::milliseconds{2} + seconds_of(delay_s));
    if (random_.chance(faults)) {
      const double dice = random_.fraction();
      fate.fault = dice < 0.5 ? Fault::refuse : dice < 0.75 ? Fault::unknown_applied : Fault::unknown_not_applied;
      fate.unsettled = random_.chance(0.3) ? static_cast<int>(random_.below(9)) : 0;
      fate.load_fails = random_.chance(0.5);
    }
    if (whose == "server" && crash_at_ == "commit" && --crash_after_ <= 0) {
      crash_at_.clear();
      timeline_.after(random_.up_to(2 * fate.takes), [this] {
        end_server(home(), random_.chance(0.5));
        timeline_.after(std::chrono::seconds{1}, [this] { start_server(home()); });
      });
    }
    if (crash_at_ == whose && --crash_after_ <= 0) {
      crash_at_.clear();
      timeline_.after(random_.up_to(fate.takes), [this, whose] {
        end_client(client(whose));
        timeline_.after(std::chrono::seconds{1}, [this, whose] { start_client(client(whose)); });
      });
    }
    return fate;
  };
  hooks.outcome = [this, whose](const char* outcome) {
    coverage_.took("store of the " + std::string(site_named(whose) != nullptr ? "server" : "client"), outcome);
    if (std::string_view{outcome} != "committed") tell(whose + "'s store: " + outcome);
  };
  return hooks;
}

world::RunnerHooks Simulation::runner_hooks(Site& site) {
  world::RunnerHooks hooks;
  hooks.fate = [this, at_home = &site == &home()] {
    CallFate fate;
    fate.takes = std::chrono::milliseconds{1} + random_.up_to(std::chrono::milliseconds{20});
    if (!at_home) return fate;
    if (random_.chance(back_end_faults_)) {
      const double dice = random_.fraction();
      fate.kind = dice < 0.5    ? CallFate::Kind::refused
                  : dice < 0.75 ? CallFate::Kind::dies_before
                                : CallFate::Kind::dies_after;
      fate.takes += random_.up_to(std::chrono::seconds{2});
    }
    if (crash_at_ == "back_end" && --crash_after_ <= 0) {
      crash_at_.clear();
      timeline_.after(random_.up_to(2 * fate.takes), [this] {
        end_server(home(), random_.chance(0.5));
        timeline_.after(std::chrono::seconds{1}, [this] { start_server(home()); });
      });
    }
    return fate;
  };
  hooks.happened = [this, &site](const char* what) {
    coverage_.took("back end", what);
    tell("back end of the " + site.name + ": " + what);
  };
  hooks.removing = [&site](const model::Rule& rule) { site.oracle->removing(rule); };
  hooks.reported = [this, &site](const std::vector<mitigation::OwnerReport>& reports) {
    for (const auto& report : reports) {
      const char* state = report.state == mitigation::RuleState::installed ? "installed"
                          : report.state == mitigation::RuleState::failed  ? "failed"
                                                                           : "pending";
      const ports::MitigationKey key{report.owner.domain, report.owner.cuid, report.owner.mid};
      tell("back end of the " + site.name + ": " + to_string(key) + " " + state);
      site.oracle->reported(key, state);
    }
  };
  return hooks;
}

void Simulation::start_server(Site& site) {
  site.wanted = true;
  if (site.node || site.stopping) return;
  tell(site.name + " starts");
  site.parts.seed = scenario_.seed * 4096 + (&site == &home() ? 0 : 2048) + ++site.starts;
  site.oracle->server_started();
  world::ServerHooks hooks;
  hooks.send = [this, &site](const model::Datagram& datagram) {
    const std::string* domain = domain_of(datagram.path.peer);
    if (const auto text = test::scripted_plaintext(datagram.bytes); text && domain != nullptr) {
      if (verbose_) tell(model::to_string(datagram.path.peer) + " < " + site.name + ": " + describe(*text));
      site.oracle->server_sent(datagram.path, *domain, *text);
    }
    network_.from_server(datagram);
  };
  hooks.line = [this, &site](std::string_view id, const std::string& details) {
    if (id == "SESSION_CLOSED") {
      coverage_.took("session at the server", "open -> " + details.substr(details.rfind(": ") + 2));
    } else if (id.starts_with("SESSION_")) {
      coverage_.took("session at the server", "none -> open");
    } else if (id == "HAND_OVER_FULL") {
      coverage_.took("hand-over", "full");
    } else if (id == "CLIENT_SENT_AWAY") {
      coverage_.took("redirect", "told by the server");
    }
    tell(site.name + ": " + std::string(id) + " " + details);
  };
  hooks.resolve = [this, &site](const base::DomainId& domain, const std::string& name) {
    resolve(name, [&site, domain](const ports::Resolution& resolution) {
      if (site.node) site.node->resolved(domain, resolution);
    });
  };
  hooks.hand_over = [this]() -> std::optional<base::Duration> {
    if (random_.chance(hand_over_full_)) return std::nullopt;
    return random_.up_to(seconds_of(hand_over_delay_s_));
  };
  hooks.want = [this, &site](const signal::server::DesiredRules& rules) {
    if (verbose_) tell(site.name + " wants" + describe(rules));
    site.oracle->wanted(rules);
  };
  hooks.operator_answer = [this](const signal::server::OperatorAnswer& answer) {
    coverage_.took("operator's withdrawal", answer.ok ? "done" : "refused");
  };
  hooks.commit = commit_hooks(site.name, site.store_faults, site.store_delay_s);
  hooks.commit.before_applied = [this, &site](const auto& changes) {
    if (verbose_) tell(site.name + " stores" + describe(changes));
    site.oracle->server_commits(changes);
  };
  hooks.runner = runner_hooks(site);
  site.node = std::make_unique<world::ServerNode>(timeline_, site.parts, std::move(hooks));
  site.node->set_redirects(site.redirects);
}

void Simulation::end_server(Site& site, bool running_commit_comes_through) {
  if (!site.node) return;
  tell(site.name + " ends");
  site.node->crash(running_commit_comes_through);
  site.node.reset();
  site.stopping = false;
  for (auto& [name, one] : clients_) one->dark_since.reset();
}

// A clean stop: sessions are closed, the commit that is out comes to its end.
void Simulation::stop_server(Site& site) {
  if (!site.up()) return;
  tell(site.name + " stops");
  site.wanted = false;
  site.stopping = true;
  site.node->close_all("the server stops");
  auto wait = std::make_shared<std::function<void()>>();
  *wait = [this, &site, weak = std::weak_ptr(wait)] {
    if (!site.stopping) return;
    if (site.node->busy()) {
      if (const auto again = weak.lock()) timeline_.after(std::chrono::milliseconds{50}, [again] { (*again)(); });
      return;
    }
    end_server(site, true);
    if (site.wanted) start_server(site);
  };
  timeline_.after(std::chrono::milliseconds{50}, [wait] { (*wait)(); });
}

void Simulation::start_client(Client& one) {
  if (one.node) return;
  tell(one.name + " starts");
  one.parts.seed = scenario_.seed * 65536 + std::hash<std::string>{}(one.name) % 997 * 64 + ++one.starts;
  world::ClientHooks hooks;
  const std::string name = one.name;
  hooks.open = [this, name](base::SessionId session, const SocketAddress& server) {
    network_.open(name, session, server);
  };
  hooks.send = [this, name](base::SessionId session, const base::Bytes& bytes) {
    network_.from_client(name, session, bytes);
  };
  hooks.close = [this, name](base::SessionId session) { network_.close(name, session); };
  hooks.message = [this, &one](const signal::client::OperatorMessage& message) {
    tell(one.name + ": " + message.id + " " + message.details);
    if (message.id == "CLIENT_REDIRECTED") {
      one.was_redirected = true;
      coverage_.took("redirect", "followed");
    } else if (message.id == "CLIENT_REDIRECT_OVER") {
      const std::string why = message.details.substr(message.details.rfind(": ") + 2);
      coverage_.took("redirect", "over: " + why.substr(0, why.find('\'')));
    } else if (message.id == "CLIENT_REDIRECT_IGNORED") {
      coverage_.took("redirect", message.details.ends_with("a loop") ? "a loop" : "not followed");
    }
    if (message.id.starts_with("CLIENT_SESSION_")) coverage_.took("session at the client", message.id.substr(15));
    if (one.look_due) return;
    one.look_due = true;
    timeline_.after({}, [this, &one] {
      one.look_due = false;
      look_at(one);
    });
  };
  hooks.commit = commit_hooks(name, one.store_faults, one.store_delay_s);
  hooks.commit.before_applied = [this, &one](const std::vector<ports::Change>& changes) {
    for (const auto& change : changes) {
      const auto* gone = std::get_if<ports::EraseClientRequest>(&change);
      if (gone == nullptr) continue;
      const auto it = one.parts.disk->client_requests.find({gone->server, gone->mid});
      if (it == one.parts.disk->client_requests.end() || !it->second.withdrawing) continue;
      // Only the server that had the request then knows of the withdrawal.
      const ports::MitigationKey key{base::DomainId{one.domain}, it->second.cuid, gone->mid};
      for (const auto& site : sites_) site->oracle->client_forgot(key);
    }
  };
  one.node = std::make_unique<world::ClientNode>(timeline_, one.parts, std::move(hooks));
  one.node->start();
  look_at(one);
}

void Simulation::end_client(Client& one) {
  if (!one.node) return;
  tell(one.name + " ends");
  one.node->crash(random_.chance(0.5));
  one.node.reset();
  one.dark_since.reset();
  network_.close_all(one.name);
}

}  // namespace dots::sim
