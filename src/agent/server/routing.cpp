#include "agent/server/routing.h"

#include <optional>
#include <utility>

#include "wire/uri_path.h"

namespace dots::agent::server {
namespace {

using model::ResponseCode;
using signal::server::DeleteConfig;
using signal::server::DeleteMitigation;
using signal::server::GetConfig;
using signal::server::GetMitigation;
using signal::server::Origin;
using signal::server::PutConfig;
using signal::server::PutMitigation;

Refusal bad_request(std::string diagnostic) { return {ResponseCode::bad_request, std::move(diagnostic)}; }

std::optional<Refusal> check_formats(const coap::Request& request) {
  // A body without Content-Format is recognised by context (RFC 9132 section 3); another format is 4.15 (section 9).
  if (request.content_format && *request.content_format != wire::kContentFormatDots) {
    return Refusal{ResponseCode::unsupported_content_format,
                   "Content-Format " + std::to_string(*request.content_format) + " is not application/dots+cbor (271)"};
  }
  if (request.accept && *request.accept != wire::kContentFormatDots) {
    return Refusal{ResponseCode::not_acceptable, "only application/dots+cbor (271) can be given"};
  }
  return std::nullopt;
}

// "c=c", "c=n", "c=a" (RFC 9132 4.4.2); other queries are unknown and refused, since filtering is supported.
std::optional<GetMitigation::Filter> filter_of(const std::vector<std::string>& query) {
  if (query.empty()) return GetMitigation::Filter::all;
  if (query.size() != 1) return std::nullopt;
  if (query[0] == "c=a") return GetMitigation::Filter::all;
  if (query[0] == "c=c") return GetMitigation::Filter::config;
  if (query[0] == "c=n") return GetMitigation::Filter::non_config;
  return std::nullopt;
}

Routed route_put(const coap::Request& request, const wire::MitigatePath& path, const Origin& origin,
                 wire::FilterControl filter_control) {
  if (!path.cuid) return bad_request("cuid is missing from the path");
  if (!path.mid) return bad_request("mid is missing from the path");
  auto body = wire::decode_mitigation_request(request.payload, filter_control);
  if (!body) return Refusal{body.error().code, body.error().diagnostic};
  PutMitigation put{origin, *path.cuid, *path.mid, std::move(*body), PutMitigation::IfMatch::absent};
  if (!request.if_match.empty()) {
    const bool empty = request.if_match.size() == 1 && request.if_match[0].empty();
    put.if_match = empty ? PutMitigation::IfMatch::empty : PutMitigation::IfMatch::other;
  }
  // Only an efficacy update may lack its lifetime, and it is one only with both If-Match and attack-status
  // (docs/decisions: efficacy updates).
  if (!put.request.lifetime && put.if_match == PutMitigation::IfMatch::absent) {
    return bad_request("lifetime (14) is missing");
  }
  return put;
}

Routed route_get(const coap::Request& request, const wire::MitigatePath& path, const Origin& origin) {
  if (!path.cuid) return bad_request("cuid is missing from the path");
  const auto filter = filter_of(request.uri_query);
  if (!filter) return bad_request("the query is not one of c=c, c=n, c=a");
  if (request.observe && *request.observe > 1) return bad_request("Observe is neither 0 nor 1");
  return GetMitigation{origin, *path.cuid, path.mid, *filter, request.observe};
}

Routed route_delete(const wire::MitigatePath& path, const Origin& origin) {
  if (!path.cuid) return bad_request("cuid is missing from the path");
  if (!path.mid) return bad_request("mid is missing from the path");
  return DeleteMitigation{origin, *path.cuid, *path.mid};
}

Routed route_mitigate(const coap::Request& request, const wire::MitigatePath& path, const Origin& origin,
                      wire::FilterControl filter_control) {
  // A cdid that comes straight from a client is ignored (RFC 9132 4.4.1.2).
  switch (request.method) {
    case wire::Method::put:
      return route_put(request, path, origin, filter_control);
    case wire::Method::get:
      return route_get(request, path, origin);
    case wire::Method::del:
      return route_delete(path, origin);
    default:
      return Refusal{ResponseCode::method_not_allowed, "mitigate offers GET, PUT and DELETE"};
  }
}

Routed route_heartbeat(const coap::Request& request) {
  if (request.method != wire::Method::put) return Refusal{ResponseCode::method_not_allowed, "hb offers PUT"};
  auto body = wire::decode_heartbeat(request.payload);
  if (!body) return Refusal{body.error().code, body.error().diagnostic};
  return *body;
}

Routed route_config(const coap::Request& request, const wire::ConfigPath& path, const Origin& origin) {
  switch (request.method) {
    case wire::Method::del:
      return DeleteConfig{origin, path.sid};
    case wire::Method::get:
      if (request.observe && *request.observe > 1) return bad_request("Observe is neither 0 nor 1");
      return GetConfig{origin, path.sid, request.observe};
    case wire::Method::put: {
      if (!path.sid) return bad_request("sid is missing from the path");
      auto body = wire::decode_session_config_request(request.payload);
      if (!body) return Refusal{body.error().code, body.error().diagnostic};
      return PutConfig{origin, *path.sid, std::move(*body)};
    }
    default:
      return Refusal{ResponseCode::method_not_allowed, "config offers GET, PUT and DELETE"};
  }
}

}  // namespace

std::optional<Refusal> refuse_blocks(const coap::Request& request) {
  const auto path = wire::parse_path(request.uri_path);
  if (!path) return Refusal{path.error().code, path.error().diagnostic};
  if (request.method != wire::Method::put) return bad_request("only a PUT has a body that may come in blocks");
  return check_formats(request);
}

Routed route(const coap::Request& request, const Origin& origin, wire::FilterControl filter_control) {
  const auto path = wire::parse_path(request.uri_path);
  if (!path) return Refusal{path.error().code, path.error().diagnostic};
  if (auto refusal = check_formats(request)) return *refusal;
  if (const auto* mitigate = std::get_if<wire::MitigatePath>(&*path))
    return route_mitigate(request, *mitigate, origin, filter_control);
  if (std::holds_alternative<wire::HeartbeatPath>(*path)) return route_heartbeat(request);
  return route_config(request, std::get<wire::ConfigPath>(*path), origin);
}

}  // namespace dots::agent::server
