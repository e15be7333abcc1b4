#include "ops/config_schema.h"

#include "model/redirect.h"
#include "ops/config_keys.h"
#include "ops/config_session.h"

namespace dots::ops {
namespace {

using namespace keys;

constexpr std::int64_t kMillion = 1'000'000;
constexpr std::int64_t kMaxLifetime = 0x7fffffff;  // RFC 9132 gives lifetime as int32

Reading<model::SocketAddress> dots_address(const std::string& text) { return read_socket_address(text, 4646); }
Reading<model::SocketAddress> https_address(const std::string& text) { return read_socket_address(text, 443); }

constexpr char kFingerprintExample[] = "[\"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"]";

// An address kept as text, in canonical form.
template <std::uint16_t DefaultPort>
Reading<std::string> address_text(const std::string& text) {
  const auto address = read_socket_address(text, DefaultPort);
  if (!address) return address.error();
  return model::to_string(*address);
}

Reading<std::string> table_name(const std::string& text) {
  const auto identifier = read_identifier(text);
  const bool starts_well = !text.empty() && ((text[0] >= 'a' && text[0] <= 'z') || (text[0] >= 'A' && text[0] <= 'Z'));
  if (identifier && starts_well && text.find_first_of(".-") == std::string::npos && text.size() <= 32) return text;
  return Complaint{"'" + text + "' is no name for a table", "write 1 to 32 letters, digits or '_', a letter first"};
}

Reading<std::string> cuid_text(const std::string& text) {
  if (text.find('/') == std::string::npos) return read_line(text, 128);
  return Complaint{"'" + text + "' has a '/', which a cuid in a path cannot carry", "use letters, digits, '-' and '_'"};
}

SectionSpec section(std::string name, ForRole role) {
  SectionSpec s;
  s.name = std::move(name);
  s.role = role;
  return s;
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

SectionSpec data_channel() {
  using D = DataChannelConfig;
  SectionSpec s = section("data_channel", ForRole::server);
  s.meaning =
      "The data channel (RFC 8783): HTTPS where clients configure aliases and filters, with the credentials and "
      "domains "
      "of the signal channel. Off without `listen`.";
  s.open = [](void* parent) -> void* { return &static_cast<Config*>(parent)->data_channel; };
  s.keys = {
      by_default("none: off", list<D>("listen", &D::listen, "list of addresses", 16, https_address,
                                      {"Addresses and ports; the port is 443 when left out.",
                                       "[\"192.0.2.1:443\", \"[2001:db8::1]:443\"]"})),
      number<D>("connections", &D::connections, "", {1, 20000},
                {"Connections at a time, handshakes included; a further one is closed.", "1000"}),
      number<D>("connections_per_prefix", &D::connections_per_prefix, "", {1, 20000},
                {"... from one IPv4 /24 or IPv6 /48.", "100"}),
      number<D>("connections_per_domain", &D::connections_per_domain, "", {1, 20000},
                {"... of the clients of one domain; a request on a further one is answered 503.", "100"}),
      number<D>("header_bytes", &D::header_bytes, "bytes", {2048, 65000},
                {"Request line and header section of one request (431); half of it for the target (414).", "16384"}),
      number<D>("body_bytes", &D::body_bytes, "bytes", {65536, 1 << 28},
                {"Body of one request; a larger one is answered 413.", "4194304"}),
      number<D>("waiting_bytes", &D::waiting_bytes, "bytes", {1 << 20, 1LL << 31},
                {"Bodies that come and answers that go, of all connections together; past it those over 64 KB are "
                 "answered 503.",
                 "67108864"}),
      number<D>("waiting_bytes_per_domain", &D::waiting_bytes_per_domain, "bytes", {1 << 20, 1LL << 31},
                {"... of the connections of one domain; an answer has at most half of it, and a larger one is refused "
                 "with the advice to ask for less.",
                 "33554432"}),
      number<D>(
          "requests_per_s", &D::requests_per_s, "requests per second", {1, kMillion},
          {"Requests that one domain may make in the long run; further ones are answered 429. A body or an answer "
           "counts as one more for each 64 KB.",
           "200"}),
      number<D>("requests_burst", &D::requests_burst, "requests", {1, kMillion},
                {"... and at once, after a pause.", "400"}),
      seconds<D>("handshake_time_s", &D::handshake_time, {1, 300},
                 {"A TLS handshake that takes longer is given up.", "10"}),
      seconds<D>("idle_time_s", &D::idle_time, {1, 86400},
                 {"A connection without a request is closed after this.", "300"}),
      seconds<D>("header_time_s", &D::header_time, {1, 300},
                 {"From the first byte of a request to the end of its header; then 408.", "10"}),
      seconds<D>("stall_time_s", &D::stall_time, {1, 300},
                 {"16 KB of a body must come in this time (408), and of an answer go, or the connection ends.", "20"}),
      boolean<D>(
          "qualified_identities", &D::qualified_identities,
          {"Write `ietf-access-control-list:drop` (RFC 7951) and not `drop` as RFC 8783 prints it? Both are read.",
           "false"}),
  };
  return s;
}

SectionSpec filter_control() {
  using F = FilterControlConfig;
  SectionSpec s = section("filter_control", ForRole::server);
  s.meaning =
      "Filters of the data channel that clients switch over the signal channel (RFC 9133), also while the data channel "
      "cannot be reached.";
  s.open = [](void* parent) -> void* { return &static_cast<Config*>(parent)->filter_control; };
  s.keys = {
      choice<F>("mode", &F::mode,
                Choices<FilterControl>{{"on", FilterControl::on},
                                       {"when-mitigating", FilterControl::when_mitigating},
                                       {"off", FilterControl::off}},
                {"`on`: with any request that begins a mitigation at once, or while one of the client runs; "
                 "`when-mitigating`: only while one runs; `off`: such requests are refused.",
                 "\"on\""}),
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

SectionSpec mitigator() {
  using M = MitigatorConfig;
  SectionSpec s = section("mitigator", ForRole::server);
  s.repeated = true;
  s.required = true;
  s.meaning = "A back end that stops the attack traffic. Every rule goes to each of them.";
  s.open = [](void* parent) -> void* { return &static_cast<Config*>(parent)->mitigators.emplace_back(); };
  s.keys = {
      required(parsed<M>("name", &M::name, "text", read_identifier,
                         {"Its name in logs, metrics and `dotsctl`. Unique.", "\"border\""})),
      required(choice<M>("kind", &M::kind, Choices<std::string>{{"nftables", "nftables"}, {"dry-run", "dry-run"}},
                         {"`nftables` drops in this machine's kernel and needs CAP_NET_ADMIN for its helper; `dry-run` "
                          "only remembers what it would do.",
                          "\"nftables\""})),
      by_default("`dots-nft-helper` beside the daemon",
                 path<M>("helper", &M::helper,
                         {"nftables: the helper program.", "\"/usr/libexec/tidewall/dots-nft-helper\""})),
      by_default("\"tidewall\"", parsed<M>("table", &M::table, "text", table_name,
                                           {"nftables: the table of ours; nothing outside it is touched. Unique among "
                                            "the back ends of this machine.",
                                            "\"tidewall\""})),
      choice<M>("on_stop", &M::on_stop, Choices<OnStop>{{"remove", OnStop::remove}, {"keep", OnStop::keep}},
                {"What happens to the rules when the daemon stops in good order.", "\"remove\""}),
      number<M>("timeout_ms", &M::timeout_ms, "ms", {100, 60000},
                {"A call of the back end that takes longer has failed.", "5000"}),
      number<M>("counters_every_ms", &M::counters_every_ms, "ms", {100, 600000},
                {"How often the drop counters are read.", "1000"}),
      number<M>("exemption_rate_pps", &M::exemption_rate_pps, "packets per second", {10, 10 * kMillion},
                {"Traffic of one DOTS peer that always passes, before all drops.", "1000"}),
  };
  return s;
}

SectionSpec domain_client() {
  using C = policy::ClientPolicy;
  SectionSpec s = section("client", ForRole::server);
  s.repeated = true;
  s.required = true;
  s.live = true;
  s.meaning =
      "A client of the domain, and the credentials that name it. Several credentials may name one client, so that keys "
      "can be renewed.";
  s.open = [](void* parent) -> void* { return &static_cast<policy::DomainPolicy*>(parent)->clients.emplace_back(); };
  s.keys = {
      required(parsed<C>("id", [](C & c) -> auto& { return c.id.value; }, "text", read_identifier,
                         {"Its name in logs, audit and `dotsctl`. Unique in the domain.", "\"edge-1\""})),
      list<C>("certificate_names", &C::certificate_names, "list of texts", 64,
              [](const std::string& t) { return read_line(t, 253); },
              {"Names that a certificate of this client carries as subject alternative name or common name. Case does "
               "not matter; there are no wildcards.",
               "[\"edge-1.example.net\"]"}),
      list<C>(
          "psk_identities", &C::psk_identities, "list of texts", 64,
          [](const std::string& t) { return read_line(t, 128); },
          {"Pre-shared key identities of this client; their keys stand in `credentials.psk_file`.", "[\"edge-1\"]"}),
      list<C>("raw_public_keys", &C::raw_public_keys, "list of fingerprints", 64, read_key_fingerprint,
              {"Raw public keys (RFC 7250) of this client, for clients without certificates: the SHA-256 of the public "
               "key, as `openssl pkey -in KEY -pubout -outform DER | sha256sum` prints it. The server then shows the "
               "key of `credentials.key_file` in the same way to who asks for it.",
               kFingerprintExample}),
      number<C>("priority", &C::priority, "", {0, 1000},
                {"When its request overlaps one of another client of the domain, the higher priority wins; "
                 "`conflict_winner` decides between equal ones.",
                 "100"}),
  };
  return s;
}

SectionSpec domain() {
  using D = policy::DomainPolicy;
  SectionSpec s = section("domain", ForRole::server);
  s.repeated = true;
  s.required = true;
  s.live = true;
  s.meaning =
      "A client domain: what it owns and may ask for, and who speaks for it. Domains may nest, a customer inside a "
      "provider.";
  s.open = [](void* parent) -> void* { return &static_cast<Config*>(parent)->domains.emplace_back(); };
  s.keys = {
      required(parsed<D>(
          "id", [](D & d) -> auto& { return d.id.value; }, "text", read_identifier,
          {"Its name in logs, audit and `dotsctl`. Unique. State is kept under it: a new name is a new domain.",
           "\"example-net\""})),
      required(list<D>("prefixes", &D::prefixes, "list of prefixes", 10000, read_owned_prefix,
                       {"Address space that the domain owns. A request outside it is refused.",
                        "[\"203.0.113.0/24\", \"2001:db8:7::/48\"]"})),
      list<D>("names", &D::names, "list of DNS names", 10000, read_dns_name,
              {"DNS names that the domain owns; each covers all names below it. What they resolve to must lie in "
               "`prefixes`.",
               "[\"example.net\"]"}),
      number<D>("max_mitigations", &D::max_mitigations, "", {1, kMillion},
                {"Mitigations of the domain at a time.", "1000"}),
      number<D>("max_cuids_per_client", &D::max_cuids_per_client, "", {1, 1000},
                {"Client unique identifiers that one client may use.", "8"}),
      number<D>("max_targets_per_request", &D::max_targets_per_request, "", {1, 1024},
                {"Prefixes, names, URIs and aliases in one request, together.", "64"}),
      number<D>("max_lifetime_s", &D::max_lifetime_s, "s", {1, kMaxLifetime},
                {"Longer lifetimes are cut to this.", "86400"}),
      number<D>("default_lifetime_s", &D::default_lifetime_s, "s", {1, kMaxLifetime},
                {"Granted instead of an indefinite lifetime when that is not allowed.", "3600"}),
      boolean<D>("allow_indefinite", &D::allow_indefinite, {"May a mitigation have no end?", "false"}),
      seconds<D>("terminating_period_s", &D::terminating_period, {0, 300},
                 {"How long the rules stay after a withdrawal (RFC 9132 section 4.4.4).", "120"}),
      seconds<D>("terminating_period_max_s", &D::terminating_period_max, {0, 300},
                 {"That period doubles when an attack is withdrawn and comes back, up to this.", "300"}),
      boolean<D>(
          "terminate_after_expiry", &D::terminate_after_expiry,
          {"Does an expired mitigation pass through the terminating period as well? `false` ends it at once.", "true"}),
      choice<D>("conflict_winner", &D::conflict_winner,
                Choices<policy::ConflictWinner>{{"first", policy::ConflictWinner::first},
                                                {"last", policy::ConflictWinner::last},
                                                {"nobody", policy::ConflictWinner::nobody},
                                                {"everybody", policy::ConflictWinner::everybody}},
                {"Two clients of equal priority ask for overlapping targets: the first request wins, the last one, "
                 "none until one is withdrawn, or both are mitigated. All clients involved are told.",
                 "\"first\""}),
      choice<D>("broad_scope", &D::broad_scope,
                Choices<policy::BroadScopeAction>{{"limit", policy::BroadScopeAction::limit},
                                                  {"refuse", policy::BroadScopeAction::refuse},
                                                  {"blackhole", policy::BroadScopeAction::blackhole}},
                {"What a request that names neither protocol nor port gets: all traffic of its targets limited, a "
                 "refusal, or all traffic dropped.",
                 "\"limit\""}),
      number<D>("broad_scope_limit_bytes_per_s", &D::broad_scope_limit_bps, "bytes per second",
                {1000, 1'000'000'000'000},
                {"The limit of `broad_scope = \"limit\"`, for each target prefix.", "125000"}),
      number<D>("scoped_limit_bytes_per_s", &D::scoped_limit_bps, "bytes per second", {1000, 1'000'000'000'000, true},
                {"Traffic of a scope with protocol or port passes up to this. 0: it is dropped.", "0"}),
      number<D>("accept_list_alarm_packets_per_s", &D::accept_list_alarm_pps, "packets per second",
                {1, 1'000'000'000, true},
                {"An entry of a client's accept-list that lets through as much for ten seconds, towards targets of its "
                 "running mitigation, is taken to take part in the attack: the client is told of the conflict. 0: not "
                 "judged by packets.",
                 "10000"}),
      number<D>("accept_list_alarm_bytes_per_s", &D::accept_list_alarm_bps, "bytes per second",
                {1, 1'000'000'000'000, true}, {"The same by layer-3 bytes. 0: not judged by bytes.", "12500000"}),
      seconds<D>("notification_interval_s", &D::notification_interval, {3, 3600},
                 {"How often an observing client hears the status when nothing changes. RFC 9132 section 4.4.2.1 sets "
                  "the minimum.",
                  "30"}),
  };
  s.children.push_back(domain_client());
  return s;
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

SectionSpec upstream() {
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
    s.children = {credentials(), listen(), data_channel(), filter_control(), heartbeat(), session_config_section(),
                  limits(),      store(),  mitigator(),    domain(),         upstream(),  redirect(),
                  resolver(),    api(),    log()};
    return s;
  }();
  return top;
}

}  // namespace dots::ops
