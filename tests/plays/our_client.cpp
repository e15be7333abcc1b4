#include "tests/plays/our_client.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <utility>

#include "tests/plays/matching.h"
#include "tests/plays/messages.h"
#include "wire/cbor.h"
#include "wire/json.h"
#include "wire/messages.h"

namespace dots::plays {

namespace json = boost::json;

bool OurClient::play_line(const Line& line) {
  const Words& words = line.words;
  if (words[0] == "server") {
    declare_server(words);
  } else if (words[0] == "our" && words.size() > 1 && words[1] == "client") {
    declare_client(line);
  } else if (words[0] == name_) {
    client_line(line);
  } else if (const auto server = servers_.find(words[0]); server != servers_.end()) {
    server_line(*server->second, line);
  } else {
    return false;
  }
  return true;
}

void OurClient::end() {
  for (const auto& [name, server] : servers_) scene_.expect_empty(name, server->inbox);
}

void OurClient::forget_heartbeats() {
  for (auto& [name, server] : servers_) server->inbox.heartbeats.clear();
}

void OurClient::declare_server(const Words& words) {
  // server NAME is HOST at ADDRESS...
  if (words.size() < 6 || words[2] != "is" || words[4] != "at") return scene_.fail("server NAME is HOST at ADDRESS...");
  auto server = std::make_unique<Server>();
  server->name = words[1];
  server->host = words[3];
  for (std::size_t i = 5; i < words.size(); ++i) {
    const auto address = model::parse_ip_address(words[i]);
    if (!address) return scene_.fail("'" + words[i] + "' is no address");
    server->addresses.push_back(*address);
  }
  servers_[words[1]] = std::move(server);
}

void OurClient::declare_client(const Line& line) {
  // our client NAME with cuid=CUID [following=any|no] at SERVER... [wishing {JSON}]
  Words words = line.words;
  const bool wishing = words.back() == "wishing";
  if (wishing) words.pop_back();
  const auto cuid = words.size() > 6 ? value_of(words[4], "cuid") : std::nullopt;
  using Follow = agent::client::RedirectPolicy::Follow;
  Follow follow = Follow::same_domain;
  if (cuid && (words[5] == "following=any" || words[5] == "following=no")) {
    follow = words[5] == "following=any" ? Follow::any : Follow::no;
    words.erase(words.begin() + 5);
  }
  if (!cuid || words.size() < 7 || words[3] != "with" || words[5] != "at" || wishing == line.json.empty()) {
    return scene_.fail("our client NAME with cuid=CUID [following=any|no] at SERVER... [wishing {JSON}]");
  }
  name_ = parts_.credential = words[2];
  parts_.settings.version = "play";
  parts_.clock = &scene_.clock();
  agent::client::ServerSettings settings;
  settings.requests.cuid = base::Cuid{*cuid};
  settings.redirects.follow = follow;
  if (wishing) {
    const auto document = wire::decode_json(line.json, model::Message::config_request, model::Manner::tolerant);
    if (!document) return scene_.fail("the wishes are no configuration: " + document.error().message);
    const auto wanted = wire::decode_session_config_request(wire::encode_cbor(*document));
    if (!wanted) return scene_.fail("the wishes are no configuration: " + wanted.error().diagnostic);
    settings.config = {true, *wanted};
  }
  for (std::size_t i = 6; i < words.size(); ++i) {
    const auto server = servers_.find(words[i]);
    if (server == servers_.end()) return scene_.fail("there is no server '" + words[i] + "'");
    settings.upstream.name = settings.requests.server = words[i];
    settings.upstream.host = server->second->host;
    settings.upstream.addresses.clear();
    for (const auto& address : server->second->addresses) settings.upstream.addresses.push_back({address, 4646});
    parts_.settings.servers.push_back(settings);
  }
}

void OurClient::start() {
  ++parts_.seed;
  world::ClientHooks hooks;
  hooks.open = [this](base::SessionId id, const model::SocketAddress& to) {
    Session& session = sessions_[id];
    session.address = to.ip;
    for (auto& [name, server] : servers_) {
      const auto& all = server->addresses;
      if (std::find(all.begin(), all.end(), to.ip) != all.end()) session.server = server.get();
    }
  };
  hooks.send = [this](base::SessionId id, const base::Bytes& datagram) {
    scene_.timeline().after(kLatency, [this, id, datagram] { to_server(id, datagram); });
  };
  hooks.resolve = [this](const std::string& name) {
    scene_.timeline().after(kLatency, [this, resolution = scene_.resolve(name)] {
      if (node_) node_->resolved(resolution);
    });
  };
  hooks.message = [this](const signal::client::OperatorMessage& message) { messages_.push_back(message.id); };
  node_ = std::make_unique<world::ClientNode>(scene_.timeline(), parts_, std::move(hooks));
  node_->start();
  scene_.pass(std::chrono::milliseconds{200});
}

void OurClient::to_server(base::SessionId id, const base::Bytes& datagram) {
  Session& session = sessions_[id];
  Server* server = session.server;
  if (server == nullptr || server->gone) return;
  const auto& dead = server->dead;
  if (std::find(dead.begin(), dead.end(), session.address) != dead.end()) return;
  if (!session.peer) {
    const auto hello = test::ScriptedHello::parse(datagram);
    if (!hello) return;
    session.peer = std::make_unique<Peer>(
        scene_.timeline(), server->inbox,
        std::make_unique<test::ScriptedChannel>(hello->key, server->host, test::scripted_identity(hello->name)),
        id.value, [this, id, server](base::Bytes bytes) {
          if (server->silent || server->gone || sessions_[id].silent) return;
          scene_.timeline().after(kLatency, [this, id, bytes = std::move(bytes)] {
            if (node_) node_->on_datagram(id, bytes);
          });
        });
    server->sessions.push_back(session.peer.get());
  }
  session.peer->on_datagram(datagram);
}

void OurClient::client_line(const Line& line) {
  // NAME starts | stops | crashes | is told OPERATION {JSON} | tells MESSAGE [within N s] | shows mid=N {JSON}
  const Words& words = line.words;
  const std::string what = join(words, 1);
  if (what == "starts") return start();
  if (!node_) return scene_.fail(name_ + " does not run: say '" + name_ + " starts'");
  if (what == "stops" || what == "crashes") {
    if (what == "stops") node_->stop();
    scene_.pass(std::chrono::milliseconds{100});
    node_->crash(true);
    node_.reset();
  } else if (words.size() == 4 && words[1] == "is" && words[2] == "told") {
    boost::system::error_code error;
    const json::value arguments = json::parse(line.json.empty() ? "{}" : line.json, error);
    if (error || !arguments.is_object()) return scene_.fail("what an operator tells is a JSON object");
    auto refusal = std::make_shared<std::string>();
    node_->call(words[3], arguments.as_object(), [refusal](const agent::CallAnswer& answer) {
      if (answer.outcome != agent::CallAnswer::Outcome::ok) *refusal = answer.message;
    });
    scene_.pass(std::chrono::milliseconds{100});
    if (!refusal->empty()) scene_.fail(name_ + " refuses: " + *refusal);
  } else if (words.size() > 2 && words[1] == "tells") {
    expect_message({words.begin() + 2, words.end()});
  } else if (words.size() == 3 && words[1] == "shows") {
    expect_view(line);
  } else {
    scene_.fail("'" + what + "' is nothing that our client does (docs/plays.md)");
  }
}

void OurClient::expect_message(Words words) {
  base::SteadyTime end = scene_.timeline().now();
  if (words.size() == 4 && words[1] == "within") {
    const auto time = duration_of(words[2], words[3]);
    if (!time) return scene_.fail("within wants a number and ms, s, min or h");
    end += *time;
  } else if (words.size() != 1) {
    return scene_.fail("tells MESSAGE [within N s]");
  }
  const auto told = [&] { return std::find(messages_.begin(), messages_.end(), words[0]) != messages_.end(); };
  while (!told() && scene_.timeline().now() < end && !scene_.failed()) scene_.pass(std::chrono::milliseconds{50});
  std::string all;
  for (const auto& id : messages_) all += " " + id;
  if (!told()) scene_.fail("expected " + words[0] + ", told was" + (all.empty() ? " nothing" : all));
  messages_.clear();
}

// Only the members that the play names are compared.
void OurClient::expect_view(const Line& line) {
  const auto mid = number_of(value_of(line.words[2], "mid").value_or(""));
  boost::system::error_code error;
  const json::value expected = json::parse(line.json, error);
  if (!mid || error || !expected.is_object()) return scene_.fail("shows mid=N {JSON}");
  const json::value answer = node_->ask("show", {{"mid", *mid}});
  if (!answer.is_object() || !answer.as_object().contains("mitigation")) {
    return scene_.fail("there is no mitigation with mid " + std::to_string(*mid));
  }
  json::object got;
  for (const auto& member : answer.at("mitigation").as_object()) {
    if (expected.as_object().contains(member.key())) got.insert(member);
  }
  if (const auto text = difference(expected, got); !text.empty()) {
    scene_.fail(text + "\n  in " + json::serialize(answer.at("mitigation")));
  }
}

void OurClient::server_line(Server& server, const Line& line) {
  const Words& words = line.words;
  const std::string what = join(words, 1);
  const auto from = [&](std::size_t first) {
    return Words{words.begin() + static_cast<std::ptrdiff_t>(std::min(first, words.size())), words.end()};
  };
  if (what == "falls silent") {
    server.silent = true;
  } else if (what == "falls silent on its sessions") {
    for (auto& [id, session] : sessions_) session.silent = session.silent || session.server == &server;
  } else if (what == "overlooks what came") {
    server.inbox.requests.clear();
    server.inbox.answers.clear();
  } else if (what == "is heard again") {
    server.silent = server.gone = false;
    server.dead.clear();
    for (auto& [id, session] : sessions_) session.silent = session.silent && session.server != &server;
  } else if (what == "is gone") {
    server.gone = true;
  } else if (words.size() == 5 && words[1] == "is" && words[2] == "gone" && words[3] == "at") {
    const auto address = model::parse_ip_address(words[4]);
    if (!address) return scene_.fail("'" + words[4] + "' is no address");
    server.dead.push_back(*address);
  } else if (words.size() > 2 && words[1] == "is" && words[2] == "joined") {
    scene_.expect_session(server.inbox, from(3));
  } else if (what == "is left") {
    if (!std::exchange(server.inbox.left, false)) scene_.fail("no session with " + server.name + " was closed");
  } else if (what == "closes the session") {
    if (server.sessions.empty()) return scene_.fail(server.name + " has no session");
    server.sessions.back()->close();
    scene_.pass(std::chrono::milliseconds{100});
  } else if (words.size() > 2 && words[1] == "receives" && (words[2] == "nothing" || words[2] == "no")) {
    scene_.expect_nothing(server.inbox, from(2));
  } else if (words.size() > 2 && words[1] == "receives" && std::isdigit(static_cast<unsigned char>(words[2][0])) != 0) {
    scene_.expect_answer(server.inbox, from(2), line, false);
  } else if (words.size() > 3 && words[1] == "receives") {
    auto asked = scene_.expect_request(server.inbox, from(2), line);
    if (words[3] != "hb") server.asked = std::move(asked);
  } else if (words.size() > 2 && words[1] == "answers") {
    if (!server.asked) return scene_.fail(server.name + " was not asked anything that is not answered yet");
    const auto response = response_of(from(2), line, path_text(server.asked->request));
    if (!response) return scene_.fail(response.error().message);
    server.asked->by->respond(*std::exchange(server.asked, std::nullopt), *response);
    scene_.pass(std::chrono::milliseconds{20});
  } else if (what == "ignores it") {
    if (!server.asked) return scene_.fail(server.name + " was not asked anything that is not answered yet");
    server.asked->by->ignore(*std::exchange(server.asked, std::nullopt));
  } else if (words.size() > 3 && words[1] == "notifies") {
    const auto response = response_of(from(3), line, words[2]);
    if (!response) return scene_.fail(response.error().message);
    const bool told = std::any_of(server.sessions.rbegin(), server.sessions.rend(),
                                  [&](Peer* peer) { return peer->notify(words[2], *response); });
    if (!told) return scene_.fail("nobody observes " + words[2]);
    scene_.pass(std::chrono::milliseconds{20});
  } else if (words.size() > 3 && words[1] == "sends") {
    const auto request = request_of(from(2), line);
    if (!request) return scene_.fail(request.error().message);
    if (server.sessions.empty() || !server.sessions.back()->send(*request)) {
      return scene_.fail("the request cannot be sent: there is no session");
    }
    scene_.pass(std::chrono::milliseconds{20});
  } else {
    scene_.fail("'" + what + "' is nothing that a server does (docs/plays.md)");
  }
}

}  // namespace dots::plays
