#include "tests/plays/scene.h"

#include <algorithm>
#include <boost/json/parse.hpp>

#include "tests/plays/matching.h"
#include "tests/plays/messages.h"

namespace dots::plays {

namespace json = boost::json;

namespace {

// Is this line an expectation?
bool only_looks(const Words& words) {
  if (words.size() < 2) return false;
  if (words[1] == "receives" || words[1] == "shows" || words[1] == "tells" || words[0] == "installed:" ||
      words[0] == "changes")
    return true;
  return words.size() > 2 && words[1] == "is" && (words[2] == "notified" || words[2] == "joined" || words[2] == "left");
}

// A "*" stands for any characters, once in a word.
bool fits(const std::string& expected, const std::string& got) {
  const auto star = expected.find('*');
  if (star == std::string::npos) return expected == got;
  const auto head = expected.substr(0, star), tail = expected.substr(star + 1);
  return got.size() >= head.size() + tail.size() && got.starts_with(head) && got.ends_with(tail);
}

}  // namespace

void Scene::begin(const Line& line) {
  line_ = line.number;
  if (!only_looks(line.words)) acted_ = timeline_.now();
}

void Scene::fail(const std::string& text) {
  if (failure_.empty()) failure_ = file_ + ":" + std::to_string(line_) + ": " + text;
}

void Scene::pass(base::Duration time) {
  if (!timeline_.run_for(time)) fail("time stands still");
}

void Scene::declare_name(const Words& words) {
  auto& addresses = names_[words[1]];
  addresses.clear();
  for (std::size_t i = 3; i < words.size(); ++i) {
    const auto address = model::parse_ip_address(words[i]);
    if (!address) return fail("'" + words[i] + "' is no address");
    addresses.push_back(*address);
  }
  std::sort(addresses.begin(), addresses.end());
}

ports::Resolution Scene::resolve(const std::string& name) const {
  ports::Resolution resolution;
  resolution.name = name;
  if (const auto it = names_.find(name); it != names_.end()) {
    resolution.outcome = ports::Resolution::Outcome::answered;
    resolution.addresses = it->second;
    resolution.ttl = std::chrono::seconds{60};
  } else {
    resolution.outcome = ports::Resolution::Outcome::no_such_name;
    resolution.reason = "the play knows no such name";
  }
  return resolution;
}

std::optional<base::Duration> Scene::patience(Words& words) {
  if (words.size() < 3 || words[words.size() - 3] != "within") return kPatience;
  const auto time = duration_of(words[words.size() - 2], words.back());
  if (!time) fail("within wants a number and ms, s, min or h");
  words.resize(words.size() - 3);
  return time;
}

template <class Ready>
void Scene::wait_for(base::Duration time, Ready&& ready) {
  const base::SteadyTime end = timeline_.now() + time;
  while (!ready() && timeline_.now() < end && !failed()) pass(std::chrono::milliseconds{50});
}

void Scene::compare(const Line& line, const base::Result<std::string>& body, const std::string& came) {
  if (!body) return fail(body.error().message);
  if (line.json.empty()) return;
  boost::system::error_code error;
  const json::value expected = json::parse(line.json, error);
  if (error) return fail("the expected body is no JSON: " + error.message());
  const json::value got = json::parse(*body, error);
  if (error) return fail("expected a body, got " + came);
  if (const auto text = difference(expected, got); !text.empty()) fail(text + "\n  in " + came);
}

void Scene::expect_session(const Inbox& inbox, Words words) {
  const auto time = patience(words);
  if (!time) return;
  const auto joined = [&] { return inbox.connected && *inbox.connected >= acted_; };
  wait_for(*time, joined);
  if (!joined()) fail("no session was opened");
}

std::string text_of(const Inbox::Answer& answer) {
  const auto body = body_text(answer.response, answer.about);
  return (answer.notification ? "a notification " : "an answer ") + model::to_string(answer.response.code) +
         (body && !body->empty() ? " " + *body : "");
}

void Scene::expect_answer(Inbox& inbox, Words words, const Line& line, bool notification) {
  const auto time = patience(words);
  if (!time || words.empty()) return fail("what is expected is missing");
  wait_for(*time, [&] { return !inbox.answers.empty(); });
  if (failed()) return;
  if (inbox.answers.empty()) return fail("expected " + words[0] + ", got nothing");
  const Inbox::Answer got = std::move(inbox.answers.front());
  inbox.answers.pop_front();
  const std::string came = text_of(got);
  if (got.notification != notification) {
    return fail("expected " + std::string(notification ? "a notification" : "an answer") + ", got " + came);
  }
  if (model::to_string(got.response.code) != words[0]) return fail("expected " + words[0] + ", got " + came);
  const auto body = body_text(got.response, got.about);
  for (std::size_t i = 1; i < words.size(); ++i) {
    if (words[i] == got.manner) continue;
    if (words[i] == "max-age=" + std::to_string(got.response.max_age_s.value_or(60))) continue;
    if (words[i] == "saying" && body && body->find(join(words, i + 1)) != std::string::npos) break;
    return fail("expected " + join(words, i) + ", got " + came + ", " + got.manner +
                (got.response.max_age_s ? ", max-age=" + std::to_string(*got.response.max_age_s) : ""));
  }
  compare(line, body, came);
}

std::optional<Inbox::Asked> Scene::expect_request(Inbox& inbox, Words words, const Line& line) {
  const auto time = patience(words);
  if (!time) return std::nullopt;
  const std::string wanted = join(words);
  const bool heartbeat = words.size() >= 2 && words[1] == "hb";
  auto& queue = heartbeat ? inbox.heartbeats : inbox.requests;
  // Heartbeats that passed unmentioned are no news.
  if (heartbeat) std::erase_if(queue, [&](const auto& one) { return one.at < acted_; });
  wait_for(*time, [&] { return !queue.empty(); });
  if (failed()) return std::nullopt;
  if (queue.empty()) {
    fail("expected " + wanted + ", got nothing");
    return std::nullopt;
  }
  Inbox::Asked got = std::move(queue.front());
  queue.pop_front();
  const auto body = body_text(got.request);
  Words came_words = words_of(got.request);
  const std::string came = join(came_words) + (body && !body->empty() ? " " + *body : "");
  std::sort(words.begin(), words.end());
  std::sort(came_words.begin(), came_words.end());
  if (!std::equal(words.begin(), words.end(), came_words.begin(), came_words.end(), fits)) {
    fail("expected " + wanted + ", got " + came);
    return std::nullopt;
  }
  compare(line, body, came);
  return got;
}

void Scene::expect_nothing(Inbox& inbox, Words words) {
  const auto time = patience(words);
  if (!time) return;
  const std::string text = join(words);
  if (text == "no PUT hb") {
    inbox.heartbeats.clear();
    pass(*time);
    if (!inbox.heartbeats.empty()) fail("expected no PUT hb, got one");
    return;
  }
  if (text != "nothing") return fail("'" + text + "' is nothing that can be received (docs/plays.md)");
  pass(*time);
  inbox.heartbeats.clear();
  if (!inbox.answers.empty()) {
    const auto& first = inbox.answers.front();
    fail("expected nothing, got " + model::to_string(first.response.code) + " about " + first.about);
  }
  if (!inbox.requests.empty()) fail("expected nothing, got " + join(words_of(inbox.requests.front().request)));
}

void Scene::expect_empty(const std::string& name, const Inbox& inbox) {
  const std::string start = "the play ends, but " + name + " has received more than it says: ";
  if (!inbox.answers.empty()) {
    fail(start + text_of(inbox.answers.front()) + " about " + inbox.answers.front().about);
  }
  if (!inbox.requests.empty()) fail(start + join(words_of(inbox.requests.front().request)));
}

}  // namespace dots::plays
