#include "tests/plays/stage.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <set>
#include <utility>

#include "tests/plays/matching.h"
#include "wire/cbor.h"
#include "wire/json.h"
#include "wire/messages.h"

namespace dots::plays {

namespace json = boost::json;
using model::ResponseCode;

namespace {

constexpr base::Duration kLatency = std::chrono::milliseconds{5};
constexpr base::Duration kPatience = std::chrono::seconds{4};  // how long an answer may take

// "30 s", "2 min", "1 h"
std::optional<base::Duration> duration_of(const std::string& number, const std::string& unit) {
  char* end = nullptr;
  const double value = std::strtod(number.c_str(), &end);
  if (number.empty() || *end != 0) return std::nullopt;
  const double seconds = unit == "s" ? 1 : unit == "min" ? 60 : unit == "h" ? 3600 : unit == "ms" ? 0.001 : -1;
  if (seconds < 0) return std::nullopt;
  return base::Duration{static_cast<std::int64_t>(value * seconds * 1e9)};
}

std::string join(const std::vector<std::string>& words, std::size_t from) {
  std::string text;
  for (std::size_t i = from; i < words.size(); ++i) text += (i > from ? " " : "") + words[i];
  return text;
}

model::Message body_of(const std::string& path, ResponseCode code) {
  if (path.starts_with("config")) return model::Message::config_answer;
  if (code == ResponseCode::conflict) return model::Message::mitigation_conflict;
  if (code == ResponseCode::service_unavailable) return model::Message::redirect;
  return code == ResponseCode::content ? model::Message::mitigation_get_answer : model::Message::mitigation_put_answer;
}

}  // namespace

std::string perform(const Play& play) { return Stage{play}.perform(); }

std::string Stage::perform() {
  for (const Line& line : play_.lines) {
    line_ = line.number;
    play_line(line);
    if (failed()) return failure_;
  }
  for (const auto& [name, client] : clients_) {
    if (client->received.empty()) continue;
    const Received& first = client->received.front();
    fail("the play ends, but " + name +
         " has received more than it says: " + (first.notification ? "a notification " : "an answer ") +
         model::to_string(first.response.code) + " about " + first.path);
  }
  return failure_;
}

void Stage::fail(const std::string& text) {
  if (failure_.empty()) failure_ = play_.file + ":" + std::to_string(line_) + ": " + text;
}

void Stage::pass(base::Duration time) {
  if (!timeline_.run_for(time)) fail("time stands still");
}

Stage::Client* Stage::find(const std::string& name) {
  const auto it = clients_.find(name);
  return it == clients_.end() ? nullptr : it->second.get();
}

void Stage::play_line(const Line& line) {
  const Words& words = line.words;
  const std::string text = join(words, 0);
  if (words.at(0) == "domain") {
    declare_domain(words);
  } else if (words[0] == "client") {
    declare_client(words);
  } else if (words[0] == "name" && words.size() >= 4 && words[2] == "is") {
    auto& addresses = names_[words[1]];
    addresses.clear();
    for (std::size_t i = 3; i < words.size(); ++i) {
      const auto address = model::parse_ip_address(words[i]);
      if (!address) return fail("'" + words[i] + "' is no address");
      addresses.push_back(*address);
    }
    std::sort(addresses.begin(), addresses.end());
  } else if (words.size() == 3 && words[0] == "wait") {
    const auto time = duration_of(words[1], words[2]);
    if (!time) return fail("wait wants a number and s, min or h");
    open_stage();
    pass(*time);
  } else if (text.starts_with("installed")) {
    expect_rules(line);
  } else if (text == "the server crashes" || text == "the server restarts") {
    restart(text == "the server crashes");
  } else if (text == "the back end dies") {
    back_end_.down = true;
  } else if (text == "the back end returns") {
    back_end_.down = false;
  } else if (text.starts_with("the operator withdraws ") && words.size() == 6) {
    // the operator withdraws DOMAIN cuid=... mid=...
    open_stage();
    server_->operator_withdraw(base::DomainId{words[3]}, base::Cuid{words[4].substr(5)},
                               base::Mid{static_cast<std::uint32_t>(std::stoul(words[5].substr(4)))}, ++tickets_);
    pass(std::chrono::milliseconds{100});
  } else if (Client* client = find(words[0])) {
    open_stage();
    client_line(*client, line);
  } else {
    fail("'" + text + "' is no line of a play (docs/plays.md)");
  }
}

void Stage::declare_domain(const Words& words) {
  // domain NAME owns PREFIX... [names NAME...]
  if (words.size() < 4 || words[2] != "owns") return fail("domain NAME owns PREFIX... [names NAME...]");
  policy::DomainPolicy domain;
  domain.id = base::DomainId{words[1]};
  domain.allow_indefinite = true;
  bool names = false;
  for (std::size_t i = 3; i < words.size(); ++i) {
    if (words[i] == "names") {
      names = true;
    } else if (names) {
      domain.names.push_back(words[i]);
    } else {
      const auto prefix = model::parse_prefix(words[i]);
      if (!prefix) return fail("'" + words[i] + "' is no prefix");
      domain.prefixes.push_back(*prefix);
    }
  }
  parts_.domains.push_back(std::move(domain));
}

void Stage::declare_client(const Words& words) {
  // client NAME of DOMAIN
  if (words.size() != 4 || words[2] != "of") return fail("client NAME of DOMAIN");
  const auto domain = std::find_if(parts_.domains.begin(), parts_.domains.end(),
                                   [&](const auto& one) { return one.id.value == words[3]; });
  if (domain == parts_.domains.end()) return fail("there is no domain '" + words[3] + "'");
  domain->clients.push_back({base::ClientId{words[1]}, {words[1]}, {}});
  auto client = std::make_unique<Client>();
  client->name = words[1];
  clients_[words[1]] = std::move(client);
}

void Stage::open_stage() {
  if (server_) return;
  auto session = std::make_shared<agent::server::SessionSettings>();
  parts_.shard.session = session;
  parts_.back_end = &back_end_;
  parts_.clock = &clock_;
  ++parts_.seed;
  world::ServerHooks hooks;
  hooks.send = [this](const model::Datagram& datagram) {
    timeline_.after(kLatency, [this, datagram] {
      for (auto& [name, client] : clients_) {
        if (client->channel && client->path == datagram.path) to_client(*client, datagram.bytes);
      }
    });
  };
  hooks.resolve = [this](const base::DomainId& domain, const std::string& name) {
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
    timeline_.after(kLatency, [this, domain, resolution] {
      if (server_) server_->resolved(domain, resolution);
    });
  };
  server_ = std::make_unique<world::ServerNode>(timeline_, parts_, std::move(hooks));
  // Until here rules that nobody explains are left alone after a start.
  pass(std::chrono::seconds{4});
}

void Stage::restart(bool crash) {
  open_stage();
  if (!crash) {
    server_->close_all("the server stops");
    pass(std::chrono::milliseconds{100});
  }
  server_->crash(true);
  server_.reset();
  open_stage();
}

// ---- clients ------------------------------------------------------------------------------------------------------

void Stage::client_line(Client& client, const Line& line) {
  const Words& words = line.words;
  const std::string what = join(words, 1);
  if (what == "connects") {
    connect(client);
  } else if (what == "falls silent") {
    client.silent = true;
  } else if (what == "is heard again") {
    client.silent = false;
  } else if (what == "closes the session") {
    ports::ChannelEvents events;
    client.channel->close(events);
    from_client(client, std::move(events.datagrams));
    pass(std::chrono::milliseconds{100});
  } else if (what == "ends the observation") {
    if (!client.observation) return fail(client.name + " observes nothing");
    coap::Effects effects;
    client.endpoint->stop_observing(*client.observation, timeline_.now(), effects);
    client.observation.reset();
    absorb(client, effects);
  } else if (words.size() > 2 && words[1] == "sends") {
    send(client, line);
  } else if (words.size() > 2 && words[1] == "receives") {
    receive(client, line, false);
  } else if (words.size() > 3 && words[1] == "is" && words[2] == "notified") {
    receive(client, line, true);
  } else if (what == "overlooks what came") {
    client.received.clear();
  } else {
    fail("'" + what + "' is nothing that a client does (docs/plays.md)");
  }
}

void Stage::connect(Client& client) {
  client.path.local = {*model::parse_ip_address("2001:db8:5::53"), 4646};
  client.path.peer = {*model::parse_ip_address("2001:db8:6401::99"), static_cast<std::uint16_t>(40000 + ++keys_)};
  client.channel = std::make_unique<test::ScriptedChannel>(keys_, client.name);
  client.endpoint.reset();
  client.observation.reset();
  client.silent = false;
  ports::ChannelEvents events;
  client.channel->start(events);
  from_client(client, std::move(events.datagrams));
  pass(std::chrono::milliseconds{200});
  if (!client.endpoint) fail(client.name + " finds no session");
}

void Stage::from_client(Client& client, std::vector<base::Bytes> datagrams) {
  for (auto& bytes : datagrams) {
    timeline_.after(kLatency, [this, path = client.path, bytes = std::move(bytes)] {
      if (server_) server_->on_datagram({path, bytes});
    });
  }
}

void Stage::to_client(Client& client, const base::Bytes& datagram) {
  if (client.silent) return;
  ports::ChannelEvents events;
  client.channel->on_datagram(datagram, events);
  from_client(client, std::move(events.datagrams));
  if (events.opened) client.endpoint.emplace(coap::EndpointLimits{}, keys_);
  for (const auto& plaintext : events.plaintexts) {
    coap::Effects effects;
    client.endpoint->on_datagram(plaintext, timeline_.now(), effects);
    absorb(client, effects);
  }
}

void Stage::absorb(Client& client, coap::Effects& effects) {
  // Heartbeats are answered: silence must be said ("falls silent").
  for (const auto& incoming : std::exchange(effects.requests, {})) {
    coap::Response response;
    response.code = ResponseCode::changed;
    client.endpoint->respond(incoming.exchange, response, false, timeline_.now(), effects);
  }
  for (auto& incoming : effects.responses) {
    client.received.push_back({incoming.notification, std::move(incoming.response), client.asked[incoming.request]});
  }
  for (const auto& plaintext : effects.send) {
    ports::ChannelEvents events;
    (void)client.channel->send(plaintext, events);
    from_client(client, std::move(events.datagrams));
  }
}

void Stage::send(Client& client, const Line& line) {
  // NAME sends METHOD PATH [observe] [if-match] [if-match=TEXT] [?c=n] [confirmable] [hop-limit=N] {JSON}
  if (!client.endpoint) return fail(client.name + " has no session: say '" + client.name + " connects'");
  const Words& words = line.words;
  if (words.size() < 4) return fail("sends wants a method and a path");
  coap::Request request;
  if (words[2] == "GET") {
    request.method = wire::Method::get;
  } else if (words[2] == "PUT") {
    request.method = wire::Method::put;
  } else if (words[2] == "DELETE") {
    request.method = wire::Method::del;
  } else {
    return fail("'" + words[2] + "' is none of GET, PUT and DELETE");
  }
  request.uri_path = {".well-known", "dots"};
  std::string segment;
  for (const char c : words[3] + "/") {
    if (c == '/') {
      request.uri_path.push_back(std::exchange(segment, {}));
    } else {
      segment += c;
    }
  }
  for (std::size_t i = 4; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "observe") {
      request.observe = 0;
    } else if (word == "confirmable") {
      request.confirmable = true;
    } else if (word.starts_with("if-match")) {
      const std::string value = word.size() > 9 ? word.substr(9) : "";
      request.if_match.emplace_back(value.begin(), value.end());
    } else if (word.starts_with("hop-limit=")) {
      request.hop_limit = static_cast<std::uint8_t>(std::stoi(word.substr(10)));
    } else if (word.starts_with("?")) {
      request.uri_query.push_back(word.substr(1));
    } else {
      return fail("'" + word + "' is no option of a request");
    }
  }
  if (!line.json.empty()) {
    const model::Message message = words[3].starts_with("config") ? model::Message::config_request
                                   : words[3].starts_with("hb")   ? model::Message::heartbeat
                                   : request.if_match.empty()     ? model::Message::mitigation_request
                                                                  : model::Message::efficacy_update;
    const auto document = wire::decode_json(line.json, message, model::Manner::tolerant);
    if (!document) return fail("the body is no DOTS message: " + document.error().message);
    request.payload = wire::encode_cbor(*document);
    request.content_format = wire::kContentFormatDots;
  }
  coap::Effects effects;
  const auto id = client.endpoint->send(request, {}, timeline_.now(), effects);
  if (!id) return fail("the request cannot be sent");
  client.asked[*id] = words[3];
  if (request.observe) client.observation = id;
  absorb(client, effects);
  pass(std::chrono::milliseconds{100});
}

