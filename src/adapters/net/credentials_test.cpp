#include "adapters/net/credentials.h"

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <fstream>
#include <iterator>

#include "adapters/net/gnutls_handles.h"
#include "tests/support/test_pki.h"

namespace dots::adapters::net {
namespace {

using test::TestPki;

class Loading : public ::testing::Test {
 protected:
  CredentialSources good() {
    const auto own = pki_.issue({.name = "own", .common_name = "own", .dns = {"own.example"}});
    return {.ca_file = pki_.ca_file(),
            .crl_file = "",
            .certificate_file = own.certificate_file,
            .key_file = own.key_file,
            .psk = {}};
  }
  base::Result<std::shared_ptr<const Credentials>, std::vector<CredentialProblem>> load(
      const CredentialSources& sources, Side side = Side::server) {
    return Credentials::load(sources, side, base::WallTime{std::chrono::system_clock::now().time_since_epoch()});
  }
  // The only problem of these sources.
  std::string problem(const CredentialSources& sources, Side side = Side::server) {
    const auto result = load(sources, side);
    if (result.ok()) return "no problem";
    EXPECT_EQ(result.error().size(), 1U);
    EXPECT_FALSE(result.error().front().remedy.empty()) << "every problem has a remedy";
    return to_string(result.error().front());
  }
  TestPki pki_;
};

TEST_F(Loading, GoodOnesAndTheirIdentity) {
  const auto result = load(good());
  ASSERT_TRUE(result.ok());
  EXPECT_EQ((*result)->own_identity().names, (std::vector<std::string>{"own.example", "own"}));
  EXPECT_EQ((*result)->own_identity().fingerprint.size(), 32U);
  EXPECT_TRUE((*result)->warnings().empty());
}

// RFC 5246 7.4.2: who trusts the root has it.
TEST_F(Loading, TheRootIsNotSent) {
  const auto sent = [&](CredentialSources sources) {
    const auto result = load(sources);
    EXPECT_TRUE(result.ok());
    gnutls_datum_t der{};
    unsigned count = 0;
    while (gnutls_certificate_get_crt_raw((*result)->handles().x509, 0, count, &der) >= 0) ++count;
    return count;
  };
  const auto text_of = [](const std::string& file) {
    std::ifstream in{file};
    return std::string{std::istreambuf_iterator<char>{in}, {}};
  };
  const auto own = pki_.issue({.name = "chained", .dns = {"own.example"}, .through_intermediate = true});
  CredentialSources sources = good();
  sources.key_file = own.key_file;
  sources.certificate_file = own.certificate_file;
  EXPECT_EQ(sent(sources), 2U);
  sources.certificate_file = pki_.dir().write("whole.crt", text_of(own.certificate_file) + text_of(pki_.ca_file()));
  EXPECT_EQ(sent(sources), 2U) << "leaf and intermediate";
  const auto self = pki_.issue({.name = "self", .dns = {"own.example"}, .self_signed = true});
  sources.key_file = self.key_file;
  sources.certificate_file = self.certificate_file;
  EXPECT_EQ(sent(sources), 1U) << "a certificate that stands alone is no root to leave out";
}

TEST_F(Loading, FilesThatAreNotThereOrHoldOtherThings) {
  CredentialSources sources = good();
  sources.ca_file = "/nowhere/ca.crt";
  EXPECT_EQ(
      problem(sources),
      "/nowhere/ca.crt: CA file cannot be read: No such file or directory; check the path and that the daemon's user "
      "may read it");
  sources = good();
  sources.certificate_file = pki_.dir().write("noise", "hello\n");
  EXPECT_NE(problem(sources).find("noise: holds no certificate in PEM form"), std::string::npos);
  sources = good();
  sources.key_file = pki_.dir().write("noise", "hello\n");
  EXPECT_NE(problem(sources).find("noise: no usable private key"), std::string::npos) << problem(sources);
  sources = good();
  sources.ca_file = pki_.dir().write("noise", "");
  EXPECT_NE(problem(sources).find("noise: holds no certificate"), std::string::npos);
  sources = good();
  sources.crl_file = pki_.dir().write("noise", "x");
  EXPECT_NE(problem(sources).find("noise: holds no revocation list"), std::string::npos);
}

TEST_F(Loading, KeyOfAnotherCertificate) {
  CredentialSources sources = good();
  sources.key_file = pki_.issue({.name = "other"}).key_file;
  EXPECT_NE(problem(sources).find("other.key: this key does not belong to the certificate"), std::string::npos);
}

TEST_F(Loading, EncryptedKeyIsNamed) {
  CredentialSources sources = good();
  gnutls_x509_privkey_t key = nullptr;
  gnutls_x509_privkey_init(&key);
  gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
  gnutls_datum_t out{};
  ASSERT_GE(gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, "secret", GNUTLS_PKCS_PBES2_AES_256, &out), 0);
  sources.key_file = pki_.dir().write("locked.key", {reinterpret_cast<const char*>(out.data), out.size});
  gnutls_free(out.data);
  gnutls_x509_privkey_deinit(key);
  EXPECT_NE(problem(sources).find("locked.key: the key is encrypted"), std::string::npos) << problem(sources);
}

TEST_F(Loading, OwnCertificateMustBeValidNow) {
  CredentialSources sources = good();
  const auto expired = pki_.issue({.name = "expired", .dns = {"a.example"}, .not_before_s = -7200, .not_after_s = -60});
  sources.certificate_file = expired.certificate_file;
  sources.key_file = expired.key_file;
  EXPECT_NE(problem(sources).find("expired.crt: our certificate expired on 20"), std::string::npos) << problem(sources);
  EXPECT_NE(problem(sources).find("renew the certificate"), std::string::npos);
  const auto early = pki_.issue({.name = "early", .dns = {"a.example"}, .not_before_s = 7200});
  sources.certificate_file = early.certificate_file;
  sources.key_file = early.key_file;
  EXPECT_NE(problem(sources).find("early.crt: our certificate is not valid before 20"), std::string::npos);
}

TEST_F(Loading, RevocationListOfAnotherAuthority) {
  TestPki foreign{"Foreign CA"};
  CredentialSources sources = good();
  sources.crl_file = foreign.revoke({});
  EXPECT_NE(problem(sources).find("revocation list is not signed by a CA of"), std::string::npos) << problem(sources);
  TestPki same_name;
  sources.crl_file = same_name.revoke({});
  EXPECT_NE(problem(sources).find("not signed by a CA of"), std::string::npos) << "the name alone proves nothing";
  sources.crl_file = pki_.revoke({});
  EXPECT_TRUE(load(sources).ok());
  sources.crl_file = pki_.revoke({}, "old.crl", -60);
  const auto old = load(sources);
  ASSERT_TRUE(old.ok());
  ASSERT_EQ((*old)->warnings().size(), 1U);
  EXPECT_NE((*old)->warnings()[0].find("a newer revocation list was due on"), std::string::npos);
}

TEST_F(Loading, CertificatesInTheWrongOrder) {
  CredentialSources sources = good();
  const auto chained = pki_.issue({.name = "chained", .dns = {"a.example"}, .through_intermediate = true});
  std::ifstream in{chained.certificate_file};
  const std::string text{std::istreambuf_iterator<char>{in}, {}};
  const std::size_t second = text.find("-----BEGIN", 1);
  sources.certificate_file = pki_.dir().write("turned.crt", text.substr(second) + text.substr(0, second));
  sources.key_file = chained.key_file;
  EXPECT_NE(problem(sources).find("turned.crt: the certificates are not in order"), std::string::npos)
      << problem(sources);
}

// S9132-8-01: nobody starts without something to prove itself with and something to check the other side with.
TEST_F(Loading, HalfOfTheCredentialsIsNotEnough) {
  EXPECT_NE(problem({}).find("there are no credentials"), std::string::npos);
  CredentialSources sources = good();
  sources.ca_file.clear();
  EXPECT_NE(problem(sources).find("ca_file is missing"), std::string::npos);
  sources = good();
  sources.key_file.clear();
  EXPECT_NE(problem(sources).find("key_file is missing"), std::string::npos);
  sources = good();
  sources.certificate_file.clear();
  EXPECT_NE(problem(sources, Side::client).find("certificate_file is missing"), std::string::npos);
}

TEST_F(Loading, PskTable) {
  CredentialSources sources;
  sources.psk = {{"home", base::Bytes(16, 1)}};
  EXPECT_TRUE(load(sources).ok());
  const auto client = load(sources, Side::client);
  ASSERT_TRUE(client.ok());
  EXPECT_EQ((*client)->own_identity().names, std::vector<std::string>{"home"});
  EXPECT_EQ((*client)->own_identity().kind, model::CredentialKind::psk);
  sources.psk.push_back({"home", base::Bytes(16, 2)});
  EXPECT_NE(problem(sources).find("PSK identity 'home' stands twice"), std::string::npos);
  sources.psk = {{"home", base::Bytes(15, 1)}};
  EXPECT_NE(problem(sources).find("the key of PSK identity 'home' has 15 bytes"), std::string::npos);
  sources.psk = {{std::string(129, 'x'), base::Bytes(16, 1)}};
  EXPECT_NE(problem(sources).find("has 129 bytes"), std::string::npos);
  sources.psk = {{"a", base::Bytes(16, 1)}, {"b", base::Bytes(16, 1)}};
  EXPECT_NE(problem(sources, Side::client).find("a client uses one PSK identity"), std::string::npos);
}

// S9132-4.4.1.1-04, S9132-B-01: half of the SHA-256 of the public key as it stands in the certificate (DER
// SubjectPublicKeyInfo), or of the PSK identity; the same each time.
TEST_F(Loading, TheDefaultCuidIsMadeOfTheCredentials) {
  const CredentialSources sources = good();
  const auto cuid = [](const auto& credentials) { return model::default_cuid((*credentials)->own_identity()); };
  gnutls_pubkey_t key = nullptr;
  gnutls_x509_privkey_t secret = nullptr;
  gnutls_privkey_t any = nullptr;
  gnutls_datum_t pem{}, der{};
  ASSERT_GE(gnutls_load_file(sources.key_file.c_str(), &pem), 0);
  gnutls_x509_privkey_init(&secret);
  ASSERT_GE(gnutls_x509_privkey_import(secret, &pem, GNUTLS_X509_FMT_PEM), 0);
  gnutls_privkey_init(&any);
  gnutls_pubkey_init(&key);
  ASSERT_GE(gnutls_privkey_import_x509(any, secret, GNUTLS_PRIVKEY_IMPORT_COPY), 0);
  ASSERT_GE(gnutls_pubkey_import_privkey(key, any, 0, 0), 0);
  ASSERT_GE(gnutls_pubkey_export2(key, GNUTLS_X509_FMT_DER, &der), 0);
  base::Bytes digest(32);
  ASSERT_GE(gnutls_hash_fast(GNUTLS_DIG_SHA256, der.data, der.size, digest.data()), 0);
  gnutls_free(pem.data);
  gnutls_free(der.data);
  gnutls_pubkey_deinit(key);
  gnutls_privkey_deinit(any);
  gnutls_x509_privkey_deinit(secret);
  digest.resize(16);
  EXPECT_EQ(cuid(load(sources, Side::client)), base::to_base64url(digest));
  EXPECT_EQ(cuid(load(sources, Side::client)), base::to_base64url(digest));
  CredentialSources home;
  home.psk = {{"home", base::Bytes(16, 1)}};
  EXPECT_EQ(cuid(load(home, Side::client)), "TqFAWIFQdzzjqs54au739A");
}

TEST_F(Loading, AllProblemsAtOnce) {
  CredentialSources sources = good();
  sources.ca_file = "/nowhere/ca";
  sources.key_file = "/nowhere/key";
  sources.psk = {{"", {}}};
  const auto result = load(sources);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().size(), 4U);
}

