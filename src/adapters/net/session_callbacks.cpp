// What GnuTLS asks during a handshake: is this certificate good, which key belongs to this identity.
#include <gnutls/crypto.h>

#include <algorithm>
#include <array>

#include "adapters/net/gnutls_handles.h"
#include "adapters/net/priorities.h"

namespace dots::adapters::net {
namespace {

std::string why_refused(unsigned status, const std::string& server_name) {
  if ((status & GNUTLS_CERT_REVOKED) != 0) return "its certificate is revoked";
  if ((status & GNUTLS_CERT_EXPIRED) != 0) return "its certificate chain has expired";
  if ((status & GNUTLS_CERT_NOT_ACTIVATED) != 0) return "its certificate chain is not valid yet; check the clocks";
  if ((status & GNUTLS_CERT_SIGNER_NOT_FOUND) != 0) return "its certificate is not issued by a CA of ca_file";
  if ((status & GNUTLS_CERT_SIGNER_NOT_CA) != 0) return "its certificate is signed by a certificate that is no CA";
  if ((status & GNUTLS_CERT_INSECURE_ALGORITHM) != 0) return "its certificate chain uses an insecure algorithm or key";
  if ((status & GNUTLS_CERT_UNEXPECTED_OWNER) != 0) return "its certificate is not for the name '" + server_name + "'";
  if ((status & GNUTLS_CERT_PURPOSE_MISMATCH) != 0)
    return "its certificate is not for this purpose (extended key usage)";
  gnutls_datum_t text{};
  if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0) < 0)
    return "its certificate is bad";
  std::string out{reinterpret_cast<const char*>(text.data), text.size};
  gnutls_free(text.data);
  return out;
}

constexpr char kNotThePinnedKey[] = "it shows a certificate, and its raw public key is configured";

// RFC 5280 path with expiry and revocation; for a server also RFC 6125: DNS-IDs, the CN only without any DNS-ID, never
// a URI-ID, no wildcards (the flag below).
int verify_peer(gnutls_session_t session) {
  auto& context = *static_cast<SessionContext*>(gnutls_session_get_ptr(session));
  const bool client = context.credentials->side == Side::client;
  if (shows_raw_key(session)) {
    const auto refused = why_raw_key_refused(session, *context.credentials, context.server_name);
    if (refused) context.refusal = *refused;
    return refused ? GNUTLS_E_CERTIFICATE_ERROR : 0;
  }
  if (is_pinned(*context.credentials, context.server_name)) {
    context.refusal = kNotThePinnedKey;
    return GNUTLS_E_CERTIFICATE_ERROR;
  }
  std::string purpose = client ? GNUTLS_KP_TLS_WWW_SERVER : GNUTLS_KP_TLS_WWW_CLIENT;
  std::array<gnutls_typed_vdata_st, 2> wanted{};
  wanted[0] = {GNUTLS_DT_KEY_PURPOSE_OID, reinterpret_cast<unsigned char*>(purpose.data()), 0};
  wanted[1] = {GNUTLS_DT_DNS_HOSTNAME, reinterpret_cast<unsigned char*>(context.server_name.data()), 0};
  unsigned status = 0;
  const int code = gnutls_certificate_verify_peers(session, wanted.data(), client ? 2 : 1, &status);
  if (code < 0) {
    context.refusal = std::string{"its certificate cannot be verified: "} + gnutls_strerror(code);
  } else if (status != 0) {
    context.refusal = why_refused(status, context.server_name);
  } else {
    return 0;
  }
  return GNUTLS_E_CERTIFICATE_ERROR;
}

// An unknown identity gets a key that nobody has: it then fails where a wrong key fails, and takes as long.
int find_psk(gnutls_session_t session, const gnutls_datum_t* username, gnutls_datum_t* key) {
  auto& context = *static_cast<SessionContext*>(gnutls_session_get_ptr(session));
  const Credentials::Handles& handles = *context.credentials;
  std::array<std::uint8_t, 32> decoy{};
  gnutls_hmac_fast(GNUTLS_MAC_SHA256, handles.decoy_secret.data(), handles.decoy_secret.size(), username->data,
                   username->size, decoy.data());
  const std::string_view identity{reinterpret_cast<const char*>(username->data), username->size};
  const auto found = handles.psk_keys.find(identity);
  base::ByteView chosen{decoy};
  if (found != handles.psk_keys.end()) {
    chosen = found->second;
  } else {
    context.unknown_psk_identity = identity.substr(0, 64);
    std::ranges::replace_if(
        context.unknown_psk_identity, [](char c) { return c < 0x20 || c > 0x7e; }, '?');
  }
  key->data = static_cast<unsigned char*>(gnutls_malloc(chosen.size()));
  if (key->data == nullptr) return -1;
  std::ranges::copy(chosen, key->data);
  key->size = static_cast<unsigned>(chosen.size());
  return 0;
}

