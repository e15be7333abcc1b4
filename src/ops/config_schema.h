// The one table of configuration keys: parsing, bounds, defaults, unknown keys and docs/configuration.md walk it.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "ops/config.h"
#include "ops/config_tree.h"

namespace dots::ops {

enum class ForRole : std::uint8_t { both, server, client };

// Where a reader of a value puts its complaints.
class ConfigProblems {
 public:
  explicit ConfigProblems(std::string file) : file_(std::move(file)) {}
  void add(std::uint32_t line, std::string key, std::string what, std::string remedy);
  // All of them, in the order of the file; those of the whole file last.
  std::vector<ConfigProblem> take();
  bool empty() const { return problems_.empty(); }
  const std::string& file() const { return file_; }
  // A path as written, made absolute: relative ones start at the folder of the file.
  std::string absolute(const std::string& path) const;

 private:
  std::string file_;
  std::vector<ConfigProblem> problems_;
};

struct KeySpec {
  std::string name;
  std::string type;      // "text", "number", "list of prefixes", ...
  std::string unit;      // "s", "bytes"; empty when there is none
  std::string fallback;  // the default as TOML or in words; empty: none
  std::string range;     // in words; empty: free
  std::string meaning;   // whole sentences
  std::string example;   // as TOML
  bool required = false;
  ForRole role = ForRole::both;

  // Reads a value into the struct of its section; `path` is the full key for complaints.
  std::function<void(void* section, const ConfigNode&, const std::string& path, ConfigProblems&)> read;
};

// The first key of a repeated section names its tables.
struct SectionSpec {
  std::string name;  // "listen"; "" for the top
  bool repeated = false;
  bool required = false;
  bool live = false;  // a running daemon takes changes of it (config_changes.h); else they need a restart
  ForRole role = ForRole::both;
  std::string meaning;
  std::vector<KeySpec> keys;
  std::vector<SectionSpec> children;
  // The struct that a table of this section fills; appends one when the section is repeated.
  std::function<void*(void* parent)> open;
};

// The top of the tree; its struct is Config.
const SectionSpec& config_schema();

// docs/configuration.md.
std::string config_reference();

// The line of each key and table, by full key; what semantic checks point at.
using ConfigPlaces = std::map<std::string, std::uint32_t>;
// What the table cannot say: how values of several keys fit together, and the files that they name.
void check_config(Config& config, const ConfigPlaces& places, ConfigProblems& problems);
// The lines "identity:hexkey" of a PSK file.
std::vector<PskEntry> read_psk_file(const std::string& path, const std::string& key, std::uint32_t line,
                                    ConfigProblems& problems);

}  // namespace dots::ops
