// What a peer of another make may and may not negotiate with our server: a plain GnuTLS client against it.
#include <gnutls/dtls.h>

#include "adapters/net/priorities.h"
#include "tests/support/dtls_fixture.h"

namespace dots::adapters::net {
namespace {

// A plain GnuTLS client over a DtlsPair's server end, with its own priorities.
class PlainClient {
 public:
  PlainClient(DtlsPair& pair, const char* priorities, const test::IssuedCertificate* own = nullptr) : pair_(pair) {
    gnutls_certificate_allocate_credentials(&x509_);
    if (own != nullptr) {
      gnutls_certificate_set_x509_key_file(x509_, own->certificate_file.c_str(), own->key_file.c_str(),
                                           GNUTLS_X509_FMT_PEM);
    }
    gnutls_psk_allocate_client_credentials(&psk_);
    const gnutls_datum_t key{const_cast<unsigned char*>(kKey.data()), static_cast<unsigned>(kKey.size())};
    gnutls_psk_set_client_credentials(psk_, "home", &key, GNUTLS_PSK_KEY_RAW);
    gnutls_init(&session, GNUTLS_CLIENT | GNUTLS_DATAGRAM | GNUTLS_NONBLOCK);
    test::must(gnutls_priority_set_direct(session, priorities, nullptr), "priorities");
    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, x509_);
    gnutls_credentials_set(session, GNUTLS_CRD_PSK, psk_);
    gnutls_transport_set_ptr(session, this);
    gnutls_transport_set_push_function(session, [](gnutls_transport_ptr_t self, const void* data, std::size_t size) {
      const auto* bytes = static_cast<const std::uint8_t*>(data);
      auto& me = *static_cast<PlainClient*>(self);
      me.sent.emplace_back(bytes, bytes + size);
      me.pair_.server.inbox.push_back(me.sent.back());
      return static_cast<ssize_t>(size);
    });
    gnutls_transport_set_pull_function(session, [](gnutls_transport_ptr_t self, void* data, std::size_t size) {
      auto& me = *static_cast<PlainClient*>(self);
      auto& inbox = me.pair_.client.inbox;
      if (inbox.empty()) {
        gnutls_transport_set_errno(me.session, EAGAIN);
        return ssize_t{-1};
      }
      const std::size_t count = std::min(size, inbox.front().size());
      std::copy_n(inbox.front().begin(), count, static_cast<std::uint8_t*>(data));
      inbox.pop_front();
      return static_cast<ssize_t>(count);
    });
    gnutls_transport_set_pull_timeout_function(session, [](gnutls_transport_ptr_t self, unsigned) {
      return static_cast<PlainClient*>(self)->pair_.client.inbox.empty() ? 0 : 1;
    });
    gnutls_dtls_set_timeouts(session, 20, 2000);
  }
  PlainClient(const PlainClient&) = delete;
  PlainClient& operator=(const PlainClient&) = delete;
  ~PlainClient() {
    gnutls_deinit(session);
    gnutls_certificate_free_credentials(x509_);
    gnutls_psk_free_client_credentials(psk_);
  }
  void to_server() {
    while (!pair_.server.inbox.empty()) {
      const base::Bytes datagram = std::move(pair_.server.inbox.front());
      pair_.server.inbox.pop_front();
      pair_.deliver_to_server(datagram);
    }
  }
  int handshake() {
    int code = GNUTLS_E_AGAIN;
    for (int i = 0; i < 40 && gnutls_error_is_fatal(code) == 0 && code != 0; ++i) {
      code = gnutls_handshake(session);
      to_server();
    }
    return code;
  }

  gnutls_session_t session = nullptr;
  std::vector<base::Bytes> sent;

