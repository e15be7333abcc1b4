// People as a back end: they are told what is wanted and what is over, by mail and by a webhook (docs/mitigators.md).
// Whether it may be done they say to the server: dotsctl approve, dotsctl refuse (docs/decisions/approval.md).
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "adapters/mitigators/web_service.h"
#include "ports/mitigator.h"

namespace dots::adapters::mitigators {

struct NotifyOptions {
  std::string name;                       // of this back end
  std::vector<std::string> mail_to;       // none: no mail
  std::string mail_from;                  // empty: the first of mail_to
  std::vector<std::string> mail_command;  // takes the mail with its header on standard input
  std::optional<WebServiceOptions> service;
  std::chrono::milliseconds timeout{5000};
  std::chrono::milliseconds notice_every{60'000};  // at most one notice in this time
  std::string state_dir;  // what was told is remembered here, so that a restart tells nothing twice
};

// Is there what notices leave by? Tells nobody anything.
base::Result<void> check(const NotifyOptions& options);

std::unique_ptr<ports::Mitigator> make_notify_mitigator(NotifyOptions options);

}  // namespace dots::adapters::mitigators
