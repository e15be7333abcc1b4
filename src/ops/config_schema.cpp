#include "ops/config_schema.h"

#include "model/redirect.h"
#include "ops/config_keys.h"
#include "ops/config_sections.h"
#include "ops/config_session.h"

namespace dots::ops {
namespace {

using namespace keys;

// An address kept as text, in canonical form.
template <std::uint16_t DefaultPort>
Reading<std::string> address_text(const std::string& text) {
  const auto address = read_socket_address(text, DefaultPort);
  if (!address) return address.error();
  return model::to_string(*address);
}

SectionSpec credentials() {
  using C = CredentialsConfig;
  SectionSpec s = section("credentials", ForRole::both);
  s.required = true;
  s.live = true;
  s.meaning =
      "How the daemon proves who it is, and whom it trusts. A server takes X.509, raw public keys and pre-shared keys, "
      "each where it is configured; a client uses its certificate or raw public key, or the pre-shared key when "
      "`psk_file` is given.";
  s.open = [](void* parent) -> void* { return &static_cast<Config*>(parent)->credentials; };
  s.keys = {
      path<C>("ca_file", &C::ca_file,
              {"Certificates (PEM) of the authorities that the other side's certificate must come from.",
               "\"pki/ca.crt\""}),
      path<C>("crl_file", &C::crl_file, {"Revocation list (PEM); certificates on it are refused.", "\"pki/ca.crl\""}),
      path<C>("certificate_file", &C::certificate_file,
              {"Our certificate (PEM), followed by its intermediates.", "\"pki/server.crt\""}),
      path<C>(
          "key_file", &C::key_file,
          {"Private key (PEM) of our certificate, or alone where the other side's `raw_public_keys` are configured. "
           "Must not be readable by every user.",
           "\"pki/server.key\""}),
      path<C>("psk_file", &C::psk_file,
              {"Pre-shared keys, one `identity:hexkey` on a line, 16 to 64 bytes of key; lines that start with `#` are "
               "notes. A client has exactly one. Must not be readable by every user.",
               "\"psk.txt\""}),
  };
  return s;
}

SectionSpec listen() {
  using L = ListenConfig;
  SectionSpec s = section("listen", ForRole::server);
  s.meaning = "Where a server waits for its clients, with DTLS over UDP and TLS over TCP.";
  s.open = [](void* parent) -> void* { return &static_cast<Config*>(parent)->listen; };
  s.keys = {
      by_default("[\"[::]:4646\", \"0.0.0.0:4646\"]",
                 list<L>("addresses", &L::addresses, "list of addresses", 16, dots_address,
                         {"Addresses and ports; the port is 4646 when left out.",
                          "[\"192.0.2.1:4646\", \"[2001:db8::1]:4646\"]"})),
      number<L>("shards", &L::shards, "threads", {0, 256},
                {"Threads that share the sessions. 0: one for each processor, at most 16.", "4"}),
      number<L>(
          "receive_buffer_bytes", &L::receive_buffer_bytes, "bytes", {65536, 1 << 30},
          {"Kernel buffer of each socket, so that a burst is not lost. The kernel may cut it to net.core.rmem_max.",
           "4194304"}),
      number<L>("path_mtu_bytes", &L::path_mtu_bytes, "bytes", {576, 9000},
                {"Largest packet that is sent, all headers included (RFC 9132 section 7.3).", "1280"}),
      boolean<L>(
          "tcp", &L::tcp,
          {"Listens with TLS over TCP as well, on the same addresses and ports, for clients whose path drops UDP.",
           "true"}),
  };
  return s;
}

SectionSpec heartbeat() {
  SectionSpec s = section("heartbeat", ForRole::server);
  s.live = true;
  s.meaning = "The server's own heartbeat values (RFC 9132 section 4.7); what a client negotiates takes their place.";
  s.open = [](void* parent) { return parent; };
  s.keys = {
      seconds<Config>(
          "interval_s", &Config::heartbeat_interval, {15, 240, true},
          {"Time between two heartbeats of ours. 0: none, and then a silent client is never taken as lost.", "30"}),
      number<Config>("missing_hb_allowed", &Config::missing_hb_allowed, "", {2, 100},
                     {"So many intervals without any traffic mean that the client is lost.", "15"}),
  };
  return s;
}

SectionSpec limits() {
  using L = LimitsConfig;
  SectionSpec s = section("limits", ForRole::both);
  s.meaning = "Bounds on what others can make the daemon hold. Each has a counter that tells when it was reached.";
  s.open = [](void* parent) -> void* { return &static_cast<Config*>(parent)->limits; };
  s.keys = {
      only(ForRole::server,
           number<L>("sessions", &L::sessions, "", {1, 10 * kMillion},
                     {"Sessions at a time; past it the longest-silent quiet one gives way.", "100000"})),
      only(ForRole::server,
           number<L>("sessions_per_domain", &L::sessions_per_domain, "", {1, kMillion},
                     {"Sessions of one domain at a time; past it the client of the domain that has the "
                      "most loses one. The threads of `listen.shards` share it, each with 8 more, since "
                      "addresses are spread unevenly.",
                      "1000"})),
      only(ForRole::server,
           number<L>("session_requests_per_s", &L::session_requests_per_s, "requests per second", {1, kMillion},
                     {"Requests that one session may make in the long run; further ones are answered "
                      "5.03. Withdrawals and heartbeats are always served.",
                      "500"})),
      only(ForRole::server, number<L>("session_requests_burst", &L::session_requests_burst, "requests", {1, kMillion},
                                      {"... and at once, after a pause.", "1000"})),
      only(ForRole::server,
           number<L>("handshakes", &L::handshakes, "", {1, kMillion}, {"Handshakes in progress at a time.", "4096"})),
      only(ForRole::server, number<L>("handshakes_per_prefix", &L::handshakes_per_prefix, "", {1, kMillion},
                                      {"Handshakes in progress from one IPv4 /24 or IPv6 /48.", "256"})),
      only(ForRole::server, number<L>("handshake_time_s", &L::handshake_time_s, "s", {1, 300},
                                      {"A handshake that takes longer is given up.", "30"})),
      only(ForRole::server,
           number<L>("message_bytes", &L::message_bytes, "bytes", {1152, 65536},
                     {"Largest message that a client may send over TCP; it is told so when it connects.", "65536"})),
      only(ForRole::server,
           number<L>("unsent_bytes", &L::unsent_bytes, "bytes", {65536, 1 << 24},
                     {"What may wait for one client over TCP that does not read; past it the connection is closed.",
                      "262144"})),
      number<L>("resume_h", &L::resume_h, "h", {1, 168, true},
                {"How long a session can be resumed by its ticket, without a full handshake. The server's keys for "
                 "tickets take turns as often, and the one before is kept as long again; 0 turns tickets off.",
                 "24"}),
      number<L>("audit_records", &L::audit_records, "", {100, 100 * kMillion},
                {"Lines that the audit log keeps; the oldest go first.", "100000"}),
      number<L>("pending_names", &L::pending_names, "", {1, 100000},
                {"Names that are being looked up at a time.", "1000"}),
      only(ForRole::server,
           number<L>("hold_share_percent", &L::hold_share_percent, "percent", {1, 100},
                     {"When more than this share of the clients falls silent together, preconfigured requests are held "
                      "back: the outage is more likely the server's. 100: never for that.",
                      "50"})),
      only(ForRole::server, number<L>("hold_at_least", &L::hold_at_least, "", {2, kMillion},
                                      {"Fewer silent clients hold nothing back.", "3"})),
      only(ForRole::server,
           number<L>("approval_late_s", &L::approval_late_s, "s", {1, 86400},
                     {"A mitigation that has waited so long for a person is told again, and shows as unwell.", "300"})),
      number<L>("disk_reserve_bytes", &L::disk_reserve_bytes, "bytes", {65536, 1 << 30},
                {"Disk space kept back so that mitigations can be withdrawn on a full disk.", "1048576"}),
  };
  return s;
}

SectionSpec store() {
  using S = StoreConfig;
  SectionSpec s = section("store", ForRole::both);
  s.required = true;
  s.meaning = "What survives a restart.";
  s.open = [](void* parent) -> void* { return &static_cast<Config*>(parent)->store; };
  s.keys = {
      required(path<S>("state_dir", &S::state_dir,
                       {"Folder of the daemon's state, its own alone. Two daemons never share one.",
                        "\"/var/lib/tidewall/server\""})),
      choice<S>("kind", &S::kind, Choices<std::string>{{"sqlite", "sqlite"}, {"memory", "memory"}},
                {"`memory` loses everything when the daemon ends; for experiments.", "\"sqlite\""}),
      number<S>("stall_ms", &S::stall_ms, "ms", {10, 60000}, {"A commit that takes longer shows as unwell.", "1000"}),
  };
  return s;
}

Reading<model::IpAddress> address_alone(const std::string& text) {
  const auto address = model::parse_ip_address(text);
  if (address) return *address;
  return Complaint{"'" + text + "' is no address", "write for example '192.0.2.1' or '2001:db8::1'"};
}

SectionSpec redirect() {
  using R = RedirectConfig;
  SectionSpec s = section("redirect", ForRole::server);
  s.live = true;
  s.meaning =
      "Another server for our clients (RFC 9132 section 4.6), for `dotsctl redirect` and for what the server does by "
      "itself. Clients with a running mitigation stay until it has ended.";
  s.open = [](void* parent) -> void* { return &static_cast<Config*>(parent)->redirect; };
  s.keys = {
      parsed<R>("alt_server", &R::alt_server, "DNS name", read_dns_name,
                {"Its name, which its certificate carries. Without it only an operator redirects.",
                 "\"dots2.provider.example\""}),
      list<R>("alt_server_records", &R::alt_server_records, "list of addresses", model::kMaxAltServerRecords,
              address_alone,
              {"Its addresses, so that clients need no look-up in an attack. It waits at the port that the clients use "
               "for this server.",
               "[\"192.0.2.2\", \"2001:db8::2\"]"}),
      number<R>(
          "ttl_s", &R::ttl_s, "s", {0, 0xffffffff},
          {"How long clients use it; they come back then. 4294967295: until it redirects them. 0: each mitigation "
           "request by itself.",
           "3600"}),
      number<R>("grace_s", &R::grace_s, "s", {1, 300},
                {"A client that was told has so long to leave; then its session is closed.", "10"}),
      list<R>("own_domains", &R::own_domains, "list of DNS names", 64, read_dns_name,
              {"Our administrative domain: targets are one of these names or below one (RFC 8612 SIG-005).",
               "[\"provider.example\"]"}),
      boolean<R>("any_domain", &R::any_domain, {"May clients be sent to servers of somebody else?", "false"}),
      number<R>("when_sessions_percent", &R::when_sessions_percent, "percent", {1, 100, true},
                {"New sessions are redirected when so much of `limits.sessions` is used. 0: never.", "90"}),
      boolean<R>("when_mitigators_down", &R::when_mitigators_down,
                 {"Are clients redirected while no back end can be reached?", "false"}),
  };
  return s;
}

SectionSpec resolver() {
  using R = ResolverConfig;
  SectionSpec s = section("resolver", ForRole::both);
  s.meaning = "How names in requests become addresses.";
  s.open = [](void* parent) -> void* { return &static_cast<Config*>(parent)->resolver; };
  s.keys = {
      by_default("those of the system",
                 list<R>("servers", &R::servers, "list of addresses", 16, address_text<53>,
                         {"DNS servers; the port is 53 when left out.", "[\"192.0.2.53\", \"[2001:db8::53]:5353\"]"})),
      number<R>("timeout_ms", &R::timeout_ms, "ms", {100, 30000}, {"Wait for one answer.", "2000"}),
      number<R>("tries", &R::tries, "", {1, 10}, {"Attempts for each name.", "2"}),
      number<R>("ttl_min_s", &R::ttl_min_s, "s", {1, 86400}, {"Answers are kept at least so long.", "30"}),
      number<R>("ttl_max_s", &R::ttl_max_s, "s", {1, 604800},
                {"Answers are asked for again at the latest after this.", "3600"}),
  };
  return s;
}

SectionSpec api() {
  using A = ApiConfig;
  SectionSpec s = section("api", ForRole::both);
  s.meaning = "The door for `dotsctl` and the metrics.";
  s.open = [](void* parent) -> void* { return &static_cast<Config*>(parent)->api; };
  s.keys = {
      by_default(
          "`dotsd.sock` in `store.state_dir`",
          path<A>("socket", &A::socket,
                  {"The unix socket; at most 107 bytes. The state directory is for the daemon alone: with a group "
                   "below, write a path in a folder that the group may enter.",
                   "\"/run/tidewall/dotsd.sock\""})),
      text<A>("operator_group", &A::operator_group, 32,
              {"Members of this group may look and change things, and the socket belongs to it. Without it only root "
               "and the daemon's own user may.",
               "\"tidewall\""}),
      text<A>("read_only_group", &A::read_only_group, 32, {"Members of this group may look.", "\"tidewall-view\""}),
      parsed<A>(
          "metrics_address", &A::metrics_address, "address", address_text<9466>,
          {"Prometheus metrics over HTTP here as well; the port is 9466 when left out. Without it only on the socket.",
           "\"127.0.0.1:9466\""}),
      boolean<A>("metrics_allow_remote", &A::metrics_allow_remote,
                 {"May `metrics_address` be another one than loopback? There is no authentication on it.", "false"}),
  };
  return s;
}

SectionSpec log() {
  using L = LogConfig;
  SectionSpec s = section("log", ForRole::both);
  s.meaning = "Where messages go. docs/messages.md explains each of them.";
  s.open = [](void* parent) -> void* { return &static_cast<Config*>(parent)->log; };
  Choices<std::string> levels;
  for (const char* level : {"debug", "info", "notice", "warning", "error"}) levels.emplace_back(level, level);
  s.keys = {
      choice<L>("level", &L::level, levels, {"The least severity that is written.", "\"info\""}),
      choice<L>("format", &L::json, Choices<bool>{{"text", false}, {"json", true}},
                {"`text`: a line for people; `json`: one object for each line, with `at`, `severity`, `id`, `meaning`, "
                 "`details` and `next_step` (docs/observability.md).",
                 "\"text\""}),
      by_default("standard error",
                 path<L>("file", &L::file, {"A file to append to.", "\"/var/log/tidewall/dotsd.log\""})),
  };
  return s;
}

}  // namespace

const SectionSpec& config_schema() {
  static const SectionSpec top = [] {
    SectionSpec s;
    s.open = [](void* parent) { return parent; };
    KeySpec role =
        choice<Config>("role", &Config::role, Choices<Role>{{"server", Role::server}, {"client", Role::client}},
                       {"What this daemon is: the one that helps, or the one that asks for help.", "\"server\""});
    s.keys = {required(std::move(role))};
    s.children = {credentials(),
                  listen(),
                  data_channel_section(),
                  filter_control_section(),
                  extensions_section(),
                  heartbeat(),
                  session_config_section(),
                  limits(),
                  store(),
                  mitigator_section(),
                  policy_section(),
                  safety_section(),
                  domain_section(),
                  upstream_section(),
                  redirect(),
                  resolver(),
                  api(),
                  log()};
    return s;
  }();
  return top;
}

}  // namespace dots::ops
