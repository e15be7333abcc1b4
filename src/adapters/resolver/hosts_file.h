// Names that the machine knows by itself (hosts(5)).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model/ip.h"

namespace dots::adapters::resolver {

// The addresses of the name, sorted and without duplicates; nothing when the file cannot be read. Reads at most 1 MiB.
std::vector<model::IpAddress> find_in_hosts_file(const std::string& path, std::string_view name);
// The same on the text of such a file.
std::vector<model::IpAddress> find_in_hosts(std::string_view text, std::string_view name);

}  // namespace dots::adapters::resolver