 private:
  DtlsPair& pair_;
  gnutls_certificate_credentials_t x509_ = nullptr;
  gnutls_psk_client_credentials_t psk_ = nullptr;
};

// S9132-4.4-08, S9132-8-01, S8612-SEC-001-01, S8811-5-03
TEST_F(Dtls, ClientWithoutCredentialsIsRefused) {
  DtlsPair p{admission_, wall_now()};
  PlainClient client{p, "NORMAL:-VERS-ALL:+VERS-DTLS1.2"};
  EXPECT_LT(client.handshake(), 0);
  EXPECT_FALSE(p.server.opened);
  EXPECT_TRUE(p.server.closed);
  EXPECT_NE(p.server.reason.find("certificate"), std::string::npos) << p.server.reason;
}

// S9132-7.1-02, S8612-SEC-002-02
TEST_F(Dtls, Dtls10IsRefused) {
  DtlsPair p{admission_, wall_now()};
  PlainClient client{p, "NORMAL:-VERS-ALL:+VERS-DTLS1.0:%UNSAFE_RENEGOTIATION", &client_certificate()};
  EXPECT_EQ(client.handshake(), GNUTLS_E_FATAL_ALERT_RECEIVED);
  EXPECT_EQ(gnutls_alert_get(client.session), GNUTLS_A_PROTOCOL_VERSION);
  EXPECT_FALSE(p.server.opened);
  EXPECT_EQ(p.server.reason, "the peer does not speak (D)TLS 1.2 or later");
}

// S9132-7.1-01, S9132-11-01, S8612-SEC-002-01, S8612-SEC-003-01: what BCP 195 forbids or what does not authenticate its
// encryption finds no partner.
TEST_F(Dtls, WeakSuitesFindNoPartner) {
  const char* const weak[] = {
      "NORMAL:-VERS-ALL:+VERS-DTLS1.2:-CIPHER-ALL:+AES-128-CBC:+AES-256-CBC",        // no AEAD
      "NORMAL:-VERS-ALL:+VERS-DTLS1.2:-CIPHER-ALL:+NULL",                            // no encryption
      "NORMAL:-VERS-ALL:+VERS-DTLS1.2:-KX-ALL:+RSA",                                 // no forward secrecy
      "NORMAL:-VERS-ALL:+VERS-DTLS1.2:-KX-ALL:+PSK",                                 // likewise
      "NORMAL:-VERS-ALL:+VERS-DTLS1.2:-KX-ALL:+ECDHE-PSK:-CIPHER-ALL:+AES-128-CBC",  // no AEAD
      "NORMAL:-VERS-ALL:+VERS-DTLS1.2:-KX-ALL:+ANON-ECDH:+ANON-DH",                  // no authentication
  };
  for (const char* priorities : weak) {
    DtlsPair p{admission_, wall_now()};
    PlainClient client{p, priorities, &client_certificate()};
    EXPECT_LT(client.handshake(), 0) << priorities;
    EXPECT_FALSE(p.server.opened) << priorities;
  }
  const char* const good[] = {
      "NORMAL:-VERS-ALL:+VERS-DTLS1.2:-CIPHER-ALL:+AES-128-GCM",
      "NORMAL:-VERS-ALL:+VERS-DTLS1.2:-CIPHER-ALL:+CHACHA20-POLY1305",
      "NORMAL:-VERS-ALL:+VERS-DTLS1.2:-KX-ALL:+ECDHE-PSK:-CIPHER-ALL:+CHACHA20-POLY1305",
      "NORMAL:-VERS-ALL:+VERS-DTLS1.2:-KX-ALL:+DHE-PSK:-CIPHER-ALL:+AES-256-GCM",
  };
  for (const char* priorities : good) {
    DtlsPair p{admission_, wall_now()};
    PlainClient client{p, priorities, &client_certificate()};
    EXPECT_EQ(client.handshake(), 0) << priorities;
    EXPECT_TRUE(p.server.opened) << priorities;
  }
}

// S9132-7.1-01, S9132-7.1-02, S9132-11-01, S8612-SEC-002-01: the whole list, whatever certificates are in use today.
TEST(Priorities, HoldNothingButEphemeralKeysAndAead) {
  gnutls_priority_t list = nullptr;
  ASSERT_GE(gnutls_priority_init(&list, kPriorities, nullptr), 0);
  std::vector<std::string> names;
  for (unsigned i = 0;; ++i) {
    unsigned index = 0;
    const int code = gnutls_priority_get_cipher_suite_index(list, i, &index);
    if (code == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE) break;
    if (code < 0) continue;  // combinations without a code point
    gnutls_protocol_t lowest{};
    const char* name = gnutls_cipher_suite_info(index, nullptr, nullptr, nullptr, nullptr, &lowest);
    ASSERT_NE(name, nullptr);
    names.emplace_back(name);
  }
  const unsigned* protocols = nullptr;
  ASSERT_EQ(gnutls_priority_protocol_list(list, &protocols), 1);
  EXPECT_EQ(protocols[0], static_cast<unsigned>(GNUTLS_DTLS1_2));
  gnutls_priority_deinit(list);
  EXPECT_FALSE(names.empty());
  for (const auto& name : names) {
    EXPECT_TRUE(name.starts_with("TLS_ECDHE_") || name.starts_with("TLS_DHE_PSK_")) << name;
    EXPECT_TRUE(name.find("GCM") != std::string::npos || name.find("POLY1305") != std::string::npos) << name;
  }
}

TEST_F(Dtls, RenegotiationIsRefused) {
  DtlsPair p{admission_, wall_now()};
  PlainClient client{p, "NORMAL:-VERS-ALL:+VERS-DTLS1.2", &client_certificate()};
  ASSERT_EQ(client.handshake(), 0);
  ASSERT_TRUE(p.server.opened);
  int code = GNUTLS_E_AGAIN;
  for (int i = 0; i < 40 && (code == GNUTLS_E_AGAIN || code == GNUTLS_E_INTERRUPTED); ++i) {
    code = gnutls_handshake(client.session);
    client.to_server();
  }
  EXPECT_NE(code, 0);
  EXPECT_EQ(gnutls_alert_get(client.session), GNUTLS_A_NO_RENEGOTIATION);
  EXPECT_TRUE(p.server.channel->is_open()) << "refusing is no reason to end the session";
}

}  // namespace
}  // namespace dots::adapters::net
