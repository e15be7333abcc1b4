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
        end_server(random_.chance(0.5));
        timeline_.after(std::chrono::seconds{1}, [this] { start_server(); });
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
    coverage_.took("store of the " + std::string(whose == "server" ? "server" : "client"), outcome);
    if (std::string_view{outcome} != "committed") tell(whose + "'s store: " + outcome);
  };
  return hooks;
}

void Simulation::start_server() {
  server_wanted_ = true;
  if (server_ || server_stopping_) return;
  tell("server starts");
  server_parts_.seed = scenario_.seed * 4096 + ++server_starts_;
  oracle_->server_started();
  world::ServerHooks hooks;
  hooks.send = [this](const model::Datagram& datagram) {
    const std::string* domain = domain_of(datagram.path.peer);
    if (const auto text = test::scripted_plaintext(datagram.bytes); text && domain != nullptr) {
      if (verbose_) tell(model::to_string(datagram.path.peer) + " < " + describe(*text));
      oracle_->server_sent(datagram.path, *domain, *text);
    }
    network_.from_server(datagram);
  };
  hooks.line = [this](std::string_view id, const std::string& details) {
    if (id == "SESSION_CLOSED") {
      coverage_.took("session at the server", "open -> " + details.substr(details.rfind(": ") + 2));
    } else if (id.starts_with("SESSION_")) {
      coverage_.took("session at the server", "none -> open");
    } else if (id == "HAND_OVER_FULL") {
      coverage_.took("hand-over", "full");
    }
    tell("server: " + std::string(id) + " " + details);
  };
  hooks.resolve = [this](const base::DomainId& domain, const std::string& name) {
    resolve(name, [this, domain](const ports::Resolution& resolution) {
      if (server_) server_->resolved(domain, resolution);
    });
  };
  hooks.hand_over = [this]() -> std::optional<base::Duration> {
    if (random_.chance(hand_over_full_)) return std::nullopt;
    return random_.up_to(seconds_of(hand_over_delay_s_));
  };
  hooks.want = [this](const signal::server::DesiredRules& rules) {
    if (verbose_) tell("server wants" + describe(rules));
    oracle_->wanted(rules);
  };
  hooks.operator_answer = [this](const signal::server::OperatorAnswer& answer) {
    coverage_.took("operator's withdrawal", answer.ok ? "done" : "refused");
  };
  hooks.commit = commit_hooks("server", server_store_faults_, server_store_delay_s_);
  hooks.commit.before_applied = [this](const auto& changes) {
    if (verbose_) tell("server stores" + describe(changes));
    oracle_->server_commits(changes);
  };
  hooks.runner.fate = [this] {
    CallFate fate;
    fate.takes = std::chrono::milliseconds{1} + random_.up_to(std::chrono::milliseconds{20});
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
        end_server(random_.chance(0.5));
        timeline_.after(std::chrono::seconds{1}, [this] { start_server(); });
      });
    }
    return fate;
  };
  hooks.runner.happened = [this](const char* what) {
    coverage_.took("back end", what);
    tell(std::string{"back end: "} + what);
  };
  hooks.runner.removing = [this](const model::Rule& rule) { oracle_->removing(rule); };
  hooks.runner.reported = [this](const std::vector<mitigation::OwnerReport>& reports) {
    for (const auto& report : reports) {
      const char* state = report.state == mitigation::RuleState::installed ? "installed"
                          : report.state == mitigation::RuleState::failed  ? "failed"
                                                                           : "pending";
      const ports::MitigationKey key{report.owner.domain, report.owner.cuid, report.owner.mid};
      tell("back end: " + to_string(key) + " " + state);
      oracle_->reported(key, state);
    }
  };
  server_ = std::make_unique<world::ServerNode>(timeline_, server_parts_, std::move(hooks));
}

void Simulation::end_server(bool running_commit_comes_through) {
  if (!server_) return;
  tell("server ends");
  server_->crash(running_commit_comes_through);
  server_.reset();
  server_stopping_ = false;
  for (auto& [name, one] : clients_) one->dark_since.reset();
}

// A clean stop: sessions are closed, the commit that is out comes to its end.
void Simulation::stop_server() {
  if (!server_ || server_stopping_) return;
  tell("server stops");
  server_wanted_ = false;
  server_stopping_ = true;
  server_->close_all("the server stops");
  auto wait = std::make_shared<std::function<void()>>();
  *wait = [this, weak = std::weak_ptr(wait)] {
    if (!server_stopping_) return;
    if (server_->busy()) {
      if (const auto again = weak.lock()) timeline_.after(std::chrono::milliseconds{50}, [again] { (*again)(); });
      return;
    }
    end_server(true);
    if (server_wanted_) start_server();
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
      oracle_->client_forgot({base::DomainId{one.domain}, it->second.cuid, gone->mid});
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
