// RESTCONF from the client's side (RFC 8040): requests to be sent, and what answers mean.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "data/client/entry.h"
#include "ports/http.h"

namespace dots::data::client {

// The API root that a host-meta document names (RFC 8040 3.1), without a final '/'. `authority`: of the server that
// gave it; a link to another one is no root of ours.
base::Result<std::string> root_of(std::string_view host_meta, std::string_view authority);

// Where the resources of a client are, below a root.
class Paths {
 public:
  Paths(std::string root, base::Cuid cuid) : root_(std::move(root)), cuid_(std::move(cuid)) {}
  std::string dots_data() const;
  std::string capabilities() const;
  std::string client() const;
  std::string container(Kind kind) const;
  std::string entry(Kind kind, const std::string& name) const;
  // The value of `point` (RFC 8040 4.8.6), percent-encoded as a query value.
  std::string point(Kind kind, const std::string& name) const;

 private:
  std::vector<Step> steps() const;
  std::string below_data(const std::vector<Step>& steps) const;
  std::string root_;
  base::Cuid cuid_;
};

// Every request says what it takes, also where no body is expected, so that errors come as JSON (RFC 8040 7.1).
ports::HttpRequest request_for(std::string method, std::string target);
ports::HttpRequest with_body(ports::HttpRequest request, std::string body);

// {"ietf-dots-data-channel:dots-client":[{"cuid": ...}]}: never with a cdid (RFC 9132 4.4.1.2).
std::string registration_body(const base::Cuid& cuid);
// In its container, as RFC 8783 prints it.
std::string entry_body(const Instance& entry);

struct Listed {
  std::string name;
  std::optional<std::int64_t> pending_lifetime_min;
};
// The entries of a container's GET, in their order; names and lifetimes alone are looked at. A name stands there once.
base::Result<std::vector<Listed>> listed(Kind kind, std::string_view json);
// The one entry of a GET of it, in either of the forms that servers use. It has the name that was asked for.
base::Result<Instance> single_entry(Kind kind, const std::string& name, std::string_view json);

struct PeerError {
  std::string tag, app_tag, message, path;
};
// The first error of the body; nothing said is nothing found (RFC 8040 7.1: all of it may be missing).
PeerError error_of(const ports::HttpAnswer& answer);
// A bound is reached, whatever the status (our own servers: fault.h); anything else is about the thing itself.
bool names_quota(const PeerError& error);
// One sentence: "the server answered 409 Conflict (resource-denied): ...".
std::string explain(const ports::HttpAnswer& answer);
std::string etag_of(const ports::HttpAnswer& answer);  // empty: none

}  // namespace dots::data::client
