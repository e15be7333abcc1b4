// Rows of the configuration table for the session configuration (RFC 9132 4.5, RFC 9362). Internal to this room.
#pragma once

#include "ops/config_schema.h"

namespace dots::ops {

// [session_config] of a server: what it accepts.
SectionSpec session_config_section();
// A table with one key for each parameter; `open` gives the model::ParameterSet that it fills.
SectionSpec parameter_section(std::string name, ForRole role, std::string meaning,
                              std::function<void*(void* parent)> open);

// How the limits fit together, and the defaults between them.
void check_session_config(const Config& config, const ConfigPlaces& places, ConfigProblems& problems);

}  // namespace dots::ops
