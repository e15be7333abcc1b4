#include "tests/sim/scenario.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <set>
#include <sstream>

#include "tests/sim/random.h"

namespace dots::sim {
namespace {

constexpr std::array kDomains{"acme", "zeta", "omni"};
// Verbs that are wishes of operators; all others are faults.
const std::set<std::string> kWishes{"mitigate", "arm", "withdraw", "refresh"};

std::string number(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.3f", value);
  return text.data();
}

class Generator {
 public:
  explicit Generator(std::uint64_t seed) : random_(seed) { scenario_.seed = seed; }

  Scenario make() {
    choose_settings();
    clients_ = client_names(scenario_);
    length_s_ = static_cast<double>(scenario_.setting("length_s"));
    const auto wishes = random_.between(6, 16);
    for (std::int64_t i = 0; i < wishes; ++i) wish();
    std::vector<std::size_t> kinds(kFaults.size());
    for (std::size_t i = 0; i < kinds.size(); ++i) kinds[i] = i;
    for (std::size_t i = kinds.size(); i > 1; --i) std::swap(kinds[i - 1], kinds[random_.below(i)]);
    kinds.resize(static_cast<std::size_t>(random_.between(6, 9)));
    for (const std::size_t kind : kinds) {
      const auto times = random_.between(1, 3);
      for (std::int64_t i = 0; i < times; ++i) (this->*kFaults[kind])();
    }
    std::stable_sort(scenario_.actions.begin(), scenario_.actions.end(),
                     [](const Action& a, const Action& b) { return a.at_s < b.at_s; });
    return std::move(scenario_);
  }

 private:
  using Fault = void (Generator::*)();

  void choose_settings() {
    auto& s = scenario_.settings;
    s["length_s"] = random_.between(850, 1080);
    s["domains"] = random_.between(1, 2);
    s["clients"] = random_.between(1, 2);  // of each domain
    s["shards"] = random_.between(1, 3);
    s["heartbeat_s"] = random_.chance(0.7) ? 15 : 30;
    s["missing_hb_allowed"] = random_.chance(0.5) ? 3 : random_.between(4, 8);
    s["reconnect_s"] = random_.chance(0.5) ? 60 : 300;
    s["terminating_s"] = random_.chance(0.5) ? 30 : 120;
    s["refresh_percent"] = random_.between(30, 60);
    s["max_mitigations"] = random_.chance(0.15) ? 3 : 100;
    s["two_part_flights"] = random_.between(0, 1);
    s["latency_ms"] = random_.between(1, 120);
    s["negotiate"] = random_.between(0, 1);
    s["share_targets"] = random_.chance(0.4) ? 1 : 0;  // the clients of a domain contend
    s["conflict_winner"] = random_.between(0, 3);      // policy::ConflictWinner
  }

  void add(double at_s, std::vector<std::string> words) { scenario_.actions.push_back({at_s, std::move(words)}); }
  double time() { return random_.fraction() * length_s_; }
  double later(double at_s, double least, double most) {
    return std::min(length_s_, at_s + least + random_.fraction() * (most - least));
  }
  const std::string& client() { return clients_[random_.below(clients_.size())]; }

  void wish() {
    const std::string who = client();
    const double dice = random_.fraction();
    const double at = time();
    if (dice < 0.55) {
      add(at, {random_.chance(0.15) ? "arm" : "mitigate", who, target(who),
               std::to_string(random_.chance(0.3) ? random_.between(20, 90) : random_.between(120, 3600))});
    } else if (dice < 0.85) {
      add(at, {"withdraw", who, std::to_string(random_.below(16))});
    } else {
      add(at, {"refresh", who, std::to_string(random_.below(16))});
    }
  }
  // "host/32", "host/32:udp", "host/32:tcp:80", "www.acme.example"; few hosts, so that requests overlap.
  std::string target(const std::string& who) {
    const std::string domain = who.substr(0, who.find('.'));
    const bool upper = who.back() == '2' && scenario_.setting("share_targets") == 0;
    if (random_.chance(0.1)) return "www" + who.substr(who.find('.') + 1) + "." + domain + ".example";
    const std::string net = domain == "acme" ? "192.0.2." : domain == "zeta" ? "198.51.100." : "203.0.113.";
    const auto host = static_cast<std::int64_t>(upper ? 128 : 0) + random_.between(0, 7) * 8;
    const char* length = random_.chance(0.7) ? "/32" : "/29";
    const double dice = random_.fraction();
    return net + std::to_string(host) + length + (dice < 0.3 ? ":17" : dice < 0.5 ? ":6:80" : "");
  }

