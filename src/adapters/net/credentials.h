// What an agent proves itself with and whom it trusts: files and keys read once, checked, and shared unchanged by all
// sessions. A renewal loads a new object; sessions that are there keep the old one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "model/peer.h"

namespace dots::adapters::net {

enum class Side : std::uint8_t { server, client };

struct Psk {
  std::string identity;
  base::Bytes key;
};

// A raw public key (RFC 7250) that the other side may prove.
struct PeerKey {
  base::Bytes fingerprint;  // SHA-256 of the SubjectPublicKeyInfo
  std::string server_name;  // client: of this server alone, which may then prove nothing else; server: empty
};

struct CredentialSources {
  std::string ca_file;           // PEM; trust anchors for the other side
  std::string crl_file;          // PEM; optional
  std::string certificate_file;  // PEM; ours first, then the intermediates in order
  std::string key_file;          // PEM, not encrypted
  std::vector<Psk> psk;          // server: all; client: at most one, which takes the place of the certificate
  // With any of them the key of key_file is shown as a raw public key as well; a client shows it when it has no
  // certificate.
  std::vector<PeerKey> peer_keys = {};
  // Client: only the server proves itself, against ca_file, as on the web; DOTS itself never has that.
  bool anonymous = false;
};

struct CredentialProblem {
  std::string file;    // empty: not about one file
  std::string what;    // "certificate expired on 2025-01-31T00:00:00Z"
  std::string remedy;  // "renew the certificate"
};
std::string to_string(const CredentialProblem& problem);

// Immutable after load, so any number of threads may open sessions with it.
class Credentials {
 public:
  // All problems at once. `now` decides what is expired.
  static base::Result<std::shared_ptr<const Credentials>, std::vector<CredentialProblem>> load(
      const CredentialSources& sources, Side side, base::WallTime now);
  ~Credentials();
  Credentials(const Credentials&) = delete;
  Credentials& operator=(const Credentials&) = delete;

  Side side() const;
  // Who we are to the other side; model::default_cuid() takes it. A server with PSK alone, or a raw key, has no names.
  const model::PeerIdentity& own_identity() const;
  // `next` is in force from now on. Running sessions are checked against it; they keep their own side as it is.
  static void succeed(const std::shared_ptr<const Credentials>& old, const std::shared_ptr<const Credentials>& next);
  // What is in force: this one, or what took its place.
  std::shared_ptr<const Credentials> newest() const;

  // What works but should be looked at: soon expired, no DNS-ID, a key that others may read.
  const std::vector<std::string>& warnings() const;

  struct Handles;  // of the TLS library; for this room only
  const Handles& handles() const;

 private:
  Credentials();
  struct Line;  // those that followed each other; shared by all of them
  std::unique_ptr<Handles> handles_;
  std::shared_ptr<Line> line_;
};

}  // namespace dots::adapters::net
