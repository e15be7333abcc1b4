#include <gnutls/crypto.h>

#include <algorithm>
#include <array>

#include "adapters/net/gnutls_handles.h"

namespace dots::adapters::net {
namespace {

constexpr unsigned kMostNames = 100;  // of one certificate; what comes after is ignored

bool printable(const std::string& name) {
  return !name.empty() && std::ranges::none_of(name, [](char c) { return static_cast<unsigned char>(c) < 0x20; });
}

void add_alternative_names(gnutls_x509_crt_t certificate, bool dns, std::vector<std::string>& names) {
  for (unsigned i = 0; i < kMostNames; ++i) {
    std::array<char, 1024> buffer{};
    std::size_t size = buffer.size();
    unsigned type = 0;
    const int code = gnutls_x509_crt_get_subject_alt_name2(certificate, i, buffer.data(), &size, &type, nullptr);
    if (code == GNUTLS_E_SHORT_MEMORY_BUFFER) continue;
    if (code < 0) return;
    const bool wanted = dns ? type == GNUTLS_SAN_DNSNAME : type == GNUTLS_SAN_URI || type == GNUTLS_SAN_RFC822NAME;
    std::string name{buffer.data(), size};
    if (!wanted || !printable(name)) continue;  // a NUL inside a name is an old trick
    if (dns) {
      for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    names.push_back(std::move(name));
  }
}

}  // namespace

model::PeerIdentity identity_of(gnutls_x509_crt_t certificate) {
  model::PeerIdentity identity;
  identity.kind = model::CredentialKind::x509;
  add_alternative_names(certificate, true, identity.names);
  add_alternative_names(certificate, false, identity.names);
  std::array<char, 1024> name{};
  std::size_t size = name.size();
  if (gnutls_x509_crt_get_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, 0, name.data(), &size) >= 0) {
    if (std::string common{name.data(), size}; printable(common)) identity.names.push_back(std::move(common));
  }
  identity.fingerprint.resize(32);
  size = identity.fingerprint.size();
  if (gnutls_x509_crt_get_key_id(certificate, GNUTLS_KEYID_USE_SHA256, identity.fingerprint.data(), &size) < 0) {
    identity.fingerprint.clear();
  }
  identity.not_after_unix_s = gnutls_x509_crt_get_expiration_time(certificate);
  return identity;
}

model::PeerIdentity identity_of_psk(const std::string& name) {
  model::PeerIdentity identity;
  identity.kind = model::CredentialKind::psk;
  identity.names = {name};
  identity.fingerprint.resize(32);
  gnutls_hash_fast(GNUTLS_DIG_SHA256, name.data(), name.size(), identity.fingerprint.data());
  return identity;
}

}  // namespace dots::adapters::net
