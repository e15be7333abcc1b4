// The alias document of the founding architecture drafts: a JSON map from a name to its services.
//
//   { "https1": ["192.0.2.1:443", "[2001:db8::1]:443"], "api": "https://api.example.net/v1" }
//
// A service is address:port, an address or prefix alone, a prefix with a port, or a URI. RFC 8783 keeps prefixes and
// ports apart, so that services of different ports become aliases of their own.
#pragma once

#include <string_view>
#include <vector>

#include "data/client/entry.h"

namespace dots::data::client {

// The draft's own sample has a comma behind the last element; that is taken.
Checked<std::vector<Entry>> import_aliases(std::string_view text);

}  // namespace dots::data::client
