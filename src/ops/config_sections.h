// The sections of the configuration table, each with its keys; config_schema.cpp puts them together. Internal to this
// room.
#pragma once

#include <string>
#include <vector>

#include "ops/config_schema.h"

namespace dots::ops {

SectionSpec data_channel_section();    // [data_channel] of a server
SectionSpec filter_control_section();  // [filter_control]
SectionSpec extensions_section();      // [extensions]
SectionSpec mitigator_section();       // [[mitigator]]
SectionSpec domain_section();          // [[domain]] and its clients
SectionSpec policy_section();          // [[policy]]
SectionSpec safety_section();          // [safety]
SectionSpec upstream_section();        // [[upstream]] of a client

// The keys of back ends outside of the daemon.
std::vector<KeySpec> external_mitigator_keys();
void check_external_mitigator(const MitigatorConfig& mitigator, const std::string& path, const ConfigPlaces& places,
                              ConfigProblems& problems);

// What the keys of several back ends need to fit together.
void check_mitigators(const Config& config, const ConfigPlaces& places, ConfigProblems& problems);
void check_policy(const Config& config, const ConfigPlaces& places, ConfigProblems& problems);

}  // namespace dots::ops
