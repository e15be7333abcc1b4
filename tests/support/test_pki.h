// Certification authorities and certificates for tests, made in process with GnuTLS (ECDSA P-256 or RSA), as PEM files.
//
//   TestPki pki;
//   auto server = pki.issue({.name = "server", .dns = {"server.example"}});
//   ... {.ca_file = pki.ca_file(), .certificate_file = server.certificate_file, .key_file = server.key_file}
#pragma once

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include <array>
#include <cstdint>
#include <ctime>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/temp_dir.h"

namespace dots::test {

inline void must(int code, const char* what) {
  if (code < 0) throw std::runtime_error{std::string{what} + ": " + gnutls_strerror(code)};
}

struct IssueOptions {
  std::string name = "leaf";     // of the files
  std::string common_name = {};  // CN; empty: none
  std::vector<std::string> dns = {};
  std::vector<std::string> uris = {};
  std::vector<std::string> emails = {};
  std::int64_t not_before_s = -3600;  // from now
  std::int64_t not_after_s = 90LL * 24 * 3600;
  bool self_signed = false;
  bool through_intermediate = false;    // the chain file then holds two certificates
  bool leave_intermediate_out = false;  // ... or, by mistake, only one
  std::string purpose = {};             // OID of an extended key usage; empty: none
};

struct IssuedCertificate {
  std::string certificate_file, key_file;
  gnutls_x509_crt_t certificate = nullptr;  // owned by the TestPki
};

class TestPki {
 public:
  // `rsa_bits`: 0 for ECDSA on P-256.
  explicit TestPki(const std::string& name = "Test CA", unsigned rsa_bits = 0) : rsa_bits_(rsa_bits) {
    ca_key_ = make_key();
    ca_ = make_authority(name, ca_key_, nullptr, nullptr);
    ca_file_ = dir_.write("ca.crt", pem(ca_));
    intermediate_key_ = make_key();
    intermediate_ = make_authority(name + " intermediate", intermediate_key_, ca_, ca_key_);
  }
  TestPki(const TestPki&) = delete;
  TestPki& operator=(const TestPki&) = delete;
  ~TestPki() {
    for (auto* certificate : certificates_) gnutls_x509_crt_deinit(certificate);
    for (auto* key : keys_) gnutls_x509_privkey_deinit(key);
  }

  const std::string& ca_file() const { return ca_file_; }
  const TempDir& dir() const { return dir_; }

