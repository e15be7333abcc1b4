#include "ops/config_keys.h"
#include "ops/config_sections.h"
#include "ops/config_session.h"

namespace dots::ops {

using namespace keys;

namespace {

Reading<std::string> cuid_text(const std::string& text) {
  if (text.find('/') == std::string::npos) return read_line(text, 128);
  return Complaint{"'" + text + "' has a '/', which a cuid in a path cannot carry", "use letters, digits, '-' and '_'"};
}

Reading<std::string> root_path(const std::string& text) {
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (text.starts_with('/') && !text.ends_with('/') && plain && text.find_first_of("?#") == std::string::npos) {
    return text;
  }
  return Complaint{"'" + text + "' is no path", "write for example '/restconf'"};
}

SectionSpec upstream_data_channel() {
  using D = UpstreamDataChannel;
  SectionSpec s = section("data_channel", ForRole::client);
  s.meaning =
      "The data channel of this server (RFC 8783), with the credentials of the signal channel: aliases and filters, "
      "see docs/data-channel.md.";
  s.open = [](void* parent) -> void* { return &static_cast<UpstreamConfig*>(parent)->data_channel; };
  s.keys = {
      boolean<D>("enabled", &D::enabled,
                 {"Does the client register there, and keep what its operators put there? Without it `dotsctl alias` "
                  "and `dotsctl filter` have nothing to talk to.",
                  "true"}),
      by_default("`host` of the upstream",
                 parsed<D>("host", &D::host, "DNS name", read_dns_name,
                           {"The name that its certificate must carry.", "\"dots-data.provider.example\""})),
      number<D>("port", &D::port, "", {1, 65535}, {"Its port, when `addresses` is left out.", "443"}),
      by_default("what `host` resolves to",
                 list<D>("addresses", &D::addresses, "list of addresses", 16, https_address,
                         {"Tried in this order; the port is 443 when left out.", "[\"192.0.2.1:443\"]"})),
      by_default("\"/restconf\"",
                 parsed<D>("root", &D::root, "path", root_path,
                           {"The RESTCONF root of a server without /.well-known/host-meta (RFC 8040 section 3.1).",
                            "\"/top/restconf\""})),
      seconds<D>("check_s", &D::check, {60, 86400},
                 {"How often the client looks whether the server still has everything, and for how long.", "3600"}),
      number<D>("refresh_before_min", &D::refresh_before_min, "min", {60, 10079},
                {"An alias or filter with less lifetime left is refreshed; servers grant 10080 or more.", "5040"}),
      number<D>("answer_bytes", &D::answer_bytes, "bytes", {65536, 64 << 20},
                {"A longer answer is refused.", "16777216"}),
  };
  return s;
}

}  // namespace

SectionSpec upstream_section() {
  using U = UpstreamConfig;
  SectionSpec s = section("upstream", ForRole::client);
  s.repeated = true;
  s.required = true;
  s.meaning = "A DOTS server that a client signals to.";
  s.open = [](void* parent) -> void* { return &static_cast<Config*>(parent)->upstreams.emplace_back(); };
  s.keys = {
      required(parsed<U>("name", &U::name, "text", read_identifier,
                         {"Its name in logs and `dotsctl`. Unique. Our requests are kept under it.", "\"provider\""})),
      required(parsed<U>("host", &U::host, "DNS name", read_dns_name,
                         {"The name that its certificate must carry.", "\"dots.provider.example\""})),
      by_default("what `host` resolves to", list<U>("addresses", &U::addresses, "list of addresses", 16, dots_address,
                                                    {"IPv6 before IPv4, otherwise in this order, over UDP and then "
                                                     "over TCP; the port is 4646 when left out. With an attack "
                                                     "under way DNS may fail: better written down.",
                                                     "[\"192.0.2.1:4646\"]"})),
      choice<U>(
          "transport", &U::transport,
          Choices<UpstreamTransport>{
              {"auto", UpstreamTransport::automatic}, {"udp", UpstreamTransport::udp}, {"tcp", UpstreamTransport::tcp}},
          {"DTLS over UDP, TLS over TCP, or `auto`: UDP where it works (RFC 9132 section 4.3).", "\"auto\""}),
      seconds<U>("udp_probe_s", &U::udp_probe, {300, 30 * 86400},
                 {"While only TCP works, how often UDP is tried again (RFC 9132 section 4.3: never under 300, better "
                  "not under 86400).",
                  "86400"}),
      boolean<U>("negotiate", &U::negotiate,
                 {"Is the session configuration asked for and negotiated (RFC 9132 section 4.5)? `false`: what the two "
                  "tables below say holds on our side without a word to the server.",
                  "true"}),
      boolean<U>(
          "extensions", &U::extensions,
          {"Does the client say that it takes our extensions, and send them (docs/extensions.md)? Servers that do "
           "not know them ignore them; `false` is for one that breaks this rule.",
           "true"}),
      by_default("none", parsed<U>("contract_id", &U::contract_id, "text", read_identifier,
                                   {"The contract that every request towards this server refers to, unless `dotsctl "
                                    "mitigate --contract` names another.",
                                    "\"gold-2026\""})),
      by_default("none", parsed<U>("requested_service", &U::requested_service, "text", read_identifier,
                                   {"The service that every request asks for, unless `--service` names another.",
                                    "\"scrubbing\""})),
      number<U>("reconnect_s", &U::reconnect_s, "s", {60, 86400},
                {"Pause before a dead session is opened again, without an attack (RFC 9132 section 4.7: not under 60, "
                 "better not under 300).",
                 "300"}),
      number<U>("refresh_before_percent", &U::refresh_before_percent, "percent", {10, 90},
                {"A mitigation is refreshed when so much of its lifetime is left.", "50"}),
      number<U>("default_lifetime_s", &U::default_lifetime_s, "s", {60, kMaxLifetime},
                {"Lifetime of a request that names none.", "3600"}),
      by_default("derived from the credentials, as RFC 9132 section 4.4.1.1 says",
                 parsed<U>("cuid", &U::cuid, "text", cuid_text,
                           {"Our client unique identifier.", "\"dz6pHjaADkaFTbjr0JGBpw\""})),
      choice<U>(
          "follow_redirects", &U::follow_redirects,
          Choices<FollowRedirects>{{"same-domain", FollowRedirects::same_domain},
                                   {"any", FollowRedirects::any},
                                   {"no", FollowRedirects::no}},
          {"Whether we go where the server sends us (RFC 9132 section 4.6): only inside its administrative domain, "
           "to any server whose certificate proves its name, or nowhere.",
           "\"same-domain\""}),
      by_default("the parent domain of `host`",
                 list<U>("redirect_domains", &U::redirect_domains, "list of DNS names", 64, read_dns_name,
                         {"The administrative domain of the server for `follow_redirects = \"same-domain\"`; each name "
                          "covers all names below it.",
                          "[\"provider.example\"]"})),
      list<U>("raw_public_keys", &U::raw_public_keys, "list of fingerprints", 16, read_key_fingerprint,
              {"Raw public keys (RFC 7250) of the server, as SHA-256 like those of `domain.client`. With them it may "
               "prove itself by one of these keys only; `host` is then no more than a name. We show our certificate, "
               "or without `certificate_file` the key of `key_file` as a raw public key.",
               kFingerprintExample}),
  };
  s.children.push_back(parameter_section(
      "mitigating_config", ForRole::client,
      "What we want while a mitigation is active. A value that the server does not accept is moved to the nearest that "
      "it does; what is not written here is left to the server.",
      [](void* parent) -> void* { return &static_cast<U*>(parent)->mitigating_config; }));
  s.children.push_back(parameter_section("idle_config", ForRole::client, "What we want while no mitigation is active.",
                                         [](void* parent) -> void* { return &static_cast<U*>(parent)->idle_config; }));
  s.children.push_back(upstream_data_channel());
  return s;
}

}  // namespace dots::ops
