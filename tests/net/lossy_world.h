// A real client and the real tables of a server with real DTLS between them, under virtual time: a path that delays and
// loses, thousands of handshakes in seconds. What is left out is sockets, threads and the machine's own delays.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "adapters/net/dtls_admission.h"
#include "adapters/net/dtls_channel.h"
#include "agent/client/upstream.h"
#include "agent/peers/admission_table.h"
#include "agent/peers/session_table.h"
#include "tests/support/test_pki.h"

namespace dots::test {

enum class Proof : std::uint8_t { x509, x509_rsa, psk, raw_key, resumed };
const char* to_string(Proof proof);
inline constexpr Proof kProofs[] = {Proof::x509, Proof::x509_rsa, Proof::psk, Proof::raw_key, Proof::resumed};

// Credentials of both sides for each proof; the chains hold an intermediate authority.
class Proofs {
 public:
  Proofs();
  struct Both {
    std::shared_ptr<const adapters::net::Credentials> client, server;
  };
  const Both& of(Proof proof) const { return all_.at(proof); }

 private:
  TestPki pki_, rsa_pki_{"RSA", 2048};
  std::map<Proof, Both> all_;
};

struct PathSettings {
  double loss = 0;  // each way
  base::Duration one_way = std::chrono::milliseconds{25};
};

struct Outcome {
  std::optional<base::Duration> took;  // until both sides have the session; nothing: not within the patience
  std::size_t sent_by_client = 0, sent_by_server = 0;  // datagrams until then
  std::size_t bytes_by_client = 0, bytes_by_server = 0;
  std::size_t most_in_a_second = 0;  // datagrams of the client
  std::size_t handshakes = 0;        // of the client, each from a port of its own
};

struct TrialSettings {
  Proof proof = Proof::psk;
  PathSettings path;
  adapters::net::FlightPace client_pace, server_pace;
  base::Duration server_patience = std::chrono::seconds{30};  // with one handshake
  base::Duration patience = std::chrono::seconds{300};
  bool under_attack = true;  // a mitigation is wanted
};

// REQUIRES: one at a time in a process; the clock of its handshakes is one for all.
Outcome connect_under_loss(const Proofs& proofs, const TrialSettings& settings, std::uint64_t seed);

}  // namespace dots::test