  IssuedCertificate issue(const IssueOptions& options) {
    gnutls_x509_privkey_t key = make_key();
    gnutls_x509_crt_t certificate = begin(key, options.not_before_s, options.not_after_s);
    if (!options.common_name.empty()) set_common_name(certificate, options.common_name);
    for (const auto& name : options.dns) add_name(certificate, GNUTLS_SAN_DNSNAME, name);
    for (const auto& name : options.uris) add_name(certificate, GNUTLS_SAN_URI, name);
    for (const auto& name : options.emails) add_name(certificate, GNUTLS_SAN_RFC822NAME, name);
    if (!options.purpose.empty()) {
      must(gnutls_x509_crt_set_key_purpose_oid(certificate, options.purpose.c_str(), 0), "key purpose");
    }
    must(gnutls_x509_crt_set_key_usage(certificate, GNUTLS_KEY_DIGITAL_SIGNATURE), "key usage");
    std::string chain;
    if (options.self_signed) {
      sign(certificate, certificate, key);
    } else if (options.through_intermediate) {
      sign(certificate, intermediate_, intermediate_key_);
      if (!options.leave_intermediate_out) chain = pem(intermediate_);
    } else {
      sign(certificate, ca_, ca_key_);
    }
    const std::string key_file = dir_.write(options.name + ".key", pem(key));
    std::filesystem::permissions(key_file, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    return {dir_.write(options.name + ".crt", pem(certificate) + chain), key_file, certificate};
  }

  // A CRL of this CA that names these certificates.
  std::string revoke(const std::vector<IssuedCertificate>& revoked, const std::string& file = "ca.crl",
                     std::int64_t next_update_s = 24 * 3600) {
    gnutls_x509_crl_t list = nullptr;
    must(gnutls_x509_crl_init(&list), "crl");
    const std::time_t now = std::time(nullptr);
    gnutls_x509_crl_set_version(list, 2);
    gnutls_x509_crl_set_this_update(list, now - 3600);
    gnutls_x509_crl_set_next_update(list, now + next_update_s);
    for (const auto& item : revoked) must(gnutls_x509_crl_set_crt(list, item.certificate, now - 1800), "revoke");
    gnutls_x509_crl_set_number(list, "\x01", 1);
    must(gnutls_x509_crl_sign2(list, ca_, ca_key_, GNUTLS_DIG_SHA256, 0), "sign crl");
    gnutls_datum_t out{};
    must(gnutls_x509_crl_export2(list, GNUTLS_X509_FMT_PEM, &out), "export crl");
    const std::string text = take(out);
    gnutls_x509_crl_deinit(list);
    return dir_.write(file, text);
  }

 private:
  static std::string take(gnutls_datum_t& data) {
    std::string text{reinterpret_cast<const char*>(data.data), data.size};
    gnutls_free(data.data);
    return text;
  }
  static std::string pem(gnutls_x509_crt_t certificate) {
    gnutls_datum_t out{};
    must(gnutls_x509_crt_export2(certificate, GNUTLS_X509_FMT_PEM, &out), "export certificate");
    return take(out);
  }
  static std::string pem(gnutls_x509_privkey_t key) {
    gnutls_datum_t out{};
    must(gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, nullptr, 0, &out), "export key");
    return take(out);
  }
  gnutls_x509_privkey_t make_key() {
    gnutls_x509_privkey_t key = nullptr;
    must(gnutls_x509_privkey_init(&key), "key");
    keys_.push_back(key);
    must(rsa_bits_ > 0
             ? gnutls_x509_privkey_generate(key, GNUTLS_PK_RSA, rsa_bits_, 0)
             : gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
         "key");
    return key;
  }
  gnutls_x509_crt_t begin(gnutls_x509_privkey_t key, std::int64_t not_before_s, std::int64_t not_after_s) {
    gnutls_x509_crt_t certificate = nullptr;
    must(gnutls_x509_crt_init(&certificate), "certificate");
    certificates_.push_back(certificate);
    const std::time_t now = std::time(nullptr);
    gnutls_x509_crt_set_version(certificate, 3);
    std::array<std::uint8_t, 8> serial{};
    gnutls_rnd(GNUTLS_RND_NONCE, serial.data(), serial.size());
    serial[0] &= 0x7f;
    gnutls_x509_crt_set_serial(certificate, serial.data(), serial.size());
    gnutls_x509_crt_set_activation_time(certificate, now + not_before_s);
    gnutls_x509_crt_set_expiration_time(certificate, now + not_after_s);
    must(gnutls_x509_crt_set_key(certificate, key), "set key");
    set_key_ids(certificate, certificate, true);
    return certificate;
  }
  static void set_key_ids(gnutls_x509_crt_t certificate, gnutls_x509_crt_t of, bool subject) {
    std::array<std::uint8_t, 64> id{};
    std::size_t size = id.size();
    must(gnutls_x509_crt_get_key_id(of, 0, id.data(), &size), "key id");
    must(subject ? gnutls_x509_crt_set_subject_key_id(certificate, id.data(), size)
                 : gnutls_x509_crt_set_authority_key_id(certificate, id.data(), size),
         "set key id");
  }
  gnutls_x509_crt_t make_authority(const std::string& name, gnutls_x509_privkey_t key, gnutls_x509_crt_t issuer,
                                   gnutls_x509_privkey_t issuer_key) {
    gnutls_x509_crt_t certificate = begin(key, -7200, 365LL * 24 * 3600);
    set_common_name(certificate, name);
    must(gnutls_x509_crt_set_basic_constraints(certificate, 1, -1), "ca");
    must(gnutls_x509_crt_set_key_usage(certificate, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN), "key usage");
    sign(certificate, issuer == nullptr ? certificate : issuer, issuer == nullptr ? key : issuer_key);
    return certificate;
  }
  static void set_common_name(gnutls_x509_crt_t certificate, const std::string& name) {
    must(gnutls_x509_crt_set_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, name.data(),
                                       static_cast<unsigned>(name.size())),
         "common name");
  }
  static void add_name(gnutls_x509_crt_t certificate, gnutls_x509_subject_alt_name_t type, const std::string& name) {
    must(gnutls_x509_crt_set_subject_alt_name(certificate, type, name.data(), static_cast<unsigned>(name.size()),
                                              GNUTLS_FSAN_APPEND),
         "subject alternative name");
  }
  static void sign(gnutls_x509_crt_t certificate, gnutls_x509_crt_t issuer, gnutls_x509_privkey_t key) {
    set_key_ids(certificate, issuer, false);
    must(gnutls_x509_crt_sign2(certificate, issuer, key, GNUTLS_DIG_SHA256, 0), "sign");
  }

  unsigned rsa_bits_ = 0;
  TempDir dir_;
  std::vector<gnutls_x509_privkey_t> keys_;
  std::vector<gnutls_x509_crt_t> certificates_;
  gnutls_x509_privkey_t ca_key_ = nullptr, intermediate_key_ = nullptr;
  gnutls_x509_crt_t ca_ = nullptr, intermediate_ = nullptr;
  std::string ca_file_;
};

}  // namespace dots::test