  void loss() {
    const double at = time();
    const std::string who = client();
    const auto much = [&] { return number(random_.chance(0.3) ? 0.9 : random_.fraction() * 0.9); };
    add(at, {"loss", who, much(), much()});
    add(later(at, 20, 400), {"loss", who, "0", "0"});
  }
  void duplication() {
    const double at = time();
    const std::string who = client();
    add(at, {"duplicate", who, number(random_.fraction() * 0.5)});
    add(later(at, 20, 400), {"duplicate", who, "0"});
  }
  void delay() {
    const double at = time();
    const std::string who = client();
    add(at, {"delay", who, number(random_.fraction() * 1.5)});
    add(later(at, 20, 400), {"delay", who, "0"});
  }
  void reordering() {
    const double at = time();
    const std::string who = client();
    add(at, {"jitter", who, number(random_.fraction() * 3)});
    add(later(at, 20, 400), {"jitter", who, "0"});
  }
  void damage() {
    const double at = time();
    const std::string who = client();
    add(at, {"damage", who, number(random_.fraction() * 0.5)});
    add(later(at, 20, 300), {"damage", who, "0"});
  }
  void rebinding() { add(time(), {"rebind", client()}); }
  void blackout() {
    const double at = time();
    const std::string who = client();
    const auto threshold =
        static_cast<double>(scenario_.setting("heartbeat_s") * (scenario_.setting("missing_hb_allowed") + 3));
    add(at, {"loss", who, "1", "1"});
    add(later(at, threshold * 0.5, threshold * 2), {"loss", who, "0", "0"});
  }
  void client_crash() {
    const double at = time();
    const std::string who = client();
    add(at, {random_.chance(0.2) ? "stop" : "crash", who});
    add(later(at, 0, random_.chance(0.7) ? 5 : 120), {"start", who});
  }
  void server_crash() {
    const double at = time();
    const std::string who = random_.chance(0.8) ? "server" : "alternate";
    add(at, {random_.chance(0.2) ? "stop" : "crash", who});
    add(later(at, 0, random_.chance(0.7) ? 5 : 120), {"start", who});
  }
  void redirection() {
    const double at = time();
    const auto ttl_s = random_.chance(0.15) ? 0 : random_.between(20, random_.chance(0.5) ? 120 : 900);
    add(at, {"redirect", std::to_string(ttl_s), random_.chance(0.6) ? "force" : "gently"});
    add(later(at, 5, 300), {"redirect", "end"});
  }
  // At the moment when a commit or a call of the back end is under way.
  void server_crash_at_step() {
    add(time(), {"crash_at", random_.chance(0.5) ? "commit" : "back_end", std::to_string(random_.between(1, 12))});
  }
  void client_crash_at_commit() {
    const double at = time();
    const std::string who = client();
    add(at, {"crash_at", who, "1"});
    add(at + 0.001, {"mitigate", who, target(who), "600"});
  }
  void store_faults() {
    const double at = time();
    const std::string who = random_.chance(0.6) ? "server" : client();
    add(at,
        {"store", who, number(random_.fraction() * 0.7), number(random_.fraction() * (random_.chance(0.3) ? 4 : 0.2))});
    add(later(at, 5, 120), {"store", who, "0", "0"});
  }
  void clock_step() {
    const std::string who = random_.chance(0.6) ? "server" : client();
    const auto step = random_.chance(0.5) ? random_.between(-30, 30) : random_.between(-4000, 4000);
    add(time(), {"clock", who, std::to_string(step)});
  }
  void back_end_dies() {
    const double at = time();
    add(at, {"back_end", "down", random_.chance(0.4) ? "empty" : "keep"});
    add(later(at, 1, 150), {"back_end", "up", "-"});
  }
  void back_end_faults() {
    const double at = time();
    add(at, {"back_end", "faults", number(random_.fraction() * 0.7)});
    add(later(at, 10, 200), {"back_end", "faults", "0"});
  }
  void back_end_tampered() { add(time(), {"back_end", "tamper", "-"}); }
  void hand_over() {
    const double at = time();
    add(at, {"hand_over", number(random_.fraction() * 0.4), number(random_.fraction() * 0.5)});
    add(later(at, 10, 200), {"hand_over", "0", "0"});
  }
  void operator_withdraws() { add(time(), {"operator_withdraw", std::to_string(random_.below(16))}); }
  void names_fail() {
    const double at = time();
    add(at, {"names", number(random_.fraction())});
    add(later(at, 10, 200), {"names", "0"});
  }
  void forged_hellos() { add(time(), {"forge", std::to_string(random_.between(10, 200))}); }