gnutls_datum_t datum(base::ByteView bytes) {
  return {const_cast<unsigned char*>(bytes.data()), static_cast<unsigned>(bytes.size())};
}

}  // namespace

bool check_resumed_peer(gnutls_session_t session) {
  auto& context = *static_cast<SessionContext*>(gnutls_session_get_ptr(session));
  const bool client = context.credentials->side == Side::client;
  const auto type = client ? gnutls_auth_server_get_type(session) : gnutls_auth_client_get_type(session);
  if (type == GNUTLS_CRD_CERTIFICATE) return verify_peer(session) == 0;
  if (type != GNUTLS_CRD_PSK) {
    context.refusal = "the resumed session belongs to nobody";
    return false;
  }
  if (client) return context.credentials->psk_client != nullptr;
  gnutls_datum_t name{};
  const bool named = gnutls_psk_server_get_username2(session, &name) >= 0 && name.data != nullptr;
  const std::string_view identity{reinterpret_cast<const char*>(name.data), named ? name.size : 0};
  if (named && context.credentials->psk_keys.contains(identity)) return true;
  context.refusal = "the PSK identity of the resumed session is no longer known";
  return false;
}

namespace {

// The peer's chain as certificates; released with it.
struct PeerChain {
  explicit PeerChain(gnutls_session_t session) {
    unsigned count = 0;
    const gnutls_datum_t* raw = gnutls_certificate_get_peers(session, &count);
    for (unsigned i = 0; raw != nullptr && i < count; ++i) {
      gnutls_x509_crt_t one = nullptr;
      if (gnutls_x509_crt_init(&one) < 0) break;
      items.push_back(one);
      if (gnutls_x509_crt_import(one, &raw[i], GNUTLS_X509_FMT_DER) < 0) return;
    }
    complete = count > 0 && items.size() == count;
  }
  PeerChain(const PeerChain&) = delete;
  PeerChain& operator=(const PeerChain&) = delete;
  ~PeerChain() {
    for (auto* one : items) gnutls_x509_crt_deinit(one);
  }
  std::vector<gnutls_x509_crt_t> items;
  bool complete = false;
};

}  // namespace

std::optional<std::string> why_refused_now(gnutls_session_t session, const Credentials::Handles& proven,
                                           const Credentials::Handles& trusted, const std::string& server_name) {
  const bool client = trusted.side == Side::client;
  const auto type = client ? gnutls_auth_server_get_type(session) : gnutls_auth_client_get_type(session);
  if (type == GNUTLS_CRD_PSK) {
    if (client) return std::nullopt;
    gnutls_datum_t name{};
    const bool named = gnutls_psk_server_get_username2(session, &name) >= 0 && name.data != nullptr;
    const std::string_view identity{reinterpret_cast<const char*>(name.data), named ? name.size : 0};
    const auto key = trusted.psk_keys.find(identity);
    if (!named || key == trusted.psk_keys.end()) return "its PSK identity is no longer known";
    const auto old = proven.psk_keys.find(identity);
    if (old == proven.psk_keys.end() || old->second != key->second) return "its pre-shared key has been replaced";
    return std::nullopt;
  }
  if (shows_raw_key(session)) return why_raw_key_refused(session, trusted, server_name);
  if (is_pinned(trusted, server_name)) return kNotThePinnedKey;
  const PeerChain chain{session};
  gnutls_x509_trust_list_t list = nullptr;
  if (trusted.x509 != nullptr) gnutls_certificate_get_trust_list(trusted.x509, &list);
  if (!chain.complete || list == nullptr) return "certificates are no longer accepted";
  std::string purpose = client ? GNUTLS_KP_TLS_WWW_SERVER : GNUTLS_KP_TLS_WWW_CLIENT;
  std::string name = server_name;
  std::array<gnutls_typed_vdata_st, 2> wanted{};
  wanted[0] = {GNUTLS_DT_KEY_PURPOSE_OID, reinterpret_cast<unsigned char*>(purpose.data()), 0};
  wanted[1] = {GNUTLS_DT_DNS_HOSTNAME, reinterpret_cast<unsigned char*>(name.data()), 0};
  unsigned status = 0;
  std::vector<gnutls_x509_crt_t> items = chain.items;
  const int code =
      gnutls_x509_trust_list_verify_crt2(list, items.data(), static_cast<unsigned>(items.size()), wanted.data(),
                                         client ? 2 : 1, GNUTLS_VERIFY_DO_NOT_ALLOW_WILDCARDS, &status, nullptr);
  if (code < 0) return std::string{"its certificate cannot be verified: "} + gnutls_strerror(code);
  if (status != 0) return why_refused(status, server_name);
  return std::nullopt;
}

