#include "ops/init.h"

#include <fmt/format.h>

namespace dots::ops {
namespace {

std::string quoted_list(const std::vector<std::string>& items) {
  std::string out;
  for (const std::string& item : items) out += (out.empty() ? "\"" : ", \"") + item + "\"";
  return "[" + out + "]";
}

}  // namespace

std::string init_server_toml(const InitOptions& options) {
  return fmt::format(R"(# A DOTS server on this machine, made by `dotsctl init`. All keys: docs/configuration.md.
# Start it:  dotsd --config server.toml
# Check it:  dotsctl check-config server.toml
role = "server"

[credentials]
ca_file = "pki/ca.crt"
certificate_file = "pki/server.crt"
key_file = "pki/server.key"
psk_file = "psk.txt"

[listen]
# Loopback only. For clients elsewhere write the addresses they reach, or leave the key out: then it is every address.
addresses = ["127.0.0.1:{port}", "[::1]:{port}"]

# Aliases and filters over HTTPS (RFC 8783); the port is 443 when left out.
# [data_channel]
# listen = ["127.0.0.1:4643", "[::1]:4643"]

[store]
state_dir = "state/server"

[[mitigator]]
name = "local"
# "dry-run" remembers what it would drop; "nftables" drops in this machine's kernel and needs CAP_NET_ADMIN.
kind = "{mitigator}"

[[domain]]
id = "{domain}"
prefixes = {prefixes}

[[domain.client]]
id = "client"
certificate_names = ["{client}"]
psk_identities = ["{client}"]
)",
                     fmt::arg("port", options.signal_port), fmt::arg("mitigator", options.mitigator),
                     fmt::arg("domain", options.domain), fmt::arg("prefixes", quoted_list(options.prefixes)),
                     fmt::arg("client", kInitClientName));
}

std::string init_client_toml(const InitOptions& options) {
  return fmt::format(R"(# A DOTS client on this machine, made by `dotsctl init`. All keys: docs/configuration.md.
# Start it:  dotsd --config client.toml
# Ask for help:  dotsctl --config client.toml mitigate --target-prefix {prefix} --protocol udp
role = "client"

[credentials]
ca_file = "pki/ca.crt"
certificate_file = "pki/client.crt"
key_file = "pki/client.key"
# With this line the pre-shared key takes the place of the certificate.
# psk_file = "psk.txt"

[store]
state_dir = "state/client"

[[upstream]]
name = "local"
host = "localhost"
addresses = ["127.0.0.1:{port}", "[::1]:{port}"]

# Aliases and filters over HTTPS, when the server has [data_channel] (docs/data-channel.md).
# [upstream.data_channel]
# enabled = true
# addresses = ["127.0.0.1:4643", "[::1]:4643"]
)",
                     fmt::arg("prefix", options.prefixes.empty() ? "203.0.113.7/32" : options.prefixes.front()),
                     fmt::arg("port", options.signal_port));
}

}  // namespace dots::ops
