// A back end that only remembers: everything works as with a real one, and nothing is dropped.
#pragma once

#include <map>
#include <optional>

#include "ports/mitigator.h"

namespace dots::adapters::mitigators {

class DryRunMitigator : public ports::Mitigator {
 public:
  DryRunMitigator() = default;
  // In the place of another one, with what that can.
  explicit DryRunMitigator(const ports::MitigatorAbilities& as) : as_(as) {}

  ports::MitigatorAbilities abilities() const override;
  base::Result<void> open() override;
  ports::Applied apply(const std::vector<ports::RuleChange>& changes) override;
  ports::Applied apply_filters(const std::vector<ports::FilterChange>& changes) override;
  base::Result<void> exempt(const std::vector<ports::SignalExemption>& exemptions) override;
  base::Result<Listing> list() override;
  base::Result<void> clear() override;

 private:
  std::optional<ports::MitigatorAbilities> as_;
  bool open_ = false;
  std::map<model::RuleMatch, model::Rule> rules_;
  std::map<model::FilterListKey, std::string> filters_;  // their digests
};

}  // namespace dots::adapters::mitigators
