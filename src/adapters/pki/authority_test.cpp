#include "adapters/pki/authority.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <gtest/gtest.h>

namespace dots::adapters::pki {
namespace {

using namespace std::chrono_literals;

// What GnuTLS says of a chain at a time, for a purpose; 0 is good.
class Trust {
 public:
  explicit Trust(const std::string& ca_pem) {
    gnutls_x509_trust_list_init(&list_, 0);
    const gnutls_datum_t pem = datum(ca_pem);
    EXPECT_EQ(gnutls_x509_trust_list_add_trust_mem(list_, &pem, nullptr, GNUTLS_X509_FMT_PEM, 0, 0), 1);
  }
  Trust(const Trust&) = delete;
  Trust& operator=(const Trust&) = delete;
  ~Trust() { gnutls_x509_trust_list_deinit(list_, 1); }

  unsigned verify(const std::string& pem, const char* purpose, const char* host) const {
    gnutls_x509_crt_t certificate = nullptr;
    gnutls_x509_crt_init(&certificate);
    const gnutls_datum_t data = datum(pem);
    EXPECT_EQ(gnutls_x509_crt_import(certificate, &data, GNUTLS_X509_FMT_PEM), 0);
    gnutls_typed_vdata_st wanted[2] = {
        {GNUTLS_DT_KEY_PURPOSE_OID, reinterpret_cast<unsigned char*>(const_cast<char*>(purpose)), 0},
        {GNUTLS_DT_DNS_HOSTNAME, reinterpret_cast<unsigned char*>(const_cast<char*>(host)), 0}};
    unsigned status = 0;
    EXPECT_EQ(gnutls_x509_trust_list_verify_crt2(list_, &certificate, 1, wanted, host != nullptr ? 2 : 1, 0, &status,
                                                 nullptr),
              0);
    gnutls_x509_crt_deinit(certificate);
    return status;
  }
  static gnutls_datum_t datum(const std::string& text) {
    return {reinterpret_cast<unsigned char*>(const_cast<char*>(text.data())), static_cast<unsigned>(text.size())};
  }

 private:
  gnutls_x509_trust_list_t list_ = nullptr;
};

base::WallTime today() { return base::WallTime{std::chrono::system_clock::now().time_since_epoch()}; }

TEST(Authority, IssuesWhatOthersVerify) {
  const auto authority = Authority::create("Test CA", today(), 24h);
  ASSERT_TRUE(authority.ok());
  const auto server = authority->issue(
      {"a-server", {"localhost", "a-server"}, {*model::parse_ip_address("127.0.0.1")}, true}, today(), 24h);
  const auto client = authority->issue({"a-client", {"a-client"}, {}, false}, today(), 24h);
  ASSERT_TRUE(server.ok() && client.ok());
  const Trust trust{authority->own().certificate_pem};
  EXPECT_EQ(trust.verify(server->certificate_pem, GNUTLS_KP_TLS_WWW_SERVER, "localhost"), 0u);
  EXPECT_EQ(trust.verify(server->certificate_pem, GNUTLS_KP_TLS_WWW_SERVER, "a-server"), 0u);
  EXPECT_EQ(trust.verify(server->certificate_pem, GNUTLS_KP_TLS_WWW_SERVER, "127.0.0.1"), 0u);
  EXPECT_NE(trust.verify(server->certificate_pem, GNUTLS_KP_TLS_WWW_SERVER, "elsewhere"), 0u);
  EXPECT_NE(trust.verify(server->certificate_pem, GNUTLS_KP_TLS_WWW_CLIENT, nullptr), 0u) << "a server is no client";
  EXPECT_EQ(trust.verify(client->certificate_pem, GNUTLS_KP_TLS_WWW_CLIENT, nullptr), 0u);
  EXPECT_NE(trust.verify(client->certificate_pem, GNUTLS_KP_TLS_WWW_SERVER, nullptr), 0u);

  const auto other = Authority::create("Test CA", today(), 24h);
  ASSERT_TRUE(other.ok());
  EXPECT_NE(Trust{other->own().certificate_pem}.verify(client->certificate_pem, GNUTLS_KP_TLS_WWW_CLIENT, nullptr), 0u);
}

TEST(Authority, KeysBelongToTheirCertificates) {
  const auto authority = Authority::create("Test CA", today(), 24h);
  ASSERT_TRUE(authority.ok());
  const auto pair = authority->issue({"x", {"x"}, {}, false}, today(), 24h);
  ASSERT_TRUE(pair.ok());
  gnutls_certificate_credentials_t credentials = nullptr;
  gnutls_certificate_allocate_credentials(&credentials);
  const gnutls_datum_t certificate = Trust::datum(pair->certificate_pem);
  const gnutls_datum_t key = Trust::datum(pair->key_pem);
  const gnutls_datum_t wrong = Trust::datum(authority->own().key_pem);
  EXPECT_EQ(gnutls_certificate_set_x509_key_mem(credentials, &certificate, &key, GNUTLS_X509_FMT_PEM), 0);
  EXPECT_NE(gnutls_certificate_set_x509_key_mem(credentials, &certificate, &wrong, GNUTLS_X509_FMT_PEM), 0);
  gnutls_certificate_free_credentials(credentials);
}

TEST(Authority, ExpiryIsKept) {
  const auto authority = Authority::create("Test CA", today() - 48h, 240h);
  ASSERT_TRUE(authority.ok());
  const auto old = authority->issue({"x", {"x"}, {}, false}, today() - 48h, 24h);
  ASSERT_TRUE(old.ok());
  const unsigned status =
      Trust{authority->own().certificate_pem}.verify(old->certificate_pem, GNUTLS_KP_TLS_WWW_CLIENT, nullptr);
  EXPECT_NE(status & GNUTLS_CERT_EXPIRED, 0u);
}

TEST(Authority, RandomKeysDiffer) {
  const auto one = random_key(32);
  const auto two = random_key(32);
  ASSERT_TRUE(one.ok() && two.ok());
  EXPECT_EQ(one->size(), 32u);
  EXPECT_NE(*one, *two);
}

}  // namespace
}  // namespace dots::adapters::pki
