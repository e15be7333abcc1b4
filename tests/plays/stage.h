// The stage of a play: a server under virtual time, and clients that say exactly what the play tells them.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coap/endpoint.h"
#include "tests/plays/play.h"
#include "tests/support/scripted_channel.h"
#include "tests/world/server_node.h"

namespace dots::plays {

class Stage {
 public:
  explicit Stage(const Play& play) : play_(play) {}
  std::string perform();

 private:
  struct Received {
    bool notification = false;
    coap::Response response;
    std::string path;  // of the request that it answers
  };
  struct Client {
    std::string name;
    model::Path path;
    std::unique_ptr<test::ScriptedChannel> channel;
    std::optional<coap::Endpoint> endpoint;
    std::map<coap::RequestId, std::string> asked;
    std::optional<coap::RequestId> observation;
    std::deque<Received> received;
    bool silent = false;
    std::uint64_t sessions = 0;
  };
  using Words = std::vector<std::string>;

  void play_line(const Line& line);
  void declare_domain(const Words& words);
  void declare_client(const Words& words);
  void open_stage();
  void client_line(Client& client, const Line& line);
  void connect(Client& client);
  void send(Client& client, const Line& line);
  void receive(Client& client, const Line& line, bool notification);
  void expect_rules(const Line& line);
  void restart(bool crash);
  void from_client(Client& client, std::vector<base::Bytes> datagrams);
  void to_client(Client& client, const base::Bytes& datagram);
  void absorb(Client& client, coap::Effects& effects);
  void pass(base::Duration time);
  Client* find(const std::string& name);
  void fail(const std::string& text);
  bool failed() const { return !failure_.empty(); }

  const Play& play_;
  int line_ = 0;
  std::string failure_;
  world::Timeline timeline_;
  world::WallClock clock_;
  world::BackEnd back_end_;
  world::ServerParts parts_;
  std::unique_ptr<world::ServerNode> server_;
  std::map<std::string, std::unique_ptr<Client>> clients_;
  std::map<std::string, std::vector<model::IpAddress>> names_;
  std::uint64_t keys_ = 0;
  std::uint64_t tickets_ = 0;
};

}  // namespace dots::plays
