#include "ops/config_keys.h"
#include "ops/config_sections.h"

namespace dots::ops {

using namespace keys;

namespace {

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

SectionSpec domain_contract() {
  using C = policy::ContractPolicy;
  SectionSpec s = section("contract", ForRole::server);
  s.repeated = true;
  s.live = true;
  s.meaning =
      "An agreement with the domain that requests can refer to by its id (docs/extensions.md). A request with another "
      "id "
      "is refused with the reason `contract`; one without an id has the limits of the domain alone, and `[[policy]]` "
      "takes it to be under the first.";
  s.open = [](void* parent) -> void* { return &static_cast<policy::DomainPolicy*>(parent)->contracts.emplace_back(); };
  s.keys = {
      required(parsed<C>("id", &C::id, "text", read_identifier,
                         {"What requests name. Unique in the domain.", "\"gold-2026\""})),
      by_default("`services` of the domain",
                 list<C>("services", &C::services, "list of names", 64, read_identifier,
                         {"Services that it offers; the first is what a request without a wish gets.",
                          "[\"scrubbing\", \"rtbh\"]"})),
      number<C>(
          "max_mitigations", &C::max_mitigations, "", {1, kMillion, true},
          {"Mitigations under it at a time; those of the domain count as well. 0: only those of the domain.", "0"}),
      number<C>("max_lifetime_s", &C::max_lifetime_s, "s", {1, kMaxLifetime, true},
                {"Longer lifetimes are cut to this, instead of the domain's. 0: the domain's.", "0"}),
  };
  return s;
}

}  // namespace

SectionSpec domain_section() {
  using D = policy::DomainPolicy;
  SectionSpec s = section("domain", ForRole::server);
  s.repeated = true;
  s.required = true;
  s.live = true;
  s.meaning =
      "A client domain: what it owns and may ask for, and who speaks for it. Domains may nest, a customer inside a "
      "provider.";
  s.open = [](void* parent) -> void* {
    D& domain = static_cast<Config*>(parent)->domains.emplace_back();
    domain.activations_per_minute = 600;
    return &domain;
  };
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
      by_default(
          "none",
          list<D>("services", &D::services, "list of names", 64, read_identifier,
                  {"Services that a request may ask for by name (docs/extensions.md); the first is what a request "
                   "without a wish gets. The policy chooses back ends by them.",
                   "[\"scrubbing\", \"rtbh\"]"})),
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
      by_default(
          "600",
          number<D>("activations_per_minute", &D::activations_per_minute, "requests per minute",
                    {1, 10 * kMillion, true},
                    {"Requests of each client of the domain that begin to be mitigated, replaced and revived ones "
                     "included; further ones are answered 5.03, so that nobody makes routers flap. 0: "
                     "no limit.",
                     "60"})),
      seconds<D>("notification_interval_s", &D::notification_interval, {3, 3600},
                 {"How often an observing client hears the status when nothing changes. RFC 9132 section 4.4.2.1 sets "
                  "the minimum.",
                  "30"}),
  };
  s.children.push_back(domain_client());
  s.children.push_back(domain_contract());
  return s;
}

}  // namespace dots::ops
