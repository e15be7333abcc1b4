// What a client's mitigation machine is told and what it wants done: plain values, no CoAP.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "model/mitigation.h"
#include "model/redirect.h"
#include "model/response_code.h"
#include "model/session_config.h"
#include "ports/store.h"

namespace dots::signal::client {

// One exchange that the machine wants; lives until its answer, CancelSend or StopObserving.
using SendId = base::StrongId<struct SendIdTag, std::uint64_t>;
// Those above are of the session configuration (session_config.h), the others of mitigation requests.
inline constexpr std::uint64_t kFirstConfigSend = std::uint64_t{1} << 63;
inline bool is_config(SendId id) { return id.value > kFirstConfigSend; }

// What the operator asks for.
struct Wanted {
  model::MitigationScope scope;
  std::optional<model::Lifetime> lifetime;  // absent: the configured default
  bool trigger_mitigation = true;
  std::vector<model::AclActivation> acl_list;  // filters to be switched by the request (RFC 9133)
  std::string author;
  std::string note;
  // Extensions of ours (docs/extensions.md); absent: as configured for the server.
  std::optional<std::string> contract_id = {};
  std::optional<std::string> requested_service = {};
};

// What the server answered: once to a request, again and again to an observation.
struct Answer {
  model::ResponseCode code = model::ResponseCode::content;
  std::vector<model::MitigationEntry> entries;
  std::string diagnostic;
  std::optional<std::uint32_t> max_age_s;
  std::optional<model::RedirectedSignal> redirect;  // with 5.03: another server takes over, for Max-Age
  std::optional<model::SessionConfig> config;       // of an answer about the session configuration
};

// ---- effects ------------------------------------------------------------------------------------------------------
// Every effect of a step depends on the Persist effects of the same and of all earlier steps: nothing is sent before
// they are committed (ARCHITECTURE: durable before visible).

// Requests, refreshes and efficacy updates alike: same mid, every parameter (RFC 9132 4.4.1.3, 4.4.3). With an
// attack-status it carries an empty If-Match, and a server that does not know the mid gives no answer at all.
struct SendPut {
  SendId id;
  base::Cuid cuid;
  base::Mid mid;
  model::MitigationRequest request;
};
struct SendGet {
  SendId id;
  base::Cuid cuid;
  base::Mid mid;
  bool observe = false;
  bool status_only = false;  // Uri-Query c=n (RFC 9132 4.4.2)
};
struct SendDelete {
  SendId id;
  base::Cuid cuid;
  base::Mid mid;
};
// The answer matters no more.
struct CancelSend {
  SendId id;
};
// Deregister an observation (GET with Observe 1).
struct StopObserving {
  SendId id;
};
struct Persist {
  ports::Change change;
};
// For the operator: `id` names a row of ops/facts/messages.inc.
struct OperatorMessage {
  std::string id;
  std::string details;
};
// A request came to a point that somebody may wait for.
struct Progress {
  base::Mid mid;
  enum class Kind : std::uint8_t { accepted, refused, delayed, ended } kind = Kind::accepted;
};

using Effect =
    std::variant<SendPut, SendGet, SendDelete, CancelSend, StopObserving, Persist, OperatorMessage, Progress>;
using Effects = std::vector<Effect>;

}  // namespace dots::signal::client
