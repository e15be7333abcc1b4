// Raw public keys (RFC 7250): ours as one, and whose are taken.
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>

#include "adapters/net/gnutls_handles.h"
#include "adapters/net/priorities.h"

namespace dots::adapters::net {
namespace {

// Objects of GnuTLS on the way from a private key to its public half.
struct Halves {
  Halves() = default;
  Halves(const Halves&) = delete;
  Halves& operator=(const Halves&) = delete;
  ~Halves() {
    if (open != nullptr) gnutls_pubkey_deinit(open);
    if (secret != nullptr) gnutls_privkey_deinit(secret);
    gnutls_free(der.data);
    gnutls_free(pem.data);
  }
  gnutls_privkey_t secret = nullptr;
  gnutls_pubkey_t open = nullptr;
  gnutls_datum_t der{}, pem{};
};

}  // namespace

model::PeerIdentity identity_of_raw_key(const gnutls_datum_t& spki) {
  model::PeerIdentity identity;
  identity.kind = model::CredentialKind::raw_public_key;
  identity.fingerprint.resize(32);
  gnutls_hash_fast(GNUTLS_DIG_SHA256, spki.data, spki.size, identity.fingerprint.data());
  return identity;
}

std::optional<std::string> add_raw_key(Credentials::Handles& handles, const base::Bytes& key_pem) {
  const gnutls_datum_t pem{const_cast<unsigned char*>(key_pem.data()), static_cast<unsigned>(key_pem.size())};
  Halves key;
  int code = gnutls_privkey_init(&key.secret);
  if (code >= 0) code = gnutls_privkey_import_x509_raw(key.secret, &pem, GNUTLS_X509_FMT_PEM, nullptr, 0);
  if (code >= 0) code = gnutls_pubkey_init(&key.open);
  if (code >= 0) code = gnutls_pubkey_import_privkey(key.open, key.secret, GNUTLS_KEY_DIGITAL_SIGNATURE, 0);
  if (code >= 0) code = gnutls_pubkey_export2(key.open, GNUTLS_X509_FMT_DER, &key.der);
  if (code >= 0) code = gnutls_pubkey_export2(key.open, GNUTLS_X509_FMT_PEM, &key.pem);
  if (code >= 0) {
    code = gnutls_certificate_set_rawpk_key_mem(handles.x509, &key.pem, &pem, GNUTLS_X509_FMT_PEM, nullptr,
                                                GNUTLS_KEY_DIGITAL_SIGNATURE, nullptr, 0, 0);
  }
  if (code < 0) return std::string{"no usable private key in PEM form: "} + gnutls_strerror(code);
  handles.raw_key = true;
  if (!handles.certificate) handles.own = identity_of_raw_key(key.der);
  return std::nullopt;
}

bool shows_raw_key(gnutls_session_t session) {
  return gnutls_certificate_type_get2(session, GNUTLS_CTYPE_PEERS) == GNUTLS_CRT_RAWPK;
}

std::optional<std::string> why_raw_key_refused(gnutls_session_t session, const Credentials::Handles& trusted,
                                               const std::string& server_name) {
  const auto keys = trusted.peer_keys.find(server_name);
  unsigned count = 0;
  const gnutls_datum_t* raw = gnutls_certificate_get_peers(session, &count);
  if (raw == nullptr || count != 1) return "it presented no raw public key";
  const base::Bytes fingerprint = identity_of_raw_key(raw[0]).fingerprint;
  if (keys != trusted.peer_keys.end() && keys->second.contains(fingerprint)) return std::nullopt;
  return "its raw public key " + base::to_hex(fingerprint) + " is not configured";
}

bool is_pinned(const Credentials::Handles& handles, const std::string& server_name) {
  return handles.side == Side::client && handles.peer_keys.contains(server_name);
}

std::string certificate_types(const Credentials::Handles& handles, bool with_pinned_server) {
  if (!handles.raw_key) return kCertificates;
  const auto types = [](const std::string& who, bool certificate, bool raw) {
    return (certificate ? "+CTYPE-" + who + "-X509" : "") + (certificate && raw ? ":" : "") +
           (raw ? "+CTYPE-" + who + "-RAWPK" : "");
  };
  if (handles.side == Side::client) {
    return ":" + types("CLI", handles.certificate, !handles.certificate) + ":" +
           types("SRV", !with_pinned_server, with_pinned_server);
  }
  return ":" + types("CLI", handles.anchors, true) + ":" + types("SRV", handles.certificate, true);
}

}  // namespace dots::adapters::net
