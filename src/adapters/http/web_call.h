// One request to a web service and its answer, for a thread that waits: each call has a connection of its own.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/result.h"
#include "ports/http.h"
#include "ports/resolver.h"

namespace dots::adapters::http {

struct WebAddress {
  std::string host;  // a name, or an address without brackets
  std::uint16_t port = 443;
  std::string target = "/";  // with its query
};

// "https://host[:port][/target]".
base::Result<WebAddress> parse_web_address(const std::string& url);

struct WebCall {
  WebAddress to;
  std::string ca_file;  // trust anchors; read for each call, so that a renewed file counts
  ports::HttpRequest request;
  std::chrono::milliseconds timeout{5000};  // of everything: name, connection, answer
  std::size_t answer_bytes = std::size_t{16} << 20;
  ports::Resolver* resolver = nullptr;  // for a host that is no address; outlives the call
};

// Blocks until there is an answer of any status, or none. The server has to prove its name. Redirections are answers.
ports::HttpOutcome make_web_call(const WebCall& call);

}  // namespace dots::adapters::http