// S9132-7.1-05
TEST_F(Loading, ServerNamesAreLinted) {
  const auto warning = [&](const test::IssueOptions& options, Side side) -> std::string {
    CredentialSources sources = good();
    const auto own = pki_.issue(options);
    sources.certificate_file = own.certificate_file;
    sources.key_file = own.key_file;
    const auto result = load(sources, side);
    if (!result.ok()) return "problem";
    return (*result)->warnings().empty() ? "" : (*result)->warnings().front();
  };
  EXPECT_NE(warning({.name = "a", .common_name = "cn.example"}, Side::server).find("no DNS name"), std::string::npos);
  EXPECT_NE(warning({.name = "b", .dns = {"*.example"}}, Side::server).find("wildcard"), std::string::npos);
  EXPECT_EQ(warning({.name = "c", .common_name = "cn.example"}, Side::client), "");
  EXPECT_NE(warning({.name = "d", .dns = {"x.example"}, .not_after_s = 86400}, Side::server).find("expires on"),
            std::string::npos);
}

// S8811-5-02
TEST_F(Loading, KeyThatEverybodyMayRead) {
  const CredentialSources sources = good();
  ::chmod(sources.key_file.c_str(), 0644);
  const auto open = load(sources);
  ASSERT_TRUE(open.ok());
  ASSERT_EQ((*open)->warnings().size(), 1U);
  EXPECT_NE((*open)->warnings()[0].find("chmod o="), std::string::npos);
  ::chmod(sources.key_file.c_str(), 0640);
  EXPECT_TRUE((*load(sources))->warnings().empty());
}

}  // namespace
}  // namespace dots::adapters::net
