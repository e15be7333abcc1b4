#include "policy/identities.h"

#include <set>

#include "base/bytes.h"

namespace dots::policy {
namespace {

using Table = std::unordered_map<std::string, KnownClient>;

std::string owner_text(const KnownClient& known) {
  return "client '" + known.client.value + "' of domain '" + known.domain.value + "'";
}

std::optional<base::Error> claim(Table& table, const std::string& key, const std::string& kind,
                                 const KnownClient& known) {
  if (key.empty()) return base::Error{owner_text(known) + " has an empty " + kind};
  const auto [at, is_new] = table.emplace(key, known);
  if (is_new || at->second == known) return std::nullopt;
  return base::Error{"the " + kind + " '" + key + "' is claimed by " + owner_text(at->second) + " and by " +
                     owner_text(known)};
}

KnownClient by(KnownClient client, std::string credential) {
  client.credential = std::move(credential);
  return client;
}

}  // namespace

base::Result<Identities> Identities::build(const std::vector<DomainPolicy>& domains) {
  Identities identities;
  std::set<base::DomainId> seen_domains;
  for (const DomainPolicy& domain : domains) {
    if (!seen_domains.insert(domain.id).second) {
      return base::Error{"the domain '" + domain.id.value + "' is configured twice"};
    }
    std::set<base::ClientId> seen_clients;
    for (const ClientPolicy& client : domain.clients) {
      const KnownClient known{domain.id, client.id};
      if (!seen_clients.insert(client.id).second) return base::Error{owner_text(known) + " is configured twice"};
      for (const std::string& name : client.certificate_names) {
        if (name.find('*') != std::string::npos) {
          return base::Error{owner_text(known) + " has the certificate name '" + name +
                             "'; wildcards name nobody, write the exact name"};
        }
        if (auto error = claim(identities.by_certificate_name_, canonical_name(name), "certificate name", known)) {
          return *error;
        }
      }
      for (const std::string& key : client.raw_public_keys) {
        if (auto error = claim(identities.by_raw_public_key_, key, "raw public key", known)) return *error;
      }
      for (const std::string& identity : client.psk_identities) {
        if (auto error = claim(identities.by_psk_identity_, identity, "PSK identity", known)) return *error;
      }
    }
  }
  return identities;
}

std::optional<KnownClient> Identities::find(const model::PeerIdentity& identity) const {
  switch (identity.kind) {
    case model::CredentialKind::x509:
      for (const std::string& name : identity.names) {
        const auto found = by_certificate_name_.find(canonical_name(name));
        if (found != by_certificate_name_.end()) return by(found->second, "certificate " + name);
      }
      return std::nullopt;
    case model::CredentialKind::psk: {
      if (identity.names.empty()) return std::nullopt;
      const auto found = by_psk_identity_.find(identity.names.front());
      if (found == by_psk_identity_.end()) return std::nullopt;
      return by(found->second, "PSK " + identity.names.front());
    }
    case model::CredentialKind::raw_public_key: {
      const std::string key = base::to_hex(identity.fingerprint);
      const auto found = by_raw_public_key_.find(key);
      if (found == by_raw_public_key_.end()) return std::nullopt;
      return by(found->second, "raw key " + key.substr(0, 16));
    }
  }
  return std::nullopt;
}

}  // namespace dots::policy
