#include "tests/sim/simulation.h"

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <utility>

#include "mitigation/plan.h"
#include "tests/sim/telling.h"

namespace dots::sim {

using model::SocketAddress;

namespace {

const std::map<std::string, std::string> kPrefixes{
    {"acme", "192.0.2.0/24"}, {"zeta", "198.51.100.0/24"}, {"omni", "203.0.113.0/24"}};

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == separator) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

}  // namespace

Simulation::Simulation(const Scenario& scenario, Coverage& coverage, bool verbose)
    : scenario_(scenario),
      coverage_(coverage),
      verbose_(verbose),
      random_(scenario.seed ^ 0x5eedULL),
      network_(timeline_, random_, std::chrono::milliseconds{scenario.setting("latency_ms")}) {
  const auto setting = [&](const char* name) { return scenario_.setting(name); };
  const std::vector<std::string> names = client_names(scenario_);
  model::ParameterSet heartbeats;
  heartbeats.set(model::Parameter::heartbeat_interval, static_cast<std::uint64_t>(setting("heartbeat_s")));
  heartbeats.set(model::Parameter::missing_hb_allowed, static_cast<std::uint64_t>(setting("missing_hb_allowed")));
  heartbeats.set(model::Parameter::probing_rate, 10);  // bytes a second: room for a heartbeat in each interval
  make_site("server", "dots.example.net", "203.0.113.250");
  make_site("alternate", "dots2.example.net", "203.0.113.251");
  auto bounds = std::make_shared<policy::SessionBounds>();
  bounds->defaults = heartbeats;
  for (auto& site : sites_) site->parts.shard.bounds = bounds;
  std::map<std::string, policy::DomainPolicy> domains;
  for (const std::string& name : names) {
    const std::string domain = name.substr(0, name.find('.'));
    auto& policy = domains[domain];
    policy.id = base::DomainId{domain};
    policy.clients.push_back({base::ClientId{name}, {name}, {}});
    policy.prefixes = {*model::parse_prefix(kPrefixes.at(domain))};
    policy.names = {domain + ".example"};
    policy.conflict_winner = static_cast<policy::ConflictWinner>(setting("conflict_winner"));
    policy.max_mitigations = static_cast<std::uint32_t>(setting("max_mitigations"));
    policy.terminating_period = std::chrono::seconds{setting("terminating_s")};
    auto client = std::make_unique<Client>();
    client->name = name;
    client->domain = domain;
    client->parts.credential = name;
    client->parts.two_part_flights = home().parts.two_part_flights;
    client->parts.clock = &client->clock;
    agent::client::ServerSettings server;
    server.upstream.name = server.requests.server = "upstream";
    server.upstream.host = home().host;
    server.upstream.addresses = {home().address};
    server.upstream.retry = std::chrono::seconds{setting("reconnect_s")};
    model::ParameterSet under_attack =
        heartbeats;  // looks no later than the idle set, so that one threshold judges both
    under_attack.set(model::Parameter::heartbeat_interval, 15);
    server.config.negotiate = setting("negotiate") != 0;
    server.config.wanted = {heartbeats, server.config.negotiate ? under_attack : heartbeats};
    server.requests.cuid = base::Cuid{"cuid-" + name};
    server.requests.refresh_before_percent = static_cast<std::uint32_t>(setting("refresh_percent"));
    client->parts.settings.version = "simulated";
    client->parts.settings.servers = {server};
    domain_by_client_[name] = domain;
    clients_[name] = std::move(client);
  }
  for (auto& site : sites_) {
    for (const auto& [id, policy] : domains) site->parts.domains.push_back(policy);
    Oracle::World world;
    world.timeline = &timeline_;
    world.server_clock = &site->clock;
    world.disk = site->parts.disk;
    world.domains = domains;
    world.coverage = &coverage_;
    world.fail = [this, name = site->name](const std::string& why) { fail(name + ": " + why); };
    site->oracle = std::make_unique<Oracle>(std::move(world));
  }

  network_.to_server = [this](const model::Datagram& datagram) {
    for (auto& site : sites_) {
      if (site->address != datagram.path.local || !site->up()) continue;
      const std::string* domain = domain_of(datagram.path.peer);
      if (const auto text = test::scripted_plaintext(datagram.bytes); text && domain != nullptr) {
        if (verbose_) tell(model::to_string(datagram.path.peer) + " > " + site->name + ": " + describe(*text));
        site->oracle->server_received(datagram.path, *domain, *text);
      }
      site->node->on_datagram(datagram);
    }
  };
  network_.to_client = [this](const std::string& name, base::SessionId session_id, base::ByteView bytes) {
    if (auto& node = client(name).node) node->on_datagram(session_id, bytes);
  };
}

