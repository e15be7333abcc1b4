// A client process under virtual time: the agent, its sockets and its commit thread, as apps/runtime wires them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "agent/client/client_agent.h"
#include "tests/support/scripted_channel.h"
#include "tests/world/commit_thread.h"
#include "tests/world/timeline.h"

namespace dots::world {

struct ClientParts {
  agent::client::ClientSettings settings;
  std::string credential;  // the name that it proves in handshakes
  std::uint64_t seed = 1;
  bool two_part_flights = false;
  std::shared_ptr<adapters::store::MemoryDisk> disk = std::make_shared<adapters::store::MemoryDisk>();
  WallClock* clock = nullptr;  // outlives the process
};

struct ClientHooks {
  std::function<void(base::SessionId, const model::SocketAddress& server)> open = [](auto, const auto&) {};
  std::function<void(base::SessionId, const base::Bytes&)> send = [](auto, const auto&) {};
  std::function<void(base::SessionId)> close = [](auto) {};
  std::function<void(const std::string& name)> resolve = [](const auto&) {};
  std::function<void(const signal::client::OperatorMessage&)> message = [](const auto&) {};
  CommitHooks commit;
};

class ClientNode : public Timeline::Machine {
 public:
  using Done = std::function<void(agent::CallAnswer)>;

  ClientNode(Timeline& timeline, ClientParts parts, ClientHooks hooks);
  ~ClientNode() override { *alive_ = false; }

  void start();
  void on_datagram(base::SessionId session, base::ByteView datagram);
  void resolved(const ports::Resolution& resolution);
  void on_deadline() override;
  void crash(bool running_commit_comes_through);
  // A clean stop of the agent: sessions are closed.
  void stop();
  void call(const std::string& operation, boost::json::object arguments, Done done);
  // What the operation answers; for those that answer at once while no commit is out. Null otherwise.
  boost::json::value ask(const std::string& operation, boost::json::object arguments = {});
  base::Now now() const { return parts_.clock->at(timeline_.now()); }

 private:
  void finish(agent::client::ClientEffects effects);
  template <class Event>
  void with(Event&& event);

  Timeline& timeline_;
  ClientParts parts_;
  ClientHooks hooks_;
  test::ScriptedConnector connector_;
  std::unique_ptr<agent::client::ClientAgent> agent_;
  std::unique_ptr<CommitThread> commits_;
  std::map<agent::client::CallTicket, Done> calls_;
  std::uint64_t last_ticket_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace dots::world
