// A web service of the operator as a back end: signed JSON over HTTPS (docs/mitigators.md).
#pragma once

#include <memory>
#include <string>

#include "adapters/mitigators/web_service.h"
#include "ports/mitigator.h"

namespace dots::adapters::mitigators {

struct WebhookOptions {
  std::string name;  // of this back end, told to the service
  WebServiceOptions service;
};

std::unique_ptr<ports::Mitigator> make_webhook_mitigator(WebhookOptions options);

}  // namespace dots::adapters::mitigators
