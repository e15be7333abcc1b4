// Our client as the actor of a play, and servers that say exactly what the play tells them.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/plays/scene.h"
#include "tests/world/client_node.h"

namespace dots::plays {

class OurClient {
 public:
  explicit OurClient(Scene& scene) : scene_(scene) {}

  bool play_line(const Line& line);  // false: it is not about our client or its servers
  void end();                        // what came must have been spoken of
  void forget_heartbeats();

 private:
  struct Server {
    std::string name;
    std::string host;
    std::vector<model::IpAddress> addresses;
    std::vector<model::IpAddress> dead;  // of these
    Inbox inbox;
    std::vector<Peer*> sessions;        // the newest is the last one
    std::optional<Inbox::Asked> asked;  // what `answers` answers
    bool silent = false, gone = false;  // what it says is lost; and what is said to it as well
  };
  struct Session {
    Server* server = nullptr;  // null: nobody is there
    model::IpAddress address;  // where it was opened
    std::unique_ptr<Peer> peer;
    bool silent = false;
  };

  void declare_server(const Words& words);
  void declare_client(const Line& line);
  void server_line(Server& server, const Line& line);
  void client_line(const Line& line);
  void start();
  void to_server(base::SessionId id, const base::Bytes& datagram);
  void expect_message(Words words);
  void expect_view(const Line& line);

  Scene& scene_;
  std::string name_;
  world::ClientParts parts_;
  std::unique_ptr<world::ClientNode> node_;
  std::map<std::string, std::unique_ptr<Server>> servers_;
  std::map<base::SessionId, Session> sessions_;
  std::vector<std::string> messages_;  // to the operator, since the play last asked
};

}  // namespace dots::plays
