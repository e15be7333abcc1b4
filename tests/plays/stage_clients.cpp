// Clients of our server.
#include <utility>

#include "tests/plays/messages.h"
#include "tests/plays/stage.h"

namespace dots::plays {

void Stage::client_line(Client& client, const Line& line) {
  const Words& words = line.words;
  const std::string what = join(words, 1);
  if (what == "connects") {
    connect(client);
  } else if (what == "falls silent") {
    client.silent = true;
  } else if (what == "is heard again") {
    client.silent = false;
  } else if (!client.peer) {
    fail(client.name + " has no session: say '" + client.name + " connects'");
  } else if (what == "closes the session") {
    client.peer->close();
    pass(std::chrono::milliseconds{100});
  } else if (what == "is told goodbye") {
    if (!client.inbox.left) fail("the session of " + client.name + " is open");
  } else if (what == "ends the observation") {
    if (!client.peer->end_observation()) fail(client.name + " observes nothing");
  } else if (words.size() > 2 && words[1] == "sends") {
    send(client, line);
  } else if (words.size() > 2 && words[1] == "receives" && (words[2] == "nothing" || words[2] == "no")) {
    scene_.expect_nothing(client.inbox, {words.begin() + 2, words.end()});
  } else if (words.size() > 3 && words[1] == "receives" && words[3] == "hb") {
    (void)scene_.expect_request(client.inbox, {words.begin() + 2, words.end()}, line);
  } else if (words.size() > 2 && words[1] == "receives") {
    scene_.expect_answer(client.inbox, {words.begin() + 2, words.end()}, line, false);
  } else if (words.size() > 3 && words[1] == "is" && words[2] == "notified") {
    scene_.expect_answer(client.inbox, {words.begin() + 3, words.end()}, line, true);
  } else if (what == "overlooks what came") {
    client.inbox.answers.clear();
  } else {
    fail("'" + what + "' is nothing that a client does (docs/plays.md)");
  }
}

void Stage::connect(Client& client) {
  client.path.local = {*model::parse_ip_address("2001:db8:5::53"), 4646};
  client.path.peer = {*model::parse_ip_address("2001:db8:6401::99"), static_cast<std::uint16_t>(40000 + ++keys_)};
  client.silent = false;
  client.inbox.connected.reset();
  client.inbox.left = false;
  client.peer = std::make_unique<Peer>(scene_.timeline(), client.inbox,
                                       std::make_unique<test::ScriptedChannel>(keys_, client.name), keys_,
                                       [this, path = client.path](base::Bytes bytes) {
                                         scene_.timeline().after(kLatency, [this, path, bytes = std::move(bytes)] {
                                           if (server_) server_->on_datagram({path, bytes});
                                         });
                                       });
  client.peer->start();
  pass(std::chrono::milliseconds{200});
  if (!client.inbox.connected) fail(client.name + " finds no session");
}

void Stage::send(Client& client, const Line& line) {
  const auto request = request_of({line.words.begin() + 2, line.words.end()}, line);
  if (!request) return fail(request.error().message);
  if (!client.peer->send(*request)) return fail("the request cannot be sent: there is no session");
  pass(std::chrono::milliseconds{100});
}

}  // namespace dots::plays
