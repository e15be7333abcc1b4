#include "agent/server/pools.h"

#include <algorithm>
#include <set>

namespace dots::agent::server {
namespace {

using model::RefusalReason;

struct No {
  RefusalReason reason = RefusalReason::function;
  std::string why;
};

std::optional<std::string> cannot_express(const PlannedBackEnd& facts, const std::vector<model::Rule>& rules) {
  for (const model::Rule& rule : rules) {
    if (!facts.scoped && rule.action != model::RuleAction::blackhole)
      return "it blackholes alone, and '" + model::to_string(rule) + "' is more than that";
    if (!facts.limits && rule.action == model::RuleAction::limit) return "it cannot limit a rate";
    const bool v4 = rule.match.target.address.family == model::Family::ipv4;
    const std::uint8_t least = v4 ? facts.min_prefix_length_v4 : facts.min_prefix_length_v6;
    if (rule.match.target.length < least)
      return model::to_string(rule.match.target) + " is wider than its /" + std::to_string(least);
  }
  return std::nullopt;
}

class Pool {
 public:
  Pool(const std::vector<PlannedBackEnd>& back_ends, const BackEndLoads& loads, const Demand& demand, Assignment& out)
      : back_ends_(back_ends), loads_(loads), demand_(demand), out_(out) {}

  // Takes its part, or says why not.
  std::optional<No> give(const std::string& name) {
    if (taken_.contains(name)) return No{RefusalReason::function, "it has its part already"};
    auto no = offer(name);
    if (no) {
      out_.notes.push_back("'" + name + "' does not take it: " + no->why);
    } else {
      taken_.insert(name);
      out_.notes.push_back("'" + name + "' takes it" + (down(name) ? " when it is back: " : ": ") +
                           std::to_string(out_.parts.back().rules.size()) +
                           (out_.parts.back().rules.size() == 1 ? " rule" : " rules"));
    }
    return no;
  }
  // Does this mitigation run there, and has it not its part of the new plan yet?
  bool holds(const std::string& name) const { return held(name) > 0 && !taken_.contains(name); }
  bool down(const std::string& name) const {
    const auto found = loads_.find(name);
    return found != loads_.end() && found->second.down;
  }

 private:
  std::uint64_t held(const std::string& name) const {
    const auto found = demand_.holds.find(name);
    return found == demand_.holds.end() ? 0 : found->second;
  }

  std::optional<No> offer(const std::string& name) {
    const auto facts =
        std::find_if(back_ends_.begin(), back_ends_.end(), [&](const PlannedBackEnd& one) { return one.name == name; });
    if (facts == back_ends_.end()) return No{RefusalReason::function, "there is no such back end"};
    auto rules = demand_.rules(*facts);
    if (!rules) return No{RefusalReason::function, rules.error().message};
    if (rules->empty()) return No{RefusalReason::function, "nothing is left for it to do"};
    if (const auto why = cannot_express(*facts, *rules)) return No{RefusalReason::function, *why};
    const auto found = loads_.find(name);
    const BackEndLoad load = found == loads_.end() ? BackEndLoad{} : found->second;
    const std::uint64_t holds = held(name);
    const std::uint64_t others = load.rules - std::min(load.rules, holds);
    // What runs there is not sent away for the sake of others.
    if (facts->max_rules > 0 && rules->size() > holds && others + rules->size() > facts->max_rules)
      return No{RefusalReason::capacity, "it has no room: " + std::to_string(others) + " of " +
                                             std::to_string(facts->max_rules) + " rules are used, and this needs " +
                                             std::to_string(rules->size())};
    if (facts->max_bits_per_s > 0 && holds == 0 && load.bits_per_s + demand_.bits_per_s > facts->max_bits_per_s)
      return No{RefusalReason::bandwidth,
                "it is busy: " + std::to_string(load.bits_per_s) + " of " + std::to_string(facts->max_bits_per_s) +
                    " bit/s are used, and this attack has " + std::to_string(demand_.bits_per_s)};
    out_.parts.push_back({name, std::move(*rules)});
    return std::nullopt;
  }

  const std::vector<PlannedBackEnd>& back_ends_;
  const BackEndLoads& loads_;
  const Demand& demand_;
  Assignment& out_;
  std::set<std::string> taken_;
};

}  // namespace

Assignment assign(const policy::PolicyRule& rule, const std::vector<PlannedBackEnd>& back_ends,
                  const BackEndLoads& loads, const Demand& demand) {
  Assignment out;
  Pool pool(back_ends, loads, demand, out);
  std::vector<std::string> use = rule.use;
  if (use.empty()) {
    for (const PlannedBackEnd& one : back_ends) use.push_back(one.name);
  }
  for (const std::string& name : use) {
    std::vector<std::string> candidates{name};
    for (const std::string& other : rule.overflow) {
      if (std::find(use.begin(), use.end(), other) == use.end()) candidates.push_back(other);
    }
    // What runs is not moved: in between nobody would have it.
    const auto newcomers =
        std::stable_partition(candidates.begin(), candidates.end(), [&](const auto& one) { return pool.holds(one); });
    std::stable_partition(newcomers, candidates.end(), [&](const auto& one) { return !pool.down(one); });
    std::optional<RefusalReason> unmet;
    for (const std::string& one : candidates) {
      const auto no = pool.give(one);
      if (!no) {
        unmet.reset();
        break;
      }
      if (!unmet || no->reason != RefusalReason::function) unmet = no->reason;
    }
    if (unmet && (!out.unmet || *out.unmet == RefusalReason::function)) out.unmet = unmet;
  }
  return out;
}

}  // namespace dots::agent::server
