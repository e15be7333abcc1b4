#include "apps/runtime/data_channel.h"

#include <utility>

#include "data/domain.h"
#include "data/http.h"

namespace dots::runtime {
namespace {

using adapters::http::HttpFault;

// Commits take milliseconds; a stalled store must not hold up the stop for long.
constexpr base::Duration kStopGrace = std::chrono::seconds{5};

adapters::http::Identify identify_by(std::shared_ptr<const policy::Identities> identities) {
  return [identities = std::move(identities)](const model::PeerIdentity& identity) -> std::optional<ports::HttpWho> {
    const auto known = identities->find(identity);
    if (!known) return std::nullopt;
    return ports::HttpWho{known->domain, known->client, known->credential};
  };
}

// RFC 8040 7: the tag that belongs to the status; what HTTP itself refuses is of type "transport".
std::string_view tag_of(int status) {
  switch (status) {
    case 403:
      return "access-denied";
    case 413:
    case 414:
    case 431:
      return "too-big";
    case 429:
      return "resource-denied";
    case 501:
    case 505:
      return "operation-not-supported";
    case 408:
    case 503:
      return "operation-failed";
    default:
      return "malformed-message";
  }
}

ports::HttpAnswer render(const HttpFault& fault) {
  return data::error_answer({fault.status, tag_of(fault.status), fault.why, {}, "transport"});
}

adapters::http::HttpLimits limits_of(const ops::DataChannelConfig& config) {
  adapters::http::HttpLimits limits;
  limits.connections = config.connections;
  limits.connections_per_prefix = config.connections_per_prefix;
  limits.connections_per_domain = config.connections_per_domain;
  limits.header_bytes = config.header_bytes;
  limits.body_bytes = config.body_bytes;
  limits.waiting_bytes = config.waiting_bytes;
  limits.waiting_bytes_per_domain = config.waiting_bytes_per_domain;
  limits.requests_per_s = config.requests_per_s;
  limits.requests_burst = config.requests_burst;
  limits.handshake_time = config.handshake_time;
  limits.idle_time = config.idle_time;
  limits.header_time = config.header_time;
  limits.stall_time = config.stall_time;
  return limits;
}

}  // namespace

base::Result<std::unique_ptr<DataChannel>> DataChannel::open(
    const ops::DataChannelConfig& config, std::shared_ptr<const adapters::net::Credentials> credentials,
    const adapters::net::Resumption& resumption, std::shared_ptr<const policy::Identities> identities, Ask ask,
    ops::facts::Sink& sink) {
  std::unique_ptr<DataChannel> out{new DataChannel{std::move(ask)}};
  adapters::http::HttpsHooks hooks;
  hooks.identify = identify_by(std::move(identities));
  hooks.render = render;
  hooks.handle = [raw = out.get()](ports::HttpRequest request, const ports::HttpClient& client,
                                   ports::HttpReply reply) {
    raw->handle(std::move(request), client, std::move(reply));
  };
  adapters::http::HttpsOptions options;
  options.addresses = config.listen;
  options.limits = limits_of(config);
  auto server = adapters::http::HttpsServer::open(options, std::move(credentials), resumption, std::move(hooks), sink);
  if (!server) return server.error();
  out->server_ = std::move(*server);
  return out;
}

DataChannel::~DataChannel() { stop(); }

void DataChannel::stop() {
  if (server_) server_->stop(kStopGrace);
}

void DataChannel::handle(ports::HttpRequest request, const ports::HttpClient& client, ports::HttpReply reply) {
  std::uint64_t ticket = 0;
  {
    const std::lock_guard lock(mutex_);
    ticket = next_ticket_++;
    replies_.emplace(ticket, std::move(reply));
  }
  if (!ask_({client.domain, client.client, std::move(request), ticket, client.credential}))
    answer(ticket, data::unavailable());
}

void DataChannel::answer(std::uint64_t ticket, ports::HttpAnswer answer) {
  ports::HttpReply reply;
  {
    const std::lock_guard lock(mutex_);
    const auto found = replies_.find(ticket);
    if (found == replies_.end()) return;
    reply = std::move(found->second);
    replies_.erase(found);
  }
  reply(std::move(answer));
}

void DataChannel::believe(std::shared_ptr<const adapters::net::Credentials> credentials) {
  server_->replace_credentials(std::move(credentials));
}

void DataChannel::identify(std::shared_ptr<const policy::Identities> identities) {
  server_->replace_identify(identify_by(std::move(identities)));
}

}  // namespace dots::runtime
