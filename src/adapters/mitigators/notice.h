// The text in which people are told of rules. Private to src/adapters/mitigators.
#pragma once

#include <string>
#include <vector>

#include "ports/mitigator.h"

namespace dots::adapters::mitigators {

struct NoticeItem {
  bool wanted = true;  // false: over
  model::Rule rule;
  std::vector<ports::RuleNote> owners;  // as known when it was wanted
};

struct Notice {
  std::string subject;  // ASCII, one line
  std::string body;
};

Notice notice_of(const std::string& back_end, const std::vector<NoticeItem>& items);

// A mail with its header, for a sendmail-compatible program.
std::string mail_of(const Notice& notice, const std::string& from, const std::vector<std::string>& to);

}  // namespace dots::adapters::mitigators
