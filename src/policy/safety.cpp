#include "policy/safety.h"

#include <algorithm>

#include "policy/prefix_split.h"

namespace dots::policy {

base::Result<SafePieces, Verdict> split_around(const std::vector<model::Prefix>& targets,
                                               const std::vector<SafeTarget>& safe, std::size_t most_pieces) {
  SafePieces out;
  for (const model::Prefix& target : targets) {
    std::vector<model::Prefix> holes;
    for (const SafeTarget& one : safe) {
      if (!one.prefix.overlaps(target)) continue;
      const std::string what = model::to_string(one.prefix.masked()) + " " + one.why;
      if (one.prefix.contains(target)) {
        return Verdict::no(model::ResponseCode::bad_request,
                           "target-prefix " + model::to_string(target) + " is protected from mitigation",
                           model::to_string(target) + " is never mitigated: " + what,
                           "see the safe-lists with: dotsctl policy", model::RefusalReason::policy);
      }
      holes.push_back(one.prefix.masked());
      if (std::find(out.left_out.begin(), out.left_out.end(), what) == out.left_out.end()) out.left_out.push_back(what);
    }
    if (holes.empty()) {
      out.prefixes.push_back(target);
      continue;
    }
    const auto pieces = without(target, holes, most_pieces);
    if (!pieces || pieces->empty()) {
      const std::string why =
          pieces ? "nothing of it is left" : "that takes more than " + std::to_string(most_pieces) + " pieces";
      return Verdict::no(
          model::ResponseCode::bad_request,
          "target-prefix " + model::to_string(target) + " covers addresses that are protected from mitigation",
          model::to_string(target) + " cannot be split around " + out.left_out.back() + ": " + why,
          "the client must ask for smaller prefixes, or raise safety.pieces", model::RefusalReason::policy);
    }
    out.prefixes.insert(out.prefixes.end(), pieces->begin(), pieces->end());
  }
  return out;
}

std::string approval_wanted(const SafetyPolicy& safety, const std::vector<model::Prefix>& targets) {
  for (const model::Prefix& target : targets) {
    const bool v4 = target.address.family == model::Family::ipv4;
    const std::uint8_t limit = v4 ? safety.approval_above_v4 : safety.approval_above_v6;
    if (target.length < limit)
      return model::to_string(target) + " is wider than /" + std::to_string(limit) + ": an operator approves it first";
  }
  return {};
}

}  // namespace dots::policy
