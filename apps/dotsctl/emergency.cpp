// The way out when the daemon is dead, hung or not trusted: look at the rules and remove them, by hand.
#include <pwd.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <chrono>
#include <ostream>

#include "adapters/mitigators/emergency.h"
#include "adapters/store/operator_mark.h"
#include "adapters/store/state_lock.h"
#include "apps/back_ends/back_ends.h"
#include "dotsctl/commands.h"
#include "dotsctl/exit_code.h"
#include "dotsctl/text.h"
#include "ops/config.h"

namespace dots::dotsctl {
namespace {

namespace json = boost::json;
namespace mitigators = adapters::mitigators;
namespace store = adapters::store;

std::string user_name() {
  // Who became root is worth more than "root".
  if (const char* sudo = std::getenv("SUDO_USER"); sudo != nullptr && *sudo != '\0') return sudo;
  const passwd* entry = ::getpwuid(::geteuid());
  return entry != nullptr ? entry->pw_name : "uid " + std::to_string(::geteuid());
}

struct Seen {
  ports::Mitigator::Listing listing;
  bool counts = false;
};

base::Result<Seen> look_at(const ops::MitigatorConfig& m) {
  const auto back_end = back_ends::make(m, true);
  if (!back_end) return back_end.error();
  auto listing = mitigators::list_all(**back_end);
  if (!listing) return listing.error();
  return Seen{std::move(*listing), (*back_end)->abilities().counts};
}

// What nobody counts is unknown, and never 0.
void put(const std::string& name, const model::RuleCounters& counters, bool counts, json::object row, Table& table,
         json::array& all) {
  table.add(
      {name, counts ? short_number(counters.packets) : "unknown", counts ? bytes_words(counters.bytes) : "unknown"});
  if (counts) {
    row["packets"] = counters.packets;
    row["bytes"] = counters.bytes;
  }
  all.push_back(std::move(row));
}

base::Result<ports::Mitigator::Listing> clear(const ops::MitigatorConfig& m) {
  const auto back_end = back_ends::make(m, false);
  if (!back_end) return back_end.error();
  return mitigators::remove_all(**back_end);
}

int list(const ops::Config& config, const Options& options, Streams streams) {
  json::array all;
  int code = kOk;
  for (const ops::MitigatorConfig& m : config.mitigators) {
    if (!back_ends::outlives_daemon(m)) {
      if (!options.json) streams.out << m.name << " (" << m.kind << "): holds nothing outside a daemon.\n";
      continue;
    }
    const auto seen = look_at(m);
    if (!seen) {
      code = fail(options, streams, kRefused, m.name + ": " + seen.error().message, "");
      continue;
    }
    const ports::Mitigator::Listing* listing = &seen->listing;
    Table table{{"RULE", "PACKETS", "DROPPED"}};
    for (const auto& installed : listing->rules) {
      const std::string rule = model::to_string(installed.rule);
      put(rule, installed.counters, seen->counts, {{"mitigator", m.name}, {"rule", rule}}, table, all);
    }
    for (const auto& list : listing->filters) {
      model::RuleCounters sum;
      for (const auto& entry : list.counters) {
        sum.packets += entry.counters.packets;
        sum.bytes += entry.counters.bytes;
      }
      const std::string name = printable(model::to_string(list.key));
      const auto entries = static_cast<std::uint64_t>(list.counters.size());
      const std::string size =
          seen->counts ? ", " + std::to_string(entries) + (entries == 1 ? " entry" : " entries") : "";
      json::object row{{"mitigator", m.name}, {"filters", name}};
      if (seen->counts) row["entries"] = entries;
      put(name + size, sum, seen->counts, std::move(row), table, all);
    }
    for (const auto& foreign : listing->foreign) {
      table.add({"not ours: " + foreign, "", ""});
      all.push_back(json::object{{"mitigator", m.name}, {"foreign", foreign}});
    }
    if (options.json) continue;
    streams.out << m.name << " (" << back_ends::describe(m)
                << "): " << (table.empty() ? std::string{"no rules.\n"} : "\n" + table.text());
  }
  if (options.json) streams.out << json::serialize(json::object{{"rules", std::move(all)}}) << "\n";
  return code;
}

int remove_all(const ops::Config& config, const Options& options, Streams streams) {
  // Held until the end: no daemon starts and installs rules while they are being removed.
  const auto lock = store::StateLock::take(config.store.state_dir);
  if (!lock)
    return fail(options, streams, kRefused, lock.error().message,
                "stop the daemon first: it would install the rules again");
  // The mark is first: if this ends half way, a restart still installs nothing.
  const base::WallTime now{std::chrono::system_clock::now().time_since_epoch()};
  store::OperatorMark marker{base::from_unix_seconds(base::unix_seconds(now)), user_name(), options.emergency.note};
  if (const auto marked = store::write_mark(config.store.state_dir, store::Mark::emergency, marker); !marked)
    streams.err << "warning: a restart will install the rules again: " << marked.error().message << "\n";

  json::array removed;
  int code = kOk;
  for (const ops::MitigatorConfig& m : config.mitigators) {
    if (!back_ends::outlives_daemon(m)) continue;
    const auto there = clear(m);
    if (!there) {
      code = fail(options, streams, kRefused, m.name + ": " + there.error().message,
                  "by hand: " + back_ends::removal_by_hand(m));
      continue;
    }
    for (const auto& one : there->rules)
      removed.push_back(json::object{{"mitigator", m.name}, {"rule", model::to_string(one.rule)}});
    for (const auto& one : there->filters)
      removed.push_back(json::object{{"mitigator", m.name}, {"filters", printable(model::to_string(one.key))}});
    if (options.json) continue;
    const std::size_t rules = there->rules.size(), lists = there->filters.size();
    streams.out << m.name << ": " << rules << (rules == 1 ? " rule" : " rules");
    if (lists != 0) streams.out << " and " << lists << (lists == 1 ? " list of filters" : " lists of filters");
    streams.out << " removed.\n";
    for (const auto& one : there->rules) streams.out << "  " << model::to_string(one.rule) << "\n";
    for (const auto& one : there->filters) streams.out << "  " << printable(model::to_string(one.key)) << "\n";
  }
  bool stays = true;
  if (options.emergency.clear_marker && code == kOk) {
    const auto cleared = store::clear_mark(config.store.state_dir, store::Mark::emergency);
    if (!cleared) return fail(options, streams, kRefused, cleared.error().message, "");
    stays = false;
  }
  if (options.json)
    streams.out << json::serialize(json::object{{"removed", std::move(removed)}, {"marker", stays}}) << "\n";
  else if (stays)
    streams.out << "A restarted daemon keeps its mitigations but installs no rule until you run:\n"
                << "  dotsctl emergency clear-marker --config " << options.config << "\n";
  else
    streams.out << "A restarted daemon installs the rules of its mitigations again.\n";
  return code;
}

int clear_marker(const ops::Config& config, const Options& options, Streams streams) {
  const auto cleared = store::clear_mark(config.store.state_dir, store::Mark::emergency);
  if (!cleared) return fail(options, streams, kRefused, cleared.error().message, "");
  if (options.json)
    streams.out << json::serialize(json::object{{"cleared", *cleared}}) << "\n";
  else
    streams.out << (*cleared ? "The mark is gone. Restart the daemon: it installs the rules of its mitigations again.\n"
                             : "There is no mark.\n");
  return kOk;
}

}  // namespace

int run_emergency(const std::string& command, const Options& options, Streams streams) {
  if (options.config.empty())
    return fail(options, streams, kUsage, "which daemon?", "name its configuration with --config FILE");
  // A missing certificate or a typing error elsewhere must not stand between the operator and the rules.
  const auto [config, problems] = ops::load_partial_config(options.config);
  for (const auto& problem : problems) streams.err << "warning: " << printable(ops::to_string(problem)) << "\n";
  if (!problems.empty() && (config.store.state_dir.empty() || config.mitigators.empty()))
    return fail(options, streams, kRefused, "the configuration does not say which rules are ours",
                "by hand: nft list tables; then nft delete table inet NAME");
  if (config.role != ops::Role::server)
    return fail(options, streams, kUsage, "a client installs no rules", "name the configuration of a server");
  if (command == "emergency list") return list(config, options, streams);
  if (command == "emergency clear-marker") return clear_marker(config, options, streams);
  return remove_all(config, options, streams);
}

}  // namespace dots::dotsctl