void Stage::receive(Client& client, const Line& line, bool notification) {
  // NAME receives CODE [max-age=N] [within N s] {JSON} | NAME receives nothing | NAME is notified CODE ...
  Words words{line.words.begin() + (notification ? 3 : 2), line.words.end()};
  base::Duration patience = kPatience;
  if (words.size() >= 3 && words[words.size() - 3] == "within") {
    const auto time = duration_of(words[words.size() - 2], words.back());
    if (!time) return fail("within wants a number and s, min or h");
    patience = *time;
    words.resize(words.size() - 3);
  }
  if (words.at(0) == "nothing") {
    pass(patience);
    if (!client.received.empty()) {
      fail("expected nothing, got " + model::to_string(client.received.front().response.code) + " about " +
           client.received.front().path);
    }
    return;
  }
  const base::SteadyTime end = timeline_.now() + patience;
  while (client.received.empty() && timeline_.now() < end && !failed()) pass(std::chrono::milliseconds{50});
  if (failed()) return;
  if (client.received.empty()) return fail("expected " + words[0] + ", got nothing");
  const Received got = std::move(client.received.front());
  client.received.pop_front();
  std::string body;
  json::value value;
  if (got.response.content_format == wire::kContentFormatDots) {
    const auto document = wire::decode_cbor(got.response.payload, body_of(got.path, got.response.code),
                                            model::Manner::tolerant, wire::kAnswerLimits);
    if (!document) return fail("the body cannot be read: " + document.error().message);
    body = wire::encode_json(*document);
    value = json::parse(body);
  } else {
    body = std::string(base::as_text(got.response.payload));
  }
  const std::string came = std::string(got.notification ? "a notification " : "an answer ") +
                           model::to_string(got.response.code) + (body.empty() ? "" : " " + body);
  if (got.notification != notification) {
    return fail("expected " + std::string(notification ? "a notification" : "an answer") + ", got " + came);
  }
  if (model::to_string(got.response.code) != words[0]) return fail("expected " + words[0] + ", got " + came);
  for (std::size_t i = 1; i < words.size(); ++i) {
    if (words[i] == "max-age=" + std::to_string(got.response.max_age_s.value_or(60))) continue;
    if (words[i] == "saying" && body.find(join(words, i + 1)) != std::string::npos) break;
    return fail("expected " + join(words, i) + ", got " + came);
  }
  if (line.json.empty()) return;
  boost::system::error_code error;
  const json::value expected = json::parse(line.json, error);
  if (error) return fail("the expected body is no JSON: " + error.message());
  if (const auto text = difference(expected, value); !text.empty()) fail(text + "\n  in " + came);
}

void Stage::expect_rules(const Line& line) {
  // installed: nothing | installed: RULE; RULE
  open_stage();
  pass(std::chrono::milliseconds{200});
  std::set<std::string> expected, got;
  std::string text = join(line.words, 1);
  if (text != "nothing") {
    std::string rule;
    for (const char c : text + ";") {
      if (c != ';') {
        if (!rule.empty() || c != ' ') rule += c;
        continue;
      }
      expected.insert(std::exchange(rule, {}));
    }
  }
  for (const auto& [match, one] : back_end_.rules) got.insert(model::to_string(one.rule));
  if (expected == got) return;
  std::string all;
  for (const auto& rule : got) all += (all.empty() ? "" : "; ") + rule;
  fail("expected " + text + ", installed is " + (all.empty() ? "nothing" : all));
}

}  // namespace dots::plays
