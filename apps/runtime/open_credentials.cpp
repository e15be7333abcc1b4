#include "apps/runtime/open_credentials.h"

#include "adapters/net/event_loop.h"

namespace dots::runtime {

base::Result<std::shared_ptr<const adapters::net::Credentials>> open_credentials(const ops::Config& config,
                                                                                 adapters::net::Side side,
                                                                                 ops::facts::Sink& sink) {
  adapters::net::CredentialSources sources{config.credentials.ca_file,
                                           config.credentials.crl_file,
                                           config.credentials.certificate_file,
                                           config.credentials.key_file,
                                           {}};
  for (const auto& psk : config.credentials.psk) sources.psk.push_back({psk.identity, psk.key});
  const auto trust = [&](const std::vector<std::string>& keys, const std::string& server_name) {
    for (const auto& key : keys)
      sources.peer_keys.push_back({base::from_hex(key).value_or(base::Bytes{}), server_name});
  };
  for (const auto& domain : config.domains)
    for (const auto& client : domain.clients) trust(client.raw_public_keys, "");
  for (const auto& upstream : config.upstreams) {
    trust(upstream.raw_public_keys, upstream.host);
    const std::string& other = upstream.data_channel.host;
    if (!other.empty() && other != upstream.host) trust(upstream.raw_public_keys, other);
  }
  auto credentials = adapters::net::Credentials::load(sources, side, adapters::net::clock_now().wall);
  if (!credentials) return base::Error{adapters::net::to_string(credentials.error().front())};
  for (const auto& warning : (*credentials)->warnings()) sink.message("CREDENTIAL_WARNING", warning);
  return std::move(*credentials);
}

adapters::resolver::ResolverOptions resolver_options(const ops::Config& config) {
  adapters::resolver::ResolverOptions options;
  options.servers = config.resolver.servers;
  options.timeout_ms = config.resolver.timeout_ms;
  options.tries = config.resolver.tries;
  options.ttl_min_s = config.resolver.ttl_min_s;
  options.ttl_max_s = config.resolver.ttl_max_s;
  options.pending = config.limits.pending_names;
  return options;
}

}  // namespace dots::runtime
