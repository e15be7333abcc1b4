// From configuration to credentials and resolver options: shared by both roles.
#pragma once

#include <memory>

#include "adapters/net/credentials.h"
#include "adapters/resolver/ares_resolver.h"
#include "base/result.h"
#include "ops/config.h"
#include "ops/facts/messages.h"

namespace dots::runtime {

// Loads what [credentials] names and tells its warnings. An error says what to do.
base::Result<std::shared_ptr<const adapters::net::Credentials>> open_credentials(const ops::Config& config,
                                                                                 adapters::net::Side side,
                                                                                 ops::facts::Sink& sink);
adapters::resolver::ResolverOptions resolver_options(const ops::Config& config);

}  // namespace dots::runtime
