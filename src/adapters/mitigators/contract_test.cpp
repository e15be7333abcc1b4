#include "tests/contract/mitigator_contract.h"

#include <unistd.h>

#include "adapters/mitigators/command_mitigator.h"
#include "adapters/mitigators/dry_run.h"
#include "adapters/mitigators/nftables_mitigator.h"
#include "adapters/mitigators/webhook_mitigator.h"
#include "tests/support/network_namespace.h"
#include "tests/support/temp_dir.h"
#include "tests/support/web_service.h"

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

// With the program that is shown in docs/examples.
struct CommandHarness {
  static constexpr bool kSurvives = true;
  bool ready(std::string& why_not) {
    why_not = ::access("/usr/bin/python3", X_OK) == 0 ? "" : "there is no python3 here";
    return why_not.empty();
  }
  std::unique_ptr<ports::Mitigator> make() {
    adapters::mitigators::CommandOptions options;
    options.name = "border";
    options.command = {DOTS_SOURCE_DIR "/docs/examples/mitigators/rule-file.py", folder.file("rules.json")};
    return adapters::mitigators::make_command_mitigator(options);
  }
  TempDir folder;
};

// With the service that is shown in docs/examples, over HTTPS.
struct WebhookHarness {
  static constexpr bool kSurvives = true;
  bool ready(std::string& why_not) {
    why_not = ::access("/usr/bin/python3", X_OK) == 0 ? "" : "there is no python3 here";
    return why_not.empty();
  }
  std::unique_ptr<ports::Mitigator> make() {
    if (!service) service = std::make_unique<ServiceProcess>(example_service(folder, DOTS_SOURCE_DIR));
    return adapters::mitigators::make_webhook_mitigator({"scrubber", service_at(service->port(), folder)});
  }
  TempDir folder;
  std::unique_ptr<ServiceProcess> service;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Command, MitigatorContract, CommandHarness);
INSTANTIATE_TYPED_TEST_SUITE_P(DryRun, MitigatorContract, DryRunHarness);
INSTANTIATE_TYPED_TEST_SUITE_P(Nftables, MitigatorContract, NftablesHarness);
INSTANTIATE_TYPED_TEST_SUITE_P(Webhook, MitigatorContract, WebhookHarness);

}  // namespace
}  // namespace dots::tests
