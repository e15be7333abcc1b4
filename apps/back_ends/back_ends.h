// The back ends that [[mitigator]] names, made.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "ports/mitigator.h"

namespace dots::ops {
struct MitigatorConfig;
}

namespace dots::back_ends {

// `only_look`: its open() changes nothing; for a reader beside the owner, and for looking without a daemon.
base::Result<std::unique_ptr<ports::Mitigator>> make(const ops::MitigatorConfig& config, bool only_look);

// Counters are read by a second object, so that reading never delays a change.
bool has_reader(const ops::MitigatorConfig& config);
// It is how a person is asked, who has to say yes before anything is installed.
bool asks_people(const ops::MitigatorConfig& config);
// Its rules are still there when the daemon is gone: what `dotsctl emergency` can look at and remove.
bool outlives_daemon(const ops::MitigatorConfig& config);
// Can it be used? The error says what to do. Changes nothing that anybody could see.
base::Result<void> check(const ops::MitigatorConfig& config);
// "nftables, table tidewall".
std::string describe(const ops::MitigatorConfig& config);
// How the rules are removed when not even that works.
std::string removal_by_hand(const ops::MitigatorConfig& config);

}  // namespace dots::back_ends
