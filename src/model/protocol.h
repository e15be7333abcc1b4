// Names of the IP protocols that people write.
#pragma once

#include <cstdint>
#include <string>

namespace dots::model {

// "udp"; the number as text when we have no name for it.
std::string protocol_name(std::uint8_t number);

}  // namespace dots::model
