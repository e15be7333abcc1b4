// Words of commands that people are told to type, where a part of it is what a peer has chosen.
#pragma once

#include <string>
#include <string_view>

namespace dots::base {

// One word of a POSIX shell; with bytes that do not print, of bash. What it prints on a terminal is printable ASCII.
std::string shell_word(std::string_view text);

}  // namespace dots::base
