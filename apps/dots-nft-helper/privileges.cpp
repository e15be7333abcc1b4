// SPDX-License-Identifier: GPL-2.0-only
#include "privileges.h"

#include <cap-ng.h>
#include <sys/prctl.h>
#include <sys/resource.h>

namespace nfthelper {

bool has_net_admin() {
  if (capng_get_caps_process() != 0) return false;
  return capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_ADMIN) == 1;
}

bool keep_only_net_admin(std::string& why_not) {
  const bool have = has_net_admin();
  if (capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP) == 1) {
    capng_clear(CAPNG_SELECT_ALL);
  } else {
    capng_clear(CAPNG_SELECT_CAPS);  // the bounding set can only be lowered with CAP_SETPCAP
  }
  if (have &&
      capng_update(CAPNG_ADD, static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED), CAP_NET_ADMIN) != 0) {
    why_not = "cannot choose the capabilities to keep";
    return false;
  }
  if (capng_apply(CAPNG_SELECT_CAPS) != 0) {
    why_not = "cannot give up the other capabilities";
    return false;
  }
  capng_apply(CAPNG_SELECT_BOUNDS);  // as far as it goes: without privileges there is nothing to lower
  capng_apply(CAPNG_SELECT_AMBIENT);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    why_not = "cannot forbid new privileges";
    return false;
  }
  // Same process image, so no core file may carry what it saw.
  const struct rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  capng_get_caps_process();
  for (int capability = 0; capability <= CAP_LAST_CAP; ++capability) {
    if (capability == CAP_NET_ADMIN) continue;
    if (capng_have_capability(CAPNG_EFFECTIVE, static_cast<unsigned>(capability)) == 1 ||
        capng_have_capability(CAPNG_PERMITTED, static_cast<unsigned>(capability)) == 1) {
      why_not = "capability " + std::to_string(capability) + " is still there";
      return false;
    }
  }
  return true;
}

}  // namespace nfthelper
