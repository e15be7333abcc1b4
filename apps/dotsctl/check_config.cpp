// What a daemon would find at its start, told before.
#include <sys/stat.h>

#include <boost/json.hpp>
#include <chrono>
#include <ostream>

#include "adapters/net/credentials.h"
#include "adapters/store/state_dir.h"
#include "api/rights.h"
#include "apps/back_ends/back_ends.h"
#include "dotsctl/commands.h"
#include "dotsctl/exit_code.h"
#include "dotsctl/text.h"
#include "ops/config.h"

namespace dots::dotsctl {
namespace {

namespace json = boost::json;

struct Findings {
  std::vector<ops::ConfigProblem> problems;
  std::vector<std::string> notes;  // worth knowing, and no reason to refuse
};

void credentials(const ops::Config& config, Findings& findings) {
  adapters::net::CredentialSources sources;
  const ops::CredentialsConfig& c = config.credentials;
  sources.ca_file = c.ca_file;
  sources.crl_file = c.crl_file;
  sources.certificate_file = c.certificate_file;
  sources.key_file = c.key_file;
  for (const auto& psk : c.psk) sources.psk.push_back({psk.identity, psk.key});
  const auto side = config.role == ops::Role::server ? adapters::net::Side::server : adapters::net::Side::client;
  const base::WallTime now{std::chrono::system_clock::now().time_since_epoch()};
  const auto loaded = adapters::net::Credentials::load(sources, side, now);
  if (loaded) {
    for (const auto& warning : (*loaded)->warnings()) findings.notes.push_back(warning);
    return;
  }
  for (const auto& problem : loaded.error())
    findings.problems.push_back({config.file, 0, "credentials",
                                 (problem.file.empty() ? "" : problem.file + ": ") + problem.what, problem.remedy});
}

void mitigators(const ops::Config& config, Findings& findings) {
  bool really = config.mitigators.empty();
  for (std::size_t i = 0; i < config.mitigators.size(); ++i) {
    const ops::MitigatorConfig& m = config.mitigators[i];
    if (m.kind == "dry-run") continue;
    really = true;
    if (const auto usable = back_ends::check(m); !usable)
      findings.problems.push_back({config.file, 0, "mitigator[" + std::to_string(i) + "]", usable.error().message, ""});
  }
  if (!really) findings.notes.push_back("every mitigator is dry-run: nothing is really dropped");
}

void machine(const ops::Config& config, Findings& findings) {
  for (const auto& [key, name] : {std::pair{"api.operator_group", config.api.operator_group},
                                  std::pair{"api.read_only_group", config.api.read_only_group}})
    if (!name.empty())
      if (const auto gid = api::group_id(name); !gid)
        findings.problems.push_back({config.file, 0, key, gid.error().message, ""});
  if (config.store.kind == "memory") {
    findings.notes.push_back("store.kind is memory: everything is lost when the daemon ends");
    return;
  }
  struct stat info {};
  if (::stat(config.store.state_dir.c_str(), &info) != 0)
    findings.notes.push_back("the state directory '" + config.store.state_dir +
                             "' is not there yet, and dotsd needs it: install -d -m 0700 '" + config.store.state_dir +
                             "' (owned by the daemon's user)");
  else if (const auto usable = adapters::store::check_state_dir(config.store.state_dir); !usable)
    findings.problems.push_back({config.file, 0, "store.state_dir", usable.error().message, ""});
}

std::string summary(const ops::Config& config) {
  Facts facts;
  facts.add("role", config.role == ops::Role::server ? "server" : "client");
  std::string list;
  if (config.role == ops::Role::server) {
    for (const auto& address : config.listen.addresses) list += (list.empty() ? "" : ", ") + model::to_string(address);
    facts.add("listens on", list);
    list.clear();
    for (const auto& m : config.mitigators) list += (list.empty() ? "" : ", ") + m.name + " (" + m.kind + ")";
    facts.add("mitigators", list);
    list.clear();
    for (const auto& d : config.domains) {
      if (list.size() > 200) {
        list += ", ...";
        break;
      }
      list += (list.empty() ? "" : ", ") + d.id.value;
    }
    facts.add("domains", std::to_string(config.domains.size()) + ": " + list);
  } else {
    for (const auto& u : config.upstreams) list += (list.empty() ? "" : ", ") + u.name + " (" + u.host + ")";
    facts.add("signals to", list);
    facts.add("credential", config.credentials.psk_file.empty() ? "certificate" : "pre-shared key");
  }
  facts.add("state", config.store.state_dir);
  facts.add("socket", config.api.socket);
  return facts.text(2);
}

}  // namespace

int run_check_config(const Options& options, Streams streams) {
  const auto config = ops::load_config(options.check_file);
  Findings findings;
  if (!config) {
    findings.problems = config.error();
  } else {
    credentials(*config, findings);
    mitigators(*config, findings);
    machine(*config, findings);
  }
  if (options.json) {
    json::array problems, notes;
    for (const auto& p : findings.problems)
      problems.push_back(
          json::object{{"file", p.file}, {"line", p.line}, {"key", p.key}, {"what", p.what}, {"remedy", p.remedy}});
    for (const auto& note : findings.notes) notes.emplace_back(note);
    streams.out << json::serialize(json::object{{"good", findings.problems.empty()},
                                                {"problems", std::move(problems)},
                                                {"notes", std::move(notes)}})
                << "\n";
    return findings.problems.empty() ? kOk : kRefused;
  }
  for (const auto& problem : findings.problems) streams.err << printable(ops::to_string(problem)) << "\n";
  for (const auto& note : findings.notes) streams.err << "note: " << printable(note) << "\n";
  if (!findings.problems.empty()) {
    streams.err << findings.problems.size() << (findings.problems.size() == 1 ? " problem.\n" : " problems.\n");
    return kRefused;
  }
  streams.out << options.check_file << " is good.\n" << summary(*config);
  return kOk;
}

}  // namespace dots::dotsctl
