// What may be negotiated: docs/decisions/dtls-priorities.md says why.
#pragma once

namespace dots::adapters::net {

// Which kinds of certificates, certificate_types() says.
#define DOTS_SUITES                                                                        \
  ":+COMP-NULL"                                                                            \
  ":+ECDHE-ECDSA:+ECDHE-RSA:+ECDHE-PSK:+DHE-PSK"                                           \
  ":+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:+AEAD"                                    \
  ":+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:+GROUP-FFDHE2048:+GROUP-FFDHE3072"     \
  ":+SIGN-ECDSA-SHA256:+SIGN-ECDSA-SHA384:+SIGN-EDDSA-ED25519"                             \
  ":+SIGN-RSA-PSS-RSAE-SHA256:+SIGN-RSA-PSS-RSAE-SHA384:+SIGN-RSA-SHA256:+SIGN-RSA-SHA384" \
  ":%SAFE_RENEGOTIATION:%SERVER_PRECEDENCE:%PROFILE_MEDIUM"

// Behind either list where there are no raw public keys.
inline constexpr char kCertificates[] = ":+CTYPE-X509";

// DTLS 1.2, ephemeral keys, authenticated encryption, and nothing else. ECDHE-PSK has CHACHA20-POLY1305 as its only
// AEAD in GnuTLS 3.7; DHE-PSK with AES-GCM stands beside it for peers without CHACHA20.
inline constexpr char kPriorities[] = "NONE:+VERS-DTLS1.2" DOTS_SUITES;

// The same over TCP, with TLS 1.3 beside 1.2. There PSK is psk_dhe_ke alone (RFC 8446 4.2.9), and ECDSA names its
// curve.
inline constexpr char kStreamPriorities[] =
    "NONE:+VERS-TLS1.3:+VERS-TLS1.2:+SIGN-ECDSA-SECP256R1-SHA256:+SIGN-ECDSA-SECP384R1-SHA384" DOTS_SUITES;

#undef DOTS_SUITES

}  // namespace dots::adapters::net
