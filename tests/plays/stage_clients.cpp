// Clients of our server.
#include <algorithm>
#include <boost/json/parse.hpp>
#include <utility>

#include "tests/plays/matching.h"
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
  } else if (words.size() == 4 && words[1] == "asks") {
    ask_data(client, line);
  } else if (words.size() > 3 && what.starts_with("is answered ")) {
    expect_data(client, line);
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

// Over HTTPS, which needs no session of the signal channel.
void Stage::ask_data(Client& client, const Line& line) {
  open_stage();
  const auto domain = std::find_if(parts_.domains.begin(), parts_.domains.end(), [&](const auto& one) {
    return std::any_of(one.clients.begin(), one.clients.end(),
                       [&](const auto& c) { return c.id.value == client.name; });
  });
  ports::HttpRequest request{
      line.words[2],
      "/restconf/data/ietf-dots-data-channel:dots-data" + (line.words[3] == "/" ? std::string{} : line.words[3]),
      {{"Host", "example.com"}},
      line.json};
  if (!line.json.empty()) request.headers.add("Content-Type", "application/yang-data+json");
  client.data_answer.reset();
  server_->ask_data(domain->id, base::ClientId{client.name}, std::move(request),
                    [&client](const ports::HttpAnswer& answer) { client.data_answer = answer; });
  pass(std::chrono::milliseconds{100});
}

// is answered CODE [JSON]
void Stage::expect_data(Client& client, const Line& line) {
  if (!client.data_answer) return fail(client.name + " has no answer on the data channel");
  const ports::HttpAnswer answer = *std::exchange(client.data_answer, std::nullopt);
  if (std::to_string(answer.status) != line.words[3]) {
    return fail("expected " + line.words[3] + ", answered was " + std::to_string(answer.status) + " " + answer.body);
  }
  if (line.json.empty()) return;
  boost::system::error_code wrong;
  const auto expected = boost::json::parse(line.json, wrong);
  if (wrong) return fail("the body is no JSON");
  const auto got = boost::json::parse(answer.body, wrong);
  if (const auto lost = wrong ? "no JSON" : difference(expected, got); !lost.empty()) {
    fail(lost + "\n  in " + answer.body);
  }
}

void Stage::send(Client& client, const Line& line) {
  const auto request = request_of({line.words.begin() + 2, line.words.end()}, line);
  if (!request) return fail(request.error().message);
  if (!client.peer->send(*request)) return fail("the request cannot be sent: there is no session");
  pass(std::chrono::milliseconds{100});
}

}  // namespace dots::plays
