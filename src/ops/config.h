// The configuration of one daemon as values, read from TOML (docs/configuration.md is generated from config_schema).
//
// load() validates everything: an error names file, line, key, what is wrong and what to write. Paths are taken
// relative to the file's folder. Units are last in key names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "model/ip.h"
#include "model/peer.h"
#include "ops/config_bgp.h"
#include "policy/domain_policy.h"
#include "policy/mitigation_policy.h"
#include "policy/safety.h"
#include "policy/session_bounds.h"

namespace dots::ops {

enum class Role : std::uint8_t { server, client };  // gateway: both, in a later release

struct PskEntry {
  std::string identity;
  base::Bytes key;
};

struct CredentialsConfig {
  std::string ca_file;           // trust anchors for the other side
  std::string crl_file;          // optional
  std::string certificate_file;  // ours, chain in order
  std::string key_file;
  std::string psk_file;       // lines "identity:hexkey"; read into psk
  std::vector<PskEntry> psk;  // server: all; client: at most one, used instead of the certificate
};

struct ListenConfig {
  std::vector<model::SocketAddress> addresses;  // default [::]:4646 and 0.0.0.0:4646
  std::uint32_t shards = 0;                     // 0: one for each processor, at most 16
  std::uint32_t receive_buffer_bytes = 4u << 20;
  std::uint32_t path_mtu_bytes = 1280;  // RFC 9132 7.3
  bool tcp = true;                      // TLS over TCP on the same addresses and ports
};

// The data channel (RFC 8783): HTTPS for aliases and filters.
struct DataChannelConfig {
  std::vector<model::SocketAddress> listen;  // empty: off
  std::uint32_t connections = 1000;
  std::uint32_t connections_per_prefix = 100;
  std::uint32_t connections_per_domain = 100;
  std::uint32_t header_bytes = 16384;
  std::uint32_t body_bytes = 4U << 20;
  std::uint32_t waiting_bytes = 64U << 20;  // bodies and answers of all connections together
  std::uint32_t waiting_bytes_per_domain = 32U << 20;
  std::uint32_t requests_per_s = 200;  // of one domain
  std::uint32_t requests_burst = 400;
  base::Duration handshake_time = std::chrono::seconds{10};
  base::Duration idle_time = std::chrono::seconds{300};
  base::Duration header_time = std::chrono::seconds{10};
  base::Duration stall_time = std::chrono::seconds{20};
  bool qualified_identities = false;
};

struct LimitsConfig {
  std::uint32_t sessions = 100000;
  std::uint32_t sessions_per_domain = 1000;
  std::uint32_t session_requests_per_s = 500;
  std::uint32_t session_requests_burst = 1000;
  std::uint32_t handshakes = 4096;
  std::uint32_t handshakes_per_prefix = 256;
  std::uint32_t handshake_time_s = 30;
  std::uint32_t message_bytes = 65536;  // over TCP: our Max-Message-Size
  std::uint32_t unsent_bytes = 262144;  // over TCP: what waits for one client
  std::uint32_t resume_h = 168;         // how long a ticket resumes a session; 0: never
  std::uint32_t audit_records = 100000;
  std::uint32_t pending_names = 1000;
  std::uint32_t hold_share_percent = 50;  // of clients that fall silent together, before their losses are held back
  std::uint32_t hold_at_least = 3;        // clients
  std::uint32_t approval_late_s = 300;    // so long a mitigation may wait for a person before that is unwell
  std::uint64_t disk_reserve_bytes = 1u << 20;  // kept for DELETE on a full disk
};

// Filters switched over the signal channel (RFC 9133).
enum class FilterControl : std::uint8_t { off, when_mitigating, on };

struct FilterControlConfig {
  FilterControl mode = FilterControl::on;
};

// Ours (docs/extensions.md).
enum class Extensions : std::uint8_t { off, when_asked };

struct ExtensionsConfig {
  Extensions mode = Extensions::when_asked;
};

struct StoreConfig {
  std::string state_dir;
  std::string kind = "sqlite";    // or "memory" (loses everything on exit; says so)
  std::uint32_t stall_ms = 1000;  // a commit that takes longer raises health
};

enum class OnStop : std::uint8_t { keep, remove };

struct MitigatorConfig {
  std::string name;    // of this back end, unique
  std::string kind;    // "nftables", "command", "webhook", "notify", "dry-run", "gobgp-rtbh", "gobgp-flowspec"
  std::string helper;  // nftables: path of dots-nft-helper; default beside the daemon
  // nftables: the program with its arguments that starts the helper elsewhere, instead of `helper`.
  std::vector<std::string> helper_command;
  std::string table = "tidewall";
  OnStop on_stop = OnStop::remove;
  std::uint32_t timeout_ms = 5000;
  std::uint32_t counters_every_ms = 1000;
  std::uint64_t exemption_rate_pps = 1000;  // per DOTS peer
  bool dry_run = false;                     // plans and shows everything, installs nothing
  std::uint32_t max_rules = 0;              // 0: no limit
  std::uint64_t max_bits_per_s = 0;         // of attack traffic; 0: no limit
  std::uint8_t min_prefix_length_v4 = 0, min_prefix_length_v6 = 0;
  BgpConfig bgp;                     // gobgp-rtbh, gobgp-flowspec
  std::vector<std::string> command;  // command: the program with its arguments
  std::string url;                   // webhook, notify: https
  std::string url_ca_file = "/etc/ssl/certs/ca-certificates.crt";
  std::string secret_file;           // of the signature
  std::vector<std::string> mail_to;  // notify
  std::string mail_from;             // empty: the first of mail_to
  std::vector<std::string> mail_command = {"/usr/sbin/sendmail", "-t", "-i"};
  std::uint32_t notice_every_s = 60;
  // Of other sections, for back ends that need them.
  std::string state_dir;
  std::vector<std::string> dns_servers;
};

struct ResolverConfig {
  std::vector<std::string> servers;  // host[:port]; empty: the system's
  std::uint32_t timeout_ms = 2000;
  std::uint32_t tries = 2;
  std::uint32_t ttl_min_s = 30;
  std::uint32_t ttl_max_s = 3600;
};

struct ApiConfig {
  std::string socket;                 // default <state_dir>/dotsd.sock, mode 0660
  std::string operator_group;         // may change things; empty: only root and the daemon's own user
  std::string read_only_group;        // may look
  std::string metrics_address;        // Prometheus on "127.0.0.1:9466"; empty: off
  bool metrics_allow_remote = false;  // metrics_address may be another one than loopback
};

struct LogConfig {
  std::string level = "info";
  std::string file;  // empty: standard error
  bool json = false;
};

// Where a server sends its clients, and when it does so by itself (RFC 9132 4.6).
struct RedirectConfig {
  std::string alt_server;  // empty: only where an operator says
  std::vector<model::IpAddress> alt_server_records;
  std::uint32_t ttl_s = 3600;
  std::uint32_t grace_s = 10;
  std::vector<std::string> own_domains;
  bool any_domain = false;
  std::uint32_t when_sessions_percent = 0;  // of limits.sessions; 0: never
  bool when_mitigators_down = false;
  friend bool operator==(const RedirectConfig&, const RedirectConfig&) = default;
};

enum class UpstreamTransport : std::uint8_t { automatic, udp, tcp };
enum class FollowRedirects : std::uint8_t { no, same_domain, any };

// What a server accepts as session configuration (RFC 9132 4.5); see session_bounds().
struct SessionConfigBounds {
  std::uint32_t max_age_s = 3600;
  bool idle_heartbeats_may_stop = true;
  bool idle_heartbeats_may_stop_with_armed_requests = false;
  model::ParameterSet min, max;
};

// The data channel of a server, as its client sees it (RFC 8783).
struct UpstreamDataChannel {
  bool enabled = false;
  std::string host;                             // empty: that of the upstream
  std::uint16_t port = 443;                     // when `addresses` is empty
  std::vector<model::SocketAddress> addresses;  // tried in order; empty: host is looked up
  std::string root = "/restconf";               // of a server that does not tell
  base::Duration check = std::chrono::hours{1};
  std::uint32_t refresh_before_min = 5040;
  std::uint32_t answer_bytes = 16U << 20;
};

// A server that a client role signals to.
struct UpstreamConfig {
  std::string name;                             // in our records
  std::string host;                             // name for SNI and certificate check
  std::vector<model::SocketAddress> addresses;  // tried in order; empty: host is looked up
  UpstreamTransport transport = UpstreamTransport::automatic;
  base::Duration udp_probe = std::chrono::hours{24};   // while over TCP; never under 5 min (RFC 9132 4.3)
  bool negotiate = true;                               // the session configuration (RFC 9132 4.5)
  bool extensions = true;                              // ours (docs/extensions.md)
  std::string contract_id, requested_service;          // with every request; empty: none
  model::ParameterSet mitigating_config, idle_config;  // what we want
  std::uint32_t reconnect_s = 300;                     // never under 60 (RFC 9132 4.7)
  std::uint32_t refresh_before_percent = 50;           // a refresh is sent when so much of the lifetime is left
  std::uint32_t default_lifetime_s = 3600;
  std::string cuid;  // empty: derived from the credentials
  FollowRedirects follow_redirects = FollowRedirects::same_domain;
  std::vector<std::string> redirect_domains;  // empty: the parent domain of host
  std::vector<std::string> raw_public_keys;   // as in policy::ClientPolicy; not empty: it proves nothing else
  UpstreamDataChannel data_channel;
};

struct Config {
  std::string file;
  std::string text;  // as read: what config_changes compares
  // Digests of the credential files, by key: a renewed certificate is a change that the text does not show.
  std::map<std::string, std::size_t> contents;
  Role role = Role::server;
  CredentialsConfig credentials;
  ListenConfig listen;                 // server
  DataChannelConfig data_channel;      // server
  FilterControlConfig filter_control;  // server
  ExtensionsConfig extensions;         // server
  LimitsConfig limits;
  StoreConfig store;
  std::vector<MitigatorConfig> mitigators;                       // server
  policy::PolicyChain policy;                                    // server
  policy::SafetyPolicy safety;                                   // server
  std::vector<policy::DomainPolicy> domains;                     // server
  std::vector<UpstreamConfig> upstreams;                         // client
  base::Duration heartbeat_interval = std::chrono::seconds{30};  // server's own, until negotiated
  int missing_hb_allowed = 15;
  RedirectConfig redirect;             // server
  SessionConfigBounds session_config;  // server
  ResolverConfig resolver;
  ApiConfig api;
  LogConfig log;
};

struct ConfigProblem {
  std::string file;
  std::uint32_t line = 0;  // 0: the whole file
  std::string key;         // "domain[0].prefixes"
  std::string what;        // "'203.0.113.0/33' is no prefix: the length is over 32"
  std::string remedy;      // "write for example '203.0.113.0/24'"
};
std::string to_string(const ConfigProblem& problem);

// All problems at once, in the order of the file; a configuration with problems is not used.
base::Result<Config, std::vector<ConfigProblem>> load_config(const std::string& file);
base::Result<Config, std::vector<ConfigProblem>> parse_config(const std::string& toml, const std::string& file);

// What can be read of a file that has problems: for the ways out that must work with a broken configuration.
struct PartialConfig {
  Config config;
  std::vector<ConfigProblem> problems;
};
PartialConfig load_partial_config(const std::string& file);
// What [session_config] and [heartbeat] amount to.
policy::SessionBounds session_bounds(const Config& config);

// The socket of the API alone: works for users who may not read the secrets that the file names.
base::Result<std::string> api_socket_of(const std::string& file);

}  // namespace dots::ops
