#include "agent/client/errands.h"

#include "wire/messages.h"
#include "wire/uri_path.h"

namespace dots::agent::client {

namespace {

// A client never sends a cdid (RFC 9132 4.4.1.2).
std::vector<std::string> path_of(const base::Cuid& cuid, base::Mid mid) {
  return wire::to_segments(wire::MitigatePath{std::nullopt, cuid, mid});
}

Errand config_errand(signal::client::SendId id, wire::Method method, std::optional<base::Sid> sid) {
  Errand errand;
  errand.id = id;
  errand.request.confirmable = true;
  errand.request.method = method;
  errand.request.uri_path = wire::to_segments(wire::ConfigPath{sid});
  return errand;
}

}  // namespace

Errand errand_of(const signal::client::SendPut& send) {
  Errand errand;
  errand.id = send.id;
  errand.urgent = true;
  errand.request.method = wire::Method::put;
  errand.request.uri_path = path_of(send.cuid, send.mid);
  errand.request.content_format = wire::kContentFormatDots;
  errand.request.payload = wire::encode(send.request);
  // An efficacy update is for a mitigation that is there, or for nobody (RFC 9132 4.4.3).
  if (send.request.attack_status) errand.request.if_match.emplace_back();
  return errand;
}

Errand errand_of(const signal::client::SendGet& send) {
  Errand errand;
  errand.id = send.id;
  errand.observe = send.observe;
  errand.request.method = wire::Method::get;
  errand.request.uri_path = path_of(send.cuid, send.mid);
  if (send.status_only) errand.request.uri_query.push_back("c=n");
  if (send.observe) errand.request.observe = 0;
  return errand;
}

Errand errand_of(const signal::client::SendDelete& send) {
  Errand errand;
  errand.id = send.id;
  errand.urgent = true;
  errand.request.method = wire::Method::del;
  errand.request.uri_path = path_of(send.cuid, send.mid);
  return errand;
}

Errand errand_of(const signal::client::SendConfigGet& send) {
  Errand errand = config_errand(send.id, wire::Method::get, send.sid);
  errand.observe = send.observe;
  if (send.observe) errand.request.observe = 0;
  return errand;
}

Errand errand_of(const signal::client::SendConfigPut& send) {
  Errand errand = config_errand(send.id, wire::Method::put, send.sid);
  errand.request.content_format = wire::kContentFormatDots;
  errand.request.payload = wire::encode(send.wanted);
  return errand;
}

Errand errand_of(const signal::client::SendConfigDelete& send) {
  return config_errand(send.id, wire::Method::del, std::nullopt);
}

}  // namespace dots::agent::client
