// Our server: what it is configured with, what its operator and its back end do, and the rules that are installed.
#include <algorithm>
#include <set>
#include <utility>

#include "tests/plays/stage.h"

namespace dots::plays {

namespace {

using model::Parameter;

// "4.00" and "4" for a decimal, "4" for others; as the model counts it.
std::optional<std::uint64_t> parameter_value(const model::ParameterFacts& facts, const std::string& text) {
  const auto point = text.find('.');
  const auto whole = number_of(text.substr(0, point));
  if (!whole || !facts.decimal) return point == std::string::npos ? whole : std::nullopt;
  const auto hundredths = point == std::string::npos ? 0 : number_of(text.substr(point + 1));
  if (!hundredths || (point != std::string::npos && text.size() - point != 3)) return std::nullopt;
  return *whole * 100 + *hundredths;
}

}  // namespace

bool Stage::server_line(const Line& line) {
  const Words& words = line.words;
  const std::string text = join(words);
  if (words[0] == "domain") {
    declare_domain(words);
  } else if (words[0] == "client") {
    declare_client(words);
  } else if (words[0] == "policy") {
    set_policy(words);
  } else if (text.starts_with("the server accepts ")) {
    set_bounds(words);
  } else if (words[0].starts_with("installed")) {
    expect_rules(line);
  } else if (text.starts_with("changes at the back end: ")) {
    pass(std::chrono::milliseconds{200});
    if (words.back() != std::to_string(back_end_.changes))
      fail("expected " + words.back() + " changes, there were " + std::to_string(back_end_.changes));
  } else if (text == "the server crashes" || text == "the server restarts") {
    restart(text == "the server crashes");
  } else if (text == "the back end dies") {
    back_end_.down = true;
  } else if (text == "the back end returns") {
    back_end_.down = false;
  } else if (text.starts_with("the back end reports ")) {
    back_end_reports(words);
  } else if (text.starts_with("the operator withdraws ")) {
    const auto name = mitigation_name(words, 3);
    if (!name || words.size() != 6) {
      fail("the operator withdraws DOMAIN cuid=CUID mid=MID");
      return true;
    }
    open_stage();
    server_->operator_withdraw(name->domain, name->cuid, name->mid, ++tickets_);
    pass(std::chrono::milliseconds{100});
  } else if (text.starts_with("the operator redirects ")) {
    operator_redirects(words);
  } else if (text == "the operator ends the redirection") {
    open_stage();
    redirects_->orders.clear();
    server_->set_redirects(std::make_shared<agent::server::Redirects>(*redirects_));
  } else {
    return false;
  }
  return true;
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
  // client NAME of DOMAIN [priority=N]
  const auto priority = words.size() == 5 ? number_of(value_of(words[4], "priority").value_or("")) : 100;
  if (words.size() < 4 || words.size() > 5 || words[2] != "of" || !priority) {
    return fail("client NAME of DOMAIN [priority=N]");
  }
  if (server_) return fail("the play has begun: clients are named before");
  const auto domain = std::find_if(parts_.domains.begin(), parts_.domains.end(),
                                   [&](const auto& one) { return one.id.value == words[3]; });
  if (domain == parts_.domains.end()) return fail("there is no domain '" + words[3] + "'");
  domain->clients.push_back({base::ClientId{words[1]}, {words[1]}, {}, static_cast<std::uint32_t>(*priority)});
  auto client = std::make_unique<Client>();
  client->name = words[1];
  clients_[words[1]] = std::move(client);
}

void Stage::set_policy(const Words& words) {
  // policy DOMAIN [conflict-winner=WHO] [max-lifetime=N] [max-mitigations=N] [indefinite=no]
  const auto domain = std::find_if(parts_.domains.begin(), parts_.domains.end(),
                                   [&](const auto& one) { return words.size() > 2 && one.id.value == words[1]; });
  if (domain == parts_.domains.end() || server_) return fail("policy DOMAIN KEY=VALUE..., before the play begins");
  static const std::map<std::string, policy::ConflictWinner> winners{{"first", policy::ConflictWinner::first},
                                                                     {"last", policy::ConflictWinner::last},
                                                                     {"nobody", policy::ConflictWinner::nobody},
                                                                     {"everybody", policy::ConflictWinner::everybody}};
  for (std::size_t i = 2; i < words.size(); ++i) {
    if (const auto winner = value_of(words[i], "conflict-winner"); winner && winners.contains(*winner)) {
      domain->conflict_winner = winners.at(*winner);
    } else if (const auto lifetime = number_of(value_of(words[i], "max-lifetime").value_or(""))) {
      domain->max_lifetime_s = *lifetime;
    } else if (const auto most = number_of(value_of(words[i], "max-mitigations").value_or(""))) {
      domain->max_mitigations = static_cast<std::uint32_t>(*most);
    } else if (words[i] == "indefinite=no") {
      domain->allow_indefinite = false;
    } else {
      return fail("'" + words[i] + "' is nothing of a policy");
    }
  }
}

void Stage::set_bounds(const Words& words) {
  // the server accepts PARAMETER LOW..HIGH [default VALUE]
  auto bounds = std::make_shared<policy::SessionBounds>(*parts_.shard.bounds);
  for (const auto& facts : model::parameters()) {
    if (words.size() < 5 || model::attribute(facts.key).name != words[3]) continue;
    const auto dots = words[4].find("..");
    if (dots == std::string::npos) break;
    const auto low = parameter_value(facts, words[4].substr(0, dots));
    const auto high = parameter_value(facts, words[4].substr(dots + 2));
    if (!low || !high) break;
    bounds->range(facts.parameter) = {*low, *high};
    if (words.size() == 7 && words[5] == "default") {
      const auto value = parameter_value(facts, words[6]);
      if (!value) break;
      bounds->defaults.set(facts.parameter, *value);
    } else if (words.size() != 5) {
      break;
    }
    parts_.shard.bounds = std::move(bounds);
    if (server_) server_->set_session_bounds(parts_.shard.bounds);
    return;
  }
  fail("the server accepts PARAMETER LOW..HIGH [default VALUE]");
}

void Stage::operator_redirects(const Words& words) {
  // the operator redirects everybody|DOMAIN|CLIENT to HOST [ADDRESS...] for N s|ever|this request [by force]
  const auto usage = [this] {
    fail("the operator redirects everybody|DOMAIN|CLIENT to HOST [ADDRESS...] for N s|ever|this request [by force]");
  };
  auto order = std::make_shared<agent::server::RedirectOrder>();
  order->id = ++tickets_;
  order->author = "operator";
  Words rest{words.begin() + 3, words.end()};
  if (rest.size() > 2 && join(rest, rest.size() - 2) == "by force") {
    order->force = true;
    rest.resize(rest.size() - 2);
  }
  const auto when = std::find(rest.begin(), rest.end(), "for");
  if (rest.size() < 3 || rest[1] != "to" || when == rest.end() || when - rest.begin() < 3) return usage();
  if (clients_.contains(rest[0])) {
    order->client = base::ClientId{rest[0]};
    for (const auto& domain : parts_.domains) {
      for (const auto& client : domain.clients) {
        if (client.id == *order->client) order->domain = domain.id;
      }
    }
  } else if (rest[0] != "everybody") {
    order->domain = base::DomainId{rest[0]};
  }
  order->to.alt_server = rest[2];
  for (auto word = rest.begin() + 3; word != when; ++word) {
    const auto address = model::parse_ip_address(*word);
    if (!address) return usage();
    order->to.alt_server_record.push_back(*address);
  }
  const Words time{when + 1, rest.end()};
  if (join(time) == "ever") {
    order->ttl_s = model::kRedirectForever;
  } else if (join(time) == "this request") {
    order->ttl_s = 0;
  } else {
    const auto ttl = time.size() == 2 ? duration_of(time[0], time[1]) : std::nullopt;
    if (!ttl) return usage();
    order->ttl_s = static_cast<std::uint32_t>(base::whole_seconds(*ttl));
  }
  open_stage();
  redirects_->orders.push_back(std::move(order));
  server_->set_redirects(std::make_shared<agent::server::Redirects>(*redirects_));
  pass(std::chrono::milliseconds{100});
}

void Stage::back_end_reports(const Words& words) {
  // the back end reports DOMAIN cuid=CUID mid=MID attack-stopped|attack-goes-on|accept-list NAME...|COUNTER=N...
  const auto name = mitigation_name(words, 4);
  if (!name || words.size() < 8) return fail("the back end reports DOMAIN cuid=CUID mid=MID WHAT...");
  open_stage();
  if (words[7] == "attack-stopped" || words[7] == "attack-goes-on") {
    server_->tell_domain(name->domain,
                         signal::server::AttackReport{name->cuid, name->mid, words[7] == "attack-stopped"});
  } else if (words[7] == "accept-list") {
    server_->tell_domain(name->domain,
                         signal::server::AcceptListReport{name->cuid, name->mid, {words.begin() + 8, words.end()}});
  } else {
    model::DropCounters counters;
    for (std::size_t i = 7; i < words.size(); ++i) {
      bool known = false;
      for (const auto& [key, counter] :
           {std::pair{"bytes-dropped", &counters.bytes_dropped}, std::pair{"bps-dropped", &counters.bps_dropped},
            std::pair{"pkts-dropped", &counters.pkts_dropped}, std::pair{"pps-dropped", &counters.pps_dropped}}) {
        if (const auto value = number_of(value_of(words[i], key).value_or(""))) {
          *counter = *value;
          known = true;
        }
      }
      if (!known) return fail("'" + words[i] + "' is nothing that a back end reports");
    }
    server_->tell_domain(name->domain, signal::server::CountersReport{name->cuid, name->mid, counters});
  }
  pass(std::chrono::milliseconds{100});
}

void Stage::open_stage() {
  if (server_) return;
  parts_.shard.session = std::make_shared<agent::server::SessionSettings>();
  parts_.back_end = &back_end_;
  parts_.clock = &scene_.clock();
  ++parts_.seed;
  world::ServerHooks hooks;
  hooks.send = [this](const model::Datagram& datagram) {
    scene_.timeline().after(kLatency, [this, datagram] {
      for (auto& [name, client] : clients_) {
        if (client->peer && !client->silent && client->path == datagram.path) client->peer->on_datagram(datagram.bytes);
      }
    });
  };
  hooks.resolve = [this](const base::DomainId& domain, const std::string& name) {
    scene_.timeline().after(kLatency, [this, domain, resolution = scene_.resolve(name)] {
      if (server_) server_->resolved(domain, resolution);
    });
  };
  server_ = std::make_unique<world::ServerNode>(scene_.timeline(), parts_, std::move(hooks));
  if (!redirects_->orders.empty()) {
    server_->set_redirects(std::make_shared<agent::server::Redirects>(*redirects_));
  }
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

void Stage::expect_rules(const Line& line) {
  // installed: nothing | installed: RULE; RULE
  open_stage();
  pass(std::chrono::milliseconds{200});
  std::set<std::string> expected, got;
  const std::string text = join(line.words, 1);
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
