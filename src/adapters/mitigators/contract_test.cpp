#include "tests/contract/mitigator_contract.h"

#include "adapters/mitigators/dry_run.h"
#include "adapters/mitigators/nftables_mitigator.h"
#include "tests/support/network_namespace.h"

namespace dots::tests {
namespace {

struct DryRunHarness {
  static constexpr bool kSurvives = false;
  bool ready(std::string&) { return true; }
  std::unique_ptr<ports::Mitigator> make() { return std::make_unique<adapters::mitigators::DryRunMitigator>(); }
};

struct NftablesHarness {
  static constexpr bool kSurvives = true;
  bool ready(std::string& why_not) {
    why_not = own_network_namespace();
    return why_not.empty();
  }
  std::unique_ptr<ports::Mitigator> make() {
    return std::make_unique<adapters::mitigators::NftablesMitigator>(
        adapters::mitigators::NftablesOptions{.helper = DOTS_BINARY_DIR "/bin/dots-nft-helper"});
  }
};

INSTANTIATE_TYPED_TEST_SUITE_P(DryRun, MitigatorContract, DryRunHarness);
INSTANTIATE_TYPED_TEST_SUITE_P(Nftables, MitigatorContract, NftablesHarness);

}  // namespace
}  // namespace dots::tests