void Simulation::make_site(const std::string& name, const std::string& host, const std::string& address) {
  auto site = std::make_unique<Site>();
  site->name = name;
  site->host = host;
  site->address = {*model::parse_ip_address(address), 4646};
  site->parts.shard.session = std::make_shared<agent::server::SessionSettings>();
  site->parts.shards = static_cast<std::uint32_t>(scenario_.setting("shards"));
  site->parts.two_part_flights = scenario_.setting("two_part_flights") != 0;
  site->parts.back_end = &site->back_end;
  site->parts.clock = &site->clock;
  sites_.push_back(std::move(site));
}

Simulation::Site* Simulation::site_named(const std::string& name) const {
  for (const auto& site : sites_) {
    if (site->name == name) return site.get();
  }
  return nullptr;
}

double Simulation::seconds() const { return static_cast<double>((timeline_.now() - began_).count()) / 1e9; }

void Simulation::tell(const std::string& text) const {
  if (verbose_) std::printf("%9.3f  %s\n", seconds(), text.c_str());
}

void Simulation::fail(const std::string& why) {
  tell("FAILED: " + why);
  if (!failure_.empty()) return;
  failure_ = why;
  failed_at_ = seconds();
}

const std::string* Simulation::domain_of(const SocketAddress& address) const {
  const auto it = domain_by_client_.find(network_.owner(address));
  return it == domain_by_client_.end() ? nullptr : &it->second;
}

Outcome Simulation::run() {
  for (auto& site : sites_) start_server(*site);
  for (auto& [name, one] : clients_) start_client(*one);
  for (const Action& action : scenario_.actions) {
    if (!timeline_.run_until(began_ + seconds_of(action.at_s))) fail("time stands still");
    if (!failure_.empty()) break;
    perform(action);
    check_bounds();
  }
  if (failure_.empty()) {
    quiesce();
    check_end();
  }
  return {failure_, failed_at_, timeline_.events()};
}

// ---- actions ------------------------------------------------------------------------------------------------------

void Simulation::perform(const Action& action) {
  const auto& words = action.words;
  if (verbose_) {
    std::string text = "---";
    for (const auto& word : words) text += " " + word;
    tell(text);
  }
  const std::string& verb = words.front();
  const auto value = [&](std::size_t index) { return std::stod(words.at(index)); };
  const auto whole = [&](std::size_t index) { return std::stoll(words.at(index)); };
  if (verb == "crash_at") {
    crash_at_ = words.at(1);
    crash_after_ = whole(2);
  } else if (verb == "back_end") {
    back_end(words.at(1), words.at(2));
  } else if (verb == "hand_over") {
    hand_over_full_ = value(1);
    hand_over_delay_s_ = value(2);
  } else if (verb == "operator_withdraw") {
    operator_withdraw(static_cast<std::uint64_t>(whole(1)));
  } else if (verb == "names") {
    names_fail_ = value(1);
  } else if (verb == "forge") {
    forge(whole(1));
  } else if (verb == "redirect") {
    redirect(words);
  } else if (Site* site = site_named(words.at(1))) {
    server_action(*site, words);
  } else {
    client_action(client(words.at(1)), words);
  }
}

