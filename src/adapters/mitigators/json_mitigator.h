// A back end that is asked in JSON, whatever carries it: a program, a web service (docs/mitigators.md). Private to
// src/adapters/mitigators.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "ports/mitigator.h"

namespace dots::adapters::mitigators {

// Threads: one at a time, so that the other side is never asked two things at a time.
class JsonMitigator : public ports::Mitigator {
 public:
  // What it said when it was opened last; before that, what any back end may be taken for.
  ports::MitigatorAbilities abilities() const override { return abilities_; }
  base::Result<void> open() override;
  ports::Applied apply(const std::vector<ports::RuleChange>& changes) override;
  base::Result<void> exempt(const std::vector<ports::SignalExemption>& exemptions) override;
  base::Result<Listing> list() override;
  base::Result<std::vector<std::string>> remove_foreign() override;
  base::Result<void> clear() override;

 protected:
  // `kind`: of abilities().name. `name`: of this back end, told to the other side.
  JsonMitigator(std::string kind, std::string name);
  const std::string& name() const { return name_; }

  // The answer as it came; an error when none came, or no JSON object.
  virtual base::Result<boost::json::object> ask(const boost::json::object& request) = 0;
  // apply() when all is well with the changes.
  virtual ports::Applied send(const std::vector<ports::RuleChange>& changes);
  // The answer of one that agrees.
  base::Result<boost::json::object> agreed(const boost::json::object& request);
  base::Result<boost::json::object> agreed(std::string_view op);

 private:
  const ports::MitigatorAbilities assumed_;
  ports::MitigatorAbilities abilities_;
  const std::string name_;
  bool open_ = false;
};

}  // namespace dots::adapters::mitigators
