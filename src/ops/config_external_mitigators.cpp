// Keys of [[mitigator]] for back ends outside of the daemon (docs/mitigators.md).
#include <string>

#include "ops/config_keys.h"
#include "ops/config_sections.h"

namespace dots::ops {

using namespace keys;

namespace {

constexpr std::size_t kMostWords = 32;

Reading<std::string> word(const std::string& text) { return read_line(text, 4096); }

}  // namespace

std::vector<KeySpec> external_mitigator_keys() {
  using M = MitigatorConfig;
  return {
      list<M>(
          "helper_command", &M::helper_command, "list of texts", kMostWords, word,
          {"nftables: starts the helper in another namespace or on another host, instead of `helper`. The arguments "
           "of the helper are appended, and it speaks over standard input and output.",
           "[\"/usr/sbin/ip\", \"netns\", \"exec\", \"edge\", \"/usr/lib/tidewall/dots-nft-helper\"]"},
          Doubles::allowed),
      list<M>("command", &M::command, "list of texts", kMostWords, word,
              {"command: the program, by its full path, and its arguments. It is run for each call.",
               "[\"/usr/local/lib/tidewall/our-router\", \"edge-1\"]"},
              Doubles::allowed),
  };
}

void check_external_mitigator(const MitigatorConfig& mitigator, const std::string& path, const ConfigPlaces& places,
                              ConfigProblems& problems) {
  const auto complain = [&](const std::string& key, const std::string& what, const std::string& remedy) {
    const std::string whole = path + "." + key;
    const auto at = places.find(places.contains(whole) ? whole : path);
    problems.add(at == places.end() ? 0 : at->second, whole, what, remedy);
  };
  const auto full_path = [&](const std::string& key, const std::vector<std::string>& words) {
    if (!words.empty() && !words.front().starts_with('/')) {
      complain(key, "'" + words.front() + "' is no full path of a program", "begin it with '/'");
    }
  };
  if (mitigator.kind == "command" && mitigator.command.empty()) {
    complain("command", "there is no program to run", "write for example command = [\"/usr/local/bin/our-router\"]");
  }
  full_path("helper_command", mitigator.helper_command);
  full_path("command", mitigator.command);
}

}  // namespace dots::ops