void Simulation::server_action(Site& site, const std::vector<std::string>& words) {
  const std::string& verb = words.front();
  if (verb == "crash") {
    site.wanted = false;
    end_server(site, random_.chance(0.5));
  } else if (verb == "stop") {
    stop_server(site);
  } else if (verb == "start") {
    start_server(site);
  } else if (verb == "store") {
    site.store_faults = std::stod(words.at(2));
    site.store_delay_s = std::stod(words.at(3));
  } else if (verb == "clock") {
    site.clock.offset += std::chrono::seconds{std::stoll(words.at(2))};
    // An idle shard looks at the clocks each second.
    timeline_.after(random_.up_to(std::chrono::seconds{1}), [&site] {
      if (site.up()) site.node->notice_clock_step();
    });
  } else {
    fail("the scenario says '" + verb + "', which nobody knows");
  }
}

void Simulation::client_action(Client& one, const std::vector<std::string>& words) {
  const std::string& verb = words.front();
  const auto value = [&](std::size_t index) { return std::stod(words.at(index)); };
  Network::Link& link = network_.link(one.name);
  if (verb == "mitigate" || verb == "arm") {
    mitigate(one, words.at(2), std::stoll(words.at(3)), verb == "mitigate");
  } else if (verb == "withdraw" || verb == "refresh") {
    if (!one.node) return;
    std::vector<std::uint32_t> live;
    for (const auto& [mid, phase] : one.phases) {
      if (phase != "refused" && phase != "ended") live.push_back(mid);
    }
    if (live.empty()) return;
    const std::uint32_t mid = live[std::stoull(words.at(2)) % live.size()];
    one.node->call(verb, {{"mid", mid}}, [this, &one, verb, mid](const agent::CallAnswer& answer) {
      tell(one.name + ": " + verb + " mid " + std::to_string(mid) + ": " +
           (answer.outcome == agent::CallAnswer::Outcome::ok ? "taken" : answer.message));
      timeline_.after({}, [this, &one] { look_at(one); });
    });
  } else if (verb == "loss") {
    const bool all_up = std::all_of(sites_.begin(), sites_.end(), [](const auto& site) { return site->up(); });
    if (value(2) >= 1 && value(3) >= 1 && one.node && all_up) {
      one.dark_since = timeline_.now();
    } else {
      check_dark(one);
    }
    link.loss_up = value(2);
    link.loss_down = value(3);
  } else if (verb == "duplicate") {
    link.duplicate = value(2);
  } else if (verb == "delay") {
    link.delay = seconds_of(value(2));
  } else if (verb == "jitter") {
    link.jitter = seconds_of(value(2));
  } else if (verb == "damage") {
    link.damage = value(2);
  } else if (verb == "rebind") {
    network_.rebind(one.name);
  } else if (verb == "crash") {
    end_client(one);
  } else if (verb == "stop") {
    if (one.node) one.node->stop();
    end_client(one);
  } else if (verb == "start") {
    start_client(one);
  } else if (verb == "store") {
    one.store_faults = value(2);
    one.store_delay_s = value(3);
  } else if (verb == "clock") {
    one.clock.offset += std::chrono::seconds{std::stoll(words.at(2))};
  } else {
    fail("the scenario says '" + verb + "', which nobody knows");
  }
}

