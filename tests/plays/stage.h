// The stage of a play: our server under virtual time with clients that say exactly what the play tells them, or our
// client with such servers.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/server/redirects.h"
#include "tests/plays/our_client.h"
#include "tests/plays/scene.h"
#include "tests/world/server_node.h"

namespace dots::plays {

class Stage {
 public:
  explicit Stage(const Play& play) : play_(play), scene_(play), our_client_(scene_) {}
  std::string perform();

 private:
  struct Client {
    std::string name;
    model::Path path;
    Inbox inbox;
    std::unique_ptr<Peer> peer;
    bool silent = false;
    std::optional<ports::HttpAnswer> data_answer;  // of the last request on the data channel
  };

  void play_line(const Line& line);
  void fail(const std::string& text) { scene_.fail(text); }
  void pass(base::Duration time) { scene_.pass(time); }
  Client* find(const std::string& name);

  // Our server (stage_server.cpp).
  bool server_line(const Line& line);  // false: it is not about the server
  void declare_domain(const Words& words);
  void declare_client(const Words& words);
  void set_policy(const Words& words);
  void set_bounds(const Words& words);
  void operator_redirects(const Words& words);
  void back_end_reports(const Words& words);
  void open_stage();
  void restart(bool crash);
  void expect_rules(const Line& line);

  // Its clients (stage_clients.cpp).
  void client_line(Client& client, const Line& line);
  void connect(Client& client);
  void send(Client& client, const Line& line);
  void ask_data(Client& client, const Line& line);
  void expect_data(Client& client, const Line& line);

  const Play& play_;
  Scene scene_;
  OurClient our_client_;
  world::BackEnd back_end_;
  world::ServerParts parts_;
  std::unique_ptr<world::ServerNode> server_;
  std::shared_ptr<agent::server::Redirects> redirects_ = std::make_shared<agent::server::Redirects>();
  std::map<std::string, std::unique_ptr<Client>> clients_;
  std::uint64_t keys_ = 0;
  std::uint64_t tickets_ = 0;
};

}  // namespace dots::plays
