// Extensions of ours, from the client's side (docs/extensions.md): what is sent with a request, and what a server that
// knows them says beside the standard answer.
#include "signal/client/state.h"

namespace dots::signal::client {

void Requests::State::extend(model::MitigationRequest& request) const {
  request.extensions = settings.extensions;
  if (settings.extensions) return;
  // Switched off since: the wish stays, without them.
  request.contract_id.reset();
  request.requested_service.reset();
}

void Requests::State::note_refusal_reason(Entry& entry, const Answer& answer) const {
  entry.refusal_reason.reset();
  entry.offered_service.clear();
  if (answer.entries.empty()) return;
  entry.refusal_reason = answer.entries.front().refusal_reason;
  entry.offered_service = answer.entries.front().offered_service;
}

void Requests::State::note_extensions(Entry& entry, const model::MitigationEntry& told, Effects& out) {
  const bool differs = told.actual_prefix != entry.actual_prefix;
  entry.refusal_reason = told.refusal_reason;
  entry.failure = told.diagnostic;
  entry.service_used = told.service_used;
  entry.actual_prefix = told.actual_prefix;
  if (!differs || told.actual_prefix.empty()) return;
  std::string text = "mitigated is";
  for (const model::Prefix& prefix : told.actual_prefix) text += " " + model::to_string(prefix);
  tell("CLIENT_ACTUAL_SCOPE", entry, text, out);
}

}  // namespace dots::signal::client