void Simulation::mitigate(Client& one, const std::string& target, std::int64_t lifetime_s, bool trigger) {
  if (!one.node) return;
  boost::json::object arguments;
  const auto parts = split(target, ':');
  if (target.starts_with("www")) {
    arguments["target-fqdn"] = {parts[0]};
  } else {
    arguments["target-prefix"] = {parts[0]};
  }
  if (parts.size() > 1) arguments["target-protocol"] = {parts[1]};
  if (parts.size() > 2) arguments["target-port-range"] = {parts[2]};
  arguments["lifetime"] = lifetime_s;
  if (!trigger) arguments["trigger-mitigation"] = false;
  one.node->call("mitigate", std::move(arguments), [this, &one](const agent::CallAnswer& answer) {
    if (answer.outcome != agent::CallAnswer::Outcome::ok) {
      tell(one.name + ": mitigate: " + answer.message);
      coverage_.took("operator's wish", "refused");
      return;
    }
    const auto& told = answer.body.at("mitigation").as_object();
    const base::Mid mid{told.at("mid").to_number<std::uint32_t>()};
    tell(one.name + ": mitigate: mid " + std::to_string(mid.value));
    coverage_.took("operator's wish", "taken");
    // What the operator was told survives a crash of the client.
    const bool over = told.at("phase") == "ended" || told.at("phase") == "refused";
    if (!over && !one.parts.disk->client_requests.contains({"upstream", mid})) {
      fail(one.name + " told its operator of mid " + std::to_string(mid.value) + ", which is not stored");
    }
    timeline_.after({}, [this, &one] { look_at(one); });
  });
}

void Simulation::resolve(const std::string& name, std::function<void(const ports::Resolution&)> done) {
  ports::Resolution resolution;
  resolution.name = name;
  if (random_.chance(names_fail_)) {
    resolution.reason = "no answer";
    coverage_.took("name", "failed");
  } else {
    resolution.outcome = ports::Resolution::Outcome::answered;
    const auto parts = split(name, '.');  // www1.acme.example
    const std::string prefix = kPrefixes.at(parts.at(1));
    const std::string host = parts.at(0) == "www1" ? "90" : "218";
    resolution.addresses = {*model::parse_ip_address(prefix.substr(0, prefix.rfind('.') + 1) + host)};
    resolution.ttl = std::chrono::seconds{random_.between(10, 120)};
    coverage_.took("name", "answered");
  }
  timeline_.after(random_.up_to(std::chrono::seconds{3}),
                  [resolution = std::move(resolution), done = std::move(done)] { done(resolution); });
}

void Simulation::back_end(const std::string& what, const std::string& how) {
  world::BackEnd& back_end = home().back_end;
  if (what == "down") {
    back_end.down = true;
    if (how == "empty") back_end.rules.clear();
  } else if (what == "up") {
    back_end.down = false;
  } else if (what == "faults") {
    back_end_faults_ = std::stod(how);
  } else {
    // Somebody else removes a rule of ours and adds one that nobody wants.
    if (!back_end.rules.empty()) back_end.rules.erase(back_end.rules.begin());
    model::Rule rule;
    rule.match.target = *model::parse_prefix("203.0.113.77/32");
    back_end.rules[rule.match] = {rule, {}};
  }
}

void Simulation::forge(std::int64_t datagrams) {
  for (std::int64_t i = 0; i < datagrams; ++i) {
    model::Datagram datagram;
    datagram.path.local = home().address;
    datagram.path.peer.ip = *model::parse_ip_address("198.19.0." + std::to_string(random_.below(256)));
    datagram.path.peer.port = static_cast<std::uint16_t>(random_.below(65536));
    if (random_.chance(0.7)) {
      datagram.bytes =
          test::ScriptedHello{random_.next(), random_.chance(0.3) ? std::optional(random_.next()) : std::nullopt,
                              "stranger"}
              .datagram(0);
    } else {
      datagram.bytes = test::scripted_protected(23, random_.next(), random_.below(99), base::as_bytes("garbage"));
      // In the name of a live peer.
      if (home().node) {
        const auto sessions = home().node->sessions();
        if (!sessions.empty()) datagram.path = sessions[random_.below(sessions.size())].path;
      }
    }
    if (home().up()) home().node->on_datagram(datagram);
  }
}

