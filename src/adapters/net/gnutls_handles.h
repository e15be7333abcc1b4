// GnuTLS objects of this room; not for other rooms.
#pragma once

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "adapters/net/chain_verdicts.h"
#include "adapters/net/credentials.h"
#include "adapters/net/ticket_keys.h"
#include "model/peer.h"

namespace dots::adapters::net {

struct Credentials::Handles {
  Handles() = default;
  Handles(const Handles&) = delete;
  Handles& operator=(const Handles&) = delete;
  ~Handles() {
    if (x509 != nullptr) gnutls_certificate_free_credentials(x509);
    if (psk_server != nullptr) gnutls_psk_free_server_credentials(psk_server);
    if (psk_client != nullptr) gnutls_psk_free_client_credentials(psk_client);
    for (auto* priority : {usual.datagram, usual.stream, pinned.datagram, pinned.stream}) {
      if (priority != nullptr) gnutls_priority_deinit(priority);
    }
  }

  Side side = Side::server;
  gnutls_certificate_credentials_t x509 = nullptr;
  gnutls_psk_server_credentials_t psk_server = nullptr;
  gnutls_psk_client_credentials_t psk_client = nullptr;
  struct Priorities {
    gnutls_priority_t datagram = nullptr;  // DTLS
    gnutls_priority_t stream = nullptr;    // TLS
  };
  Priorities usual;
  Priorities pinned;                                           // client: with a server whose raw public key we know
  std::map<std::string, base::Bytes, std::less<>> psk_keys;    // server
  base::Bytes decoy_secret;                                    // keys for identities that nobody has
  bool certificate = false, anchors = false, raw_key = false;  // what we can show and check
  std::map<std::string, std::set<base::Bytes>, std::less<>> peer_keys;  // raw public keys by server name
  std::vector<std::int64_t> anchor_ends_unix_s;                         // when each authority expires
  mutable ChainVerdicts verdicts;                                       // guards itself
  model::PeerIdentity own;
  std::vector<std::string> warnings;
};

// What the callbacks of one session know; the session's user pointer.
struct SessionContext {
  const Credentials::Handles* credentials = nullptr;
  std::string server_name;                         // client: who we want to talk to
  std::string refusal;                             // why the peer's credentials were refused
  std::string unknown_psk_identity;                // server: the identity that nobody has
  std::shared_ptr<const TicketKeys::Set> tickets;  // server: while the handshake runs; empty without resumption
  bool datagram = true;                            // DTLS, not TLS
};

// Our private key as a raw public key, beside a certificate or alone. Returns what failed.
std::optional<std::string> add_raw_key(Credentials::Handles& handles, const base::Bytes& key_pem);
bool shows_raw_key(gnutls_session_t session);  // the peer
// Why the raw public key of the peer is not taken under `trusted`.
std::optional<std::string> why_raw_key_refused(gnutls_session_t session, const Credentials::Handles& trusted,
                                               const std::string& server_name);
// Client: the server of this name may prove a raw public key and nothing else.
bool is_pinned(const Credentials::Handles& handles, const std::string& server_name);
// The kinds of certificates that we show and take, as a part of a priority string.
std::string certificate_types(const Credentials::Handles& handles, bool with_pinned_server);

// Sets priorities, the check of the peer's certificate, and PSK look-up. Returns what failed.
std::optional<std::string> install_callbacks(Credentials::Handles& handles, const std::vector<Psk>& psk);

// The checks of a full handshake for a session that was resumed, where the TLS library makes none: path, dates,
// revocation and name of the peer's certificate, which the ticket carries, or that its PSK identity is still known.
// False: SessionContext::refusal says why.
bool check_resumed_peer(gnutls_session_t session);

// The same for a session that runs, against what is trusted now. `proven` is what it was opened with: a pre-shared key
// that was replaced proves nothing any more.
std::optional<std::string> why_refused_now(gnutls_session_t session, const Credentials::Handles& proven,
                                           const Credentials::Handles& trusted, const std::string& server_name);
// When the first certificate of the peer's chain expires; INT64_MAX without certificates.
std::int64_t chain_expires_unix_s(gnutls_session_t session);

// Names what was verified in Credentials::Handles::verdicts; nothing for an empty chain.
std::optional<ChainVerdicts::Key> chain_key(std::span<const gnutls_datum_t> chain, const std::string& server_name);
// The certificates that the peer showed, also of a resumed session; empty where it proved itself in another way.
std::span<const gnutls_datum_t> peer_chain(gnutls_session_t session);
// When the next of the authorities expires that have not yet; INT64_MAX for never.
std::int64_t trust_ends_unix_s(const Credentials::Handles& handles, base::WallTime now);

// Whose tickets a client may offer: server, transport and what it proves itself with.
std::string ticket_cache_key(const Credentials::Handles& handles, const std::string& server_name, bool datagram);

// Names (DNS SANs in lower case, URI and e-mail SANs, CN), SHA-256 of the SPKI, expiry.
model::PeerIdentity identity_of(gnutls_x509_crt_t certificate);
model::PeerIdentity identity_of_psk(const std::string& identity);
model::PeerIdentity identity_of_raw_key(const gnutls_datum_t& spki);

}  // namespace dots::adapters::net