  static constexpr std::array<Fault, 21> kFaults{&Generator::client_crash_at_commit,
                                                 &Generator::redirection,
                                                 &Generator::loss,
                                                 &Generator::duplication,
                                                 &Generator::delay,
                                                 &Generator::reordering,
                                                 &Generator::damage,
                                                 &Generator::rebinding,
                                                 &Generator::blackout,
                                                 &Generator::client_crash,
                                                 &Generator::server_crash,
                                                 &Generator::server_crash_at_step,
                                                 &Generator::store_faults,
                                                 &Generator::clock_step,
                                                 &Generator::back_end_dies,
                                                 &Generator::back_end_faults,
                                                 &Generator::back_end_tampered,
                                                 &Generator::hand_over,
                                                 &Generator::operator_withdraws,
                                                 &Generator::names_fail,
                                                 &Generator::forged_hellos};

  Random random_;
  Scenario scenario_;
  std::vector<std::string> clients_;
  double length_s_ = 0;
};

}  // namespace

std::vector<std::string> client_names(const Scenario& scenario) {
  std::vector<std::string> names;
  for (std::int64_t d = 0; d < scenario.setting("domains"); ++d) {
    for (std::int64_t c = 1; c <= scenario.setting("clients"); ++c) {
      names.push_back(kDomains.at(static_cast<std::size_t>(d)) + std::string{"."} + std::to_string(c));
    }
  }
  return names;
}

std::size_t Scenario::fault_kinds() const {
  std::set<std::string> kinds;
  for (const Action& action : actions) {
    const std::string& verb = action.words.front();
    if (kWishes.contains(verb) || verb == "start") continue;
    // A crash of the client and one of the server are two kinds, so are the troubles of a back end.
    const bool told_apart =
        verb == "crash" || verb == "stop" || verb == "store" || verb == "clock" || verb == "back_end";
    const std::string& what = action.words.at(1);
    kinds.insert(!told_apart ? verb : verb + (verb == "back_end" || what == "server" ? " " + what : " client"));
  }
  return kinds.size();
}

Scenario generate(std::uint64_t seed) { return Generator{seed}.make(); }

std::string to_text(const Scenario& scenario) {
  std::string text = "seed " + std::to_string(scenario.seed) + "\n";
  for (const auto& [name, value] : scenario.settings) text += "set " + name + " " + std::to_string(value) + "\n";
  for (const Action& action : scenario.actions) {
    text += "at " + number(action.at_s);
    for (const auto& word : action.words) text += " " + word;
    text += "\n";
  }
  return text;
}

base::Result<Scenario> parse_scenario(const std::string& text) {
  // What a file leaves out is as in the scenario that its seed makes.
  Scenario scenario;
  std::istringstream lines{text};
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    std::istringstream words{line.substr(0, line.find('#'))};
    std::string word;
    if (!(words >> word)) continue;
    const auto wrong = [&](const std::string& why) {
      return base::Error{"line " + std::to_string(number) + ": " + why};
    };
    if (word == "seed") {
      if (!(words >> scenario.seed)) return wrong("seed wants a number");
      scenario.settings = generate(scenario.seed).settings;
    } else if (word == "set") {
      std::string name;
      std::int64_t value = 0;
      if (!(words >> name >> value)) return wrong("set wants a name and a number");
      if (!scenario.settings.contains(name)) return wrong("there is no setting '" + name + "'");
      scenario.settings[name] = value;
    } else if (word == "at") {
      Action action;
      if (!(words >> action.at_s)) return wrong("at wants a time in seconds");
      while (words >> word) action.words.push_back(word);
      if (action.words.size() < 2) return wrong("at wants a time, a verb and its arguments");
      scenario.actions.push_back(std::move(action));
    } else {
      return wrong("'" + word + "' is not seed, set or at");
    }
  }
  if (scenario.settings.empty()) return base::Error{"the first line must be 'seed NUMBER'"};
  std::stable_sort(scenario.actions.begin(), scenario.actions.end(),
                   [](const Action& a, const Action& b) { return a.at_s < b.at_s; });
  return scenario;
}

}  // namespace dots::sim