void Simulation::operator_withdraw(std::uint64_t pick) {
  if (!home().up()) return;
  const auto all = home().node->mitigations();
  if (all.empty()) return;
  const auto& record = all[pick % all.size()].record;
  tell("the server's operator withdraws " + to_string(ports::MitigationKey{record.domain, record.cuid, record.mid}));
  home().oracle->operator_withdraws({record.domain, record.cuid, record.mid});
  home().node->operator_withdraw(record.domain, record.cuid, record.mid, ++tickets_);
}

// The operator of the first server sends everybody to the second, or takes that back.
void Simulation::redirect(const std::vector<std::string>& words) {
  auto redirects = std::make_shared<agent::server::Redirects>();
  if (words.at(1) != "end") {
    const Site& alternate = *sites_.back();
    agent::server::RedirectOrder order;
    order.id = ++tickets_;
    order.to.alt_server = alternate.host;
    order.to.alt_server_record = {alternate.address.ip};
    order.ttl_s = static_cast<std::uint32_t>(std::stoul(words.at(1)));
    order.force = words.at(2) == "force";
    redirects->orders.push_back(std::make_shared<agent::server::RedirectOrder>(std::move(order)));
  }
  home().redirects = std::move(redirects);
  if (home().up()) home().node->set_redirects(home().redirects);
}

// ---- looking ------------------------------------------------------------------------------------------------------

void Simulation::look_at(Client& one) {
  if (!one.node) return;
  one.node->call("list", {}, [this, &one](const agent::CallAnswer& answer) {
    if (answer.outcome != agent::CallAnswer::Outcome::ok) return;  // its commit was refused
    std::map<std::uint32_t, std::string> phases;
    for (const auto& entry : answer.body.at("mitigations").as_array()) {
      const auto& request = entry.as_object();
      const auto mid = request.at("mid").to_number<std::uint32_t>();
      const std::string phase{request.at("phase").as_string()};
      phases[mid] = phase;
      const auto before = one.phases.find(mid);
      const std::string from = before == one.phases.end() ? "none" : before->second;
      if (from != phase) coverage_.took("request at the client", from + " -> " + phase);
    }
    one.phases = std::move(phases);
  });
}

// Nothing got through for long enough: both sides say so.
void Simulation::check_dark(Client& one) {
  const auto since = std::exchange(one.dark_since, std::nullopt);
  if (!since || !one.node) return;
  const auto threshold =
      std::chrono::seconds{scenario_.setting("heartbeat_s") * (scenario_.setting("missing_hb_allowed") + 2) + 15};
  if (timeline_.now() - *since < threshold) return;
  coverage_.took("heartbeat", "both sides saw the loss");
  one.node->call("status", {}, [this, &one](const agent::CallAnswer& answer) {
    if (answer.outcome != agent::CallAnswer::Outcome::ok) return;
    for (const auto& server : answer.body.at("servers").as_array()) {
      if (server.at("state") != "connected") continue;
      // Nothing may be negotiated during an attack (RFC 9132 4.5.3): a client that started in one looks as late as the
      // defaults of the RFC say.
      const bool agreed = scenario_.setting("negotiate") == 0 || server.at("configuration") == "agreed";
      coverage_.took("configuration in the dark", agreed ? "agreed" : "the defaults");
      if (!agreed) continue;
      tell(one.name + " says: " + boost::json::serialize(server));
      fail(one.name + " believes in a session that has been dead for long");
    }
  });
  for (const auto& site : sites_) {
    if (!site->up()) continue;
    for (const auto& session : site->node->sessions()) {
      if (network_.owner(session.path.peer) == one.name && !session.lost) {
        fail("the " + site->name + " believes in a session of " + one.name + " that has been dead for long");
      }
    }
  }
}

void Simulation::check_bounds() {
  for (const auto& site : sites_) {
    if (!site->node) continue;
    if (site->node->handshakes() > 300) fail("too many handshakes are held");
    if (site->node->mitigations().size() > 200) fail("too many mitigations are held");
  }
}

}  // namespace dots::sim
