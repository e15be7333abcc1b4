#include "ops/config_session.h"

#include "ops/config_keys.h"

namespace dots::ops {
namespace {

using namespace keys;
using model::Parameter;
using model::ParameterSet;

struct ParameterKey {
  Parameter parameter;
  const char* name;
  const char* unit;
  std::int64_t scale;  // of the key's unit to that of the value
  Bounds bounds;
  const char* meaning;
  const char* example;
};

const std::vector<ParameterKey>& parameter_keys() {
  static const std::vector<ParameterKey> rows{
      {Parameter::heartbeat_interval,
       "heartbeat_interval_s",
       "s",
       1,
       {15, 65535, true},
       "Time between two heartbeats; 0: none.",
       "30"},
      {Parameter::missing_hb_allowed,
       "missing_hb_allowed",
       "",
       1,
       {1, 65535},
       "So many heartbeats may stay unanswered.",
       "15"},
      {Parameter::probing_rate,
       "probing_rate_bytes_per_s",
       "bytes per second",
       1,
       {1, 65535},
       "What a peer that does not respond is sent on average.",
       "5"},
      {Parameter::max_retransmit, "max_retransmit", "", 1, {0, 15}, "Repetitions of a confirmable message.", "3"},
      {Parameter::ack_timeout,
       "ack_timeout_ms",
       "ms",
       10,
       {1000, 600000},
       "Time until the first repetition, doubled each time (RFC 7252 section 4.8.1: not under a second).",
       "2000"},
      {Parameter::ack_random_factor,
       "ack_random_factor_percent",
       "percent",
       1,
       {100, 1000},
       "That time is stretched at random up to this.",
       "150"},
      {Parameter::max_payloads,
       "max_payloads",
       "",
       1,
       {1, 65535},
       "Blocks of robust transmission (RFC 9177) in one burst; the same for both sets.",
       "10"},
      {Parameter::non_max_retransmit,
       "non_max_retransmit",
       "",
       1,
       {0, 15},
       "Repetitions of a request for missing blocks.",
       "3"},
      {Parameter::non_timeout, "non_timeout_ms", "ms", 10, {1000, 600000}, "Pause between two bursts.", "2000"},
      {Parameter::non_receive_timeout,
       "non_receive_timeout_ms",
       "ms",
       10,
       {1000, 6000000},
       "Wait for missing blocks before they are asked for.",
       "4000"},
      {Parameter::non_probing_wait,
       "non_probing_wait_ms",
       "ms",
       10,
       {1000, 6000000},
       "Pause between two bodies that are not answered.",
       "223000"},
      {Parameter::non_partial_timeout,
       "non_partial_timeout_ms",
       "ms",
       10,
       {1000, 6000000},
       "How long an incomplete body is kept.",
       "247000"},
  };
  return rows;
}

std::string key_of(Parameter parameter) {
  for (const ParameterKey& row : parameter_keys()) {
    if (row.parameter == parameter) return row.name;
  }
  return "";
}

}  // namespace

SectionSpec parameter_section(std::string name, ForRole role, std::string meaning,
                              std::function<void*(void* parent)> open) {
  SectionSpec s = section(std::move(name), role);
  s.meaning = std::move(meaning);
  s.open = std::move(open);
  for (const ParameterKey& row : parameter_keys()) {
    KeySpec key =
        whole<ParameterSet>(row.name,
                            [parameter = row.parameter, scale = row.scale](ParameterSet& set, std::int64_t number) {
                              set.set(parameter, static_cast<std::uint64_t>(number / scale));
                            },
                            "", row.unit, row.bounds, {row.meaning, row.example});
    s.keys.push_back(std::move(key));
  }
  return s;
}

SectionSpec session_config_section() {
  using C = SessionConfigBounds;
  SectionSpec s = section("session_config", ForRole::server);
  s.meaning =
      "What clients may negotiate (RFC 9132 section 4.5, RFC 9362). Without the two tables below the limits are those "
      "of "
      "RFC 9132 Figure 20, with a wider probing rate; what nobody sets has the default of the RFC, and heartbeats have "
      "what `[heartbeat]` says.";
  s.live = true;
  s.open = [](void* parent) -> void* { return &static_cast<Config*>(parent)->session_config; };
  s.keys = {
      number<C>(
          "max_age_s", &C::max_age_s, "s", {60, UINT32_MAX},
          {"A client must ask again within this time, else its configuration lapses, outside attacks. 4294967295: "
           "never.",
           "3600"}),
      boolean<C>("idle_heartbeats_may_stop", &C::idle_heartbeats_may_stop,
                 {"May a client switch heartbeats off while nothing is mitigated? A dead client is then not noticed.",
                  "true"}),
      boolean<C>("idle_heartbeats_may_stop_with_armed_requests", &C::idle_heartbeats_may_stop_with_armed_requests,
                 {"May it do so while it has requests that start when its signal is lost?", "false"}),
  };
  s.children.push_back(parameter_section("min", ForRole::server, "The least values that are accepted.",
                                         [](void* parent) -> void* { return &static_cast<C*>(parent)->min; }));
  s.children.push_back(parameter_section("max", ForRole::server, "The greatest values that are accepted.",
                                         [](void* parent) -> void* { return &static_cast<C*>(parent)->max; }));
  for (SectionSpec& child : s.children) child.live = true;
  return s;
}

policy::SessionBounds session_bounds(const Config& config) {
  policy::SessionBounds bounds;
  const SessionConfigBounds& wanted = config.session_config;
  for (const model::ParameterFacts& facts : model::parameters()) {
    model::ParameterRange& range = bounds.range(facts.parameter);
    if (const auto min = wanted.min.get(facts.parameter)) range.min = *min;
    if (const auto max = wanted.max.get(facts.parameter)) range.max = *max;
  }
  bounds.max_age_s = wanted.max_age_s;
  bounds.heartbeats_may_stop_when_idle = wanted.idle_heartbeats_may_stop;
  bounds.heartbeats_may_stop_with_armed_requests = wanted.idle_heartbeats_may_stop_with_armed_requests;
  bounds.defaults.set(Parameter::heartbeat_interval, base::whole_seconds(config.heartbeat_interval));
  bounds.defaults.set(Parameter::missing_hb_allowed, static_cast<std::uint64_t>(config.missing_hb_allowed));
  return bounds;
}

void check_session_config(const Config& config, const ConfigPlaces& places, ConfigProblems& problems) {
  if (config.role != Role::server) return;
  const policy::SessionBounds bounds = session_bounds(config);
  const auto line = [&](const std::string& key) {
    const auto at = places.find(key);
    return at == places.end() ? 0 : at->second;
  };
  for (const model::ParameterFacts& facts : model::parameters()) {
    const model::ParameterRange& range = bounds.range(facts.parameter);
    if (range.min <= range.max) continue;
    const bool by_min = places.contains("session_config.min." + key_of(facts.parameter));
    const std::string key = std::string("session_config.") + (by_min ? "min." : "max.") + key_of(facts.parameter);
    problems.add(line(key), key, "the least value is above the greatest",
                 "write a pair that leaves a range; the other side is " +
                     model::value_text(facts.parameter, by_min ? range.max : range.min));
  }
}

}  // namespace dots::ops
