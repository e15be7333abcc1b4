// The requests of the data channel (RFC 8783), and what is a right answer to each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "dots-bench/web_load.h"

namespace dots::bench {

// The client of `dotsctl init`, once.
WebWorkload register_client();
// So many aliases with each request, from `first` on; a request adds to what is there.
WebWorkload add_aliases(std::size_t first, std::size_t each);
// Of `count` aliases that are there. A put changes one: each of the same `changes` is another.
using Changes = std::shared_ptr<std::uint64_t>;
WebWorkload get_alias(std::size_t count);
WebWorkload put_alias(std::size_t count, Changes changes);
// List number i of `lists`, with `entries` entries each. A put replaces all of them, or makes the list.
WebWorkload get_list(std::size_t lists, std::size_t entries);
WebWorkload put_list(std::size_t lists, std::size_t entries, Changes changes);
WebWorkload get_all_aliases(std::size_t count);
// For the reference; sizes of both directions, with header sections.
WebWorkload web_echo(double request_bytes, double answer_bytes);

}  // namespace dots::bench
