#include "ops/config_keys.h"
#include "ops/config_sections.h"

namespace dots::ops {

using namespace keys;

SectionSpec extensions_section() {
  using E = ExtensionsConfig;
  SectionSpec s = section("extensions", ForRole::server);
  s.meaning =
      "What Tidewall tells beyond the RFCs, in attributes that every peer may ignore: reasons of refusals for "
      "programs, "
      "contract and service, the scope that is really mitigated (docs/extensions.md).";
  s.open = [](void* parent) -> void* { return &static_cast<Config*>(parent)->extensions; };
  s.keys = {
      choice<E>("mode", &E::mode, Choices<Extensions>{{"when-asked", Extensions::when_asked}, {"off", Extensions::off}},
                {"`when-asked`: a client that uses one of them, or says that it takes them, gets them; `off`: those of "
                 "clients are ignored, and none is sent.",
                 "\"when-asked\""}),
  };
  return s;
}

}  // namespace dots::ops
