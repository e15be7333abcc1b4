#include "tests/plays/stage.h"

namespace dots::plays {

std::string perform(const Play& play) { return Stage{play}.perform(); }

std::string Stage::perform() {
  for (const Line& line : play_.lines) {
    scene_.begin(line);
    play_line(line);
    if (scene_.failed()) return scene_.failure();
  }
  for (const auto& [name, client] : clients_) scene_.expect_empty(name, client->inbox);
  our_client_.end();
  return scene_.failure();
}

Stage::Client* Stage::find(const std::string& name) {
  const auto it = clients_.find(name);
  return it == clients_.end() ? nullptr : it->second.get();
}

void Stage::play_line(const Line& line) {
  const Words& words = line.words;
  if (words.at(0) == "name" && words.size() >= 4 && words[2] == "is") {
    scene_.declare_name(words);
  } else if (words.size() == 3 && words[0] == "wait") {
    const auto time = duration_of(words[1], words[2]);
    if (!time) return fail("wait wants a number and ms, s, min or h");
    if (!clients_.empty()) open_stage();
    pass(*time);
    for (auto& [name, client] : clients_) client->inbox.heartbeats.clear();
    our_client_.forget_heartbeats();
  } else if (Client* client = find(words[0])) {
    open_stage();
    client_line(*client, line);
  } else if (!our_client_.play_line(line) && !server_line(line)) {
    fail("'" + join(words) + "' is no line of a play (docs/plays.md)");
  }
}

}  // namespace dots::plays
