#include "adapters/mitigators/json_mitigator.h"

#include "adapters/mitigators/rule_json.h"

namespace dots::adapters::mitigators {

namespace json = boost::json;
using ports::MitigatorFault;

namespace {

ports::MitigatorAbilities any_back_end(std::string kind) {
  ports::MitigatorAbilities abilities;
  abilities.name = std::move(kind);
  abilities.limits = true;
  abilities.explains = true;
  abilities.confirms = true;  // so that it is read back, and whatever others did there is seen
  return abilities;
}

}  // namespace

JsonMitigator::JsonMitigator(std::string kind, std::string name)
    : assumed_(any_back_end(std::move(kind))), abilities_(assumed_), name_(std::move(name)) {}

base::Result<json::object> JsonMitigator::agreed(const json::object& request) {
  auto answer = ask(request);
  if (!answer) return answer;
  if (const auto fault = read_fault(*answer, {}); !fault) return base::Error{fault.error().message};
  return answer;
}

base::Result<json::object> JsonMitigator::agreed(std::string_view op) { return agreed(request_of(name_, op)); }

base::Result<void> JsonMitigator::open() {
  const auto answer = agreed("abilities");
  if (!answer) return answer.error();
  auto abilities = read_abilities(*answer, assumed_);
  if (!abilities) return base::Error{"its abilities make no sense: " + abilities.error().message};
  abilities_ = std::move(*abilities);
  open_ = true;
  return {};
}

ports::Applied JsonMitigator::apply(const std::vector<ports::RuleChange>& changes) {
  if (!open_) return MitigatorFault{"it has not been asked for its abilities", {}};
  if (changes.empty()) return {};
  if (auto checked = check_rules(changes); !checked) return checked;
  return send(changes);
}

ports::Applied JsonMitigator::send(const std::vector<ports::RuleChange>& changes) {
  json::object request = request_of(name_, "apply");
  request["changes"] = json_of(changes);
  const auto answer = ask(request);
  if (!answer) return MitigatorFault{answer.error().message, {}};
  return read_fault(*answer, changes);
}

base::Result<void> JsonMitigator::exempt(const std::vector<ports::SignalExemption>& exemptions) {
  if (!abilities_.exempts) return {};
  json::object request = request_of(name_, "exempt");
  request["exemptions"] = json_of(exemptions);
  const auto answer = agreed(request);
  if (!answer) return answer.error();
  return {};
}

base::Result<ports::Mitigator::Listing> JsonMitigator::list() {
  const auto answer = agreed("list");
  if (!answer) return answer.error();
  return read_listing(*answer);
}

base::Result<std::vector<std::string>> JsonMitigator::remove_foreign() {
  const auto answer = agreed("remove-foreign");
  if (!answer) return answer.error();
  return read_texts(*answer, "removed");
}

base::Result<void> JsonMitigator::clear() {
  open_ = false;
  const auto answer = agreed("clear");
  if (!answer) return answer.error();
  return {};
}

}  // namespace dots::adapters::mitigators
