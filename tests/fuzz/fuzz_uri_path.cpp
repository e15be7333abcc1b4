// Uri-Path segments, parted by '/' in the input. What is accepted has one spelling only.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "wire/uri_path.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::string> segments;
  std::string_view rest = dots::base::as_text({data, size});
  while (true) {
    const std::size_t slash = rest.find('/');
    segments.emplace_back(rest.substr(0, slash));
    if (slash == std::string_view::npos) break;
    rest.remove_prefix(slash + 1);
  }
  const auto path = dots::wire::parse_path(segments);
  const bool sound = path ? dots::wire::to_segments(*path) == segments : !path.error().diagnostic.empty();
  if (!sound) {
    std::fprintf(stderr, "a path that is read differently than it is written, or refused without a word\n");
    std::abort();
  }
  return 0;
}
