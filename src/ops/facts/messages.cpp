#include "ops/facts/messages.h"

#include <algorithm>

namespace dots::ops::facts {

std::string_view name_of(Severity severity) {
  switch (severity) {
    case Severity::debug:
      return "debug";
    case Severity::info:
      return "info";
    case Severity::notice:
      return "notice";
    case Severity::warning:
      return "warning";
    case Severity::error:
      return "error";
  }
  return "?";
}

const std::vector<MessageFact>& messages() {
  static const std::vector<MessageFact> table = {
#define MESSAGE(id, severity, meaning, next_step) {id, Severity::severity, meaning, next_step},
#include "ops/facts/messages.inc"
#undef MESSAGE
  };
  return table;
}

const MessageFact* find_message(std::string_view id) {
  const auto& table = messages();
  const auto it = std::lower_bound(table.begin(), table.end(), id,
                                   [](const MessageFact& fact, std::string_view wanted) { return fact.id < wanted; });
  return it != table.end() && it->id == id ? &*it : nullptr;
}

}  // namespace dots::ops::facts