std::int64_t chain_expires_unix_s(gnutls_session_t session) {
  std::int64_t end = INT64_MAX;
  for (auto* one : PeerChain{session}.items) {
    end = std::min<std::int64_t>(end, gnutls_x509_crt_get_expiration_time(one));
  }
  return end;
}

std::span<const gnutls_datum_t> peer_chain(gnutls_session_t session) {
  unsigned count = 0;
  const gnutls_datum_t* chain = gnutls_certificate_get_peers(session, &count);
  if (chain == nullptr || shows_raw_key(session)) return {};
  return {chain, count};
}

std::optional<ChainVerdicts::Key> chain_key(std::span<const gnutls_datum_t> chain, const std::string& server_name) {
  if (chain.empty()) return std::nullopt;
  ChainVerdicts::Key key{};
  gnutls_hash_hd_t hash = nullptr;
  if (gnutls_hash_init(&hash, GNUTLS_DIG_SHA256) < 0) return std::nullopt;
  const auto add = [hash](const void* data, std::uint32_t size) {
    return gnutls_hash(hash, &size, sizeof size) >= 0 && gnutls_hash(hash, data, size) >= 0;
  };
  bool added = add(server_name.data(), static_cast<std::uint32_t>(server_name.size()));
  for (const gnutls_datum_t& one : chain) added = add(one.data, one.size) && added;
  gnutls_hash_deinit(hash, key.data());
  if (!added) return std::nullopt;
  return key;
}

std::int64_t trust_ends_unix_s(const Credentials::Handles& handles, base::WallTime now) {
  std::int64_t first = INT64_MAX;
  for (const std::int64_t end : handles.anchor_ends_unix_s) {
    if (end >= static_cast<std::int64_t>(base::unix_seconds(now))) first = std::min(first, end);
  }
  return first;
}

std::string ticket_cache_key(const Credentials::Handles& handles, const std::string& server_name, bool datagram) {
  return server_name + (datagram ? " dtls " : " tls ") + base::to_hex(handles.own.fingerprint);
}

std::optional<std::string> install_callbacks(Credentials::Handles& handles, const std::vector<Psk>& psk) {
  const std::string types = certificate_types(handles, false), pinned = certificate_types(handles, true);
  const char* error_at = nullptr;
  const auto set = [&](gnutls_priority_t& priority, const std::string& list) {
    return gnutls_priority_init(&priority, list.c_str(), &error_at) >= 0;
  };
  // GnuTLS copies the list, and `error_at` is a place in it.
  const std::string lists[] = {kPriorities + types, kStreamPriorities + types, kPriorities + pinned,
                               kStreamPriorities + pinned};
  if (!set(handles.usual.datagram, lists[0]) || !set(handles.usual.stream, lists[1]) ||
      !set(handles.pinned.datagram, lists[2]) || !set(handles.pinned.stream, lists[3])) {
    return std::string{"the TLS library refuses the cipher list at '"} + (error_at != nullptr ? error_at : "") + "'";
  }
  if (handles.x509 != nullptr) {
    gnutls_certificate_set_verify_function(handles.x509, verify_peer);
    gnutls_certificate_set_verify_flags(handles.x509, GNUTLS_VERIFY_DO_NOT_ALLOW_WILDCARDS);
  }
  if (psk.empty()) return std::nullopt;
  if (handles.side == Side::server) {
    handles.decoy_secret.resize(32);
    if (gnutls_rnd(GNUTLS_RND_KEY, handles.decoy_secret.data(), handles.decoy_secret.size()) < 0) {
      return "no random numbers";
    }
    for (const Psk& entry : psk) handles.psk_keys.emplace(entry.identity, entry.key);
    if (gnutls_psk_allocate_server_credentials(&handles.psk_server) < 0) return "no memory";
    gnutls_psk_set_server_credentials_function2(handles.psk_server, find_psk);
    gnutls_psk_set_server_known_dh_params(handles.psk_server, GNUTLS_SEC_PARAM_MEDIUM);
    return std::nullopt;
  }
  if (gnutls_psk_allocate_client_credentials(&handles.psk_client) < 0) return "no memory";
  const gnutls_datum_t identity = datum(base::as_bytes(psk[0].identity));
  const gnutls_datum_t key = datum(psk[0].key);
  if (gnutls_psk_set_client_credentials2(handles.psk_client, &identity, &key, GNUTLS_PSK_KEY_RAW) < 0) {
    return "the PSK is refused by the TLS library";
  }
  handles.own = identity_of_psk(psk[0].identity);
  return std::nullopt;
}

}  // namespace dots::adapters::net
