#include "adapters/pki/authority.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include <array>
#include <ctime>
#include <utility>

namespace dots::adapters::pki {
namespace {

base::Error failed(const std::string& what, int code) { return base::Error{what + ": " + gnutls_strerror(code)}; }

struct Certificate {
  gnutls_x509_crt_t handle = nullptr;
  Certificate() = default;
  Certificate(Certificate&& other) noexcept : handle(std::exchange(other.handle, nullptr)) {}
  Certificate& operator=(Certificate&& other) noexcept { return std::swap(handle, other.handle), *this; }
  ~Certificate() {
    if (handle != nullptr) gnutls_x509_crt_deinit(handle);
  }
};
struct PrivateKey {
  gnutls_x509_privkey_t handle = nullptr;
  PrivateKey() = default;
  PrivateKey(PrivateKey&& other) noexcept : handle(std::exchange(other.handle, nullptr)) {}
  PrivateKey& operator=(PrivateKey&& other) noexcept { return std::swap(handle, other.handle), *this; }
  ~PrivateKey() {
    if (handle != nullptr) gnutls_x509_privkey_deinit(handle);
  }
};

// Runs GnuTLS calls until one fails.
class Steps {
 public:
  template <class Call>
  Steps& then(Call call) {
    if (code_ >= 0) code_ = call();
    return *this;
  }
  bool ok() const { return code_ >= 0; }
  int code() const { return code_; }

 private:
  int code_ = 0;
};

base::Result<PrivateKey> new_key() {
  PrivateKey key;
  Steps steps;
  steps.then([&] { return gnutls_x509_privkey_init(&key.handle); }).then([&] {
    return gnutls_x509_privkey_generate(key.handle, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1),
                                        0);
  });
  if (!steps.ok()) return failed("a key cannot be made", steps.code());
  return key;
}

// The parts that every certificate has.
Steps describe(const Certificate& certificate, const PrivateKey& key, const std::string& common_name,
               base::WallTime now, std::chrono::hours validity) {
  const auto handle = certificate.handle;
  const auto start = static_cast<std::time_t>(base::unix_seconds(now - std::chrono::hours{1}));
  const auto end = static_cast<std::time_t>(base::unix_seconds(now + validity));
  std::array<std::uint8_t, 16> serial{};
  std::array<std::uint8_t, 20> key_id{};
  std::size_t key_id_size = key_id.size();
  Steps steps;
  steps.then([&] { return gnutls_rnd(GNUTLS_RND_NONCE, serial.data(), serial.size()); })
      .then([&] {
        serial[0] = static_cast<std::uint8_t>((serial[0] & 0x7f) | 0x40);  // positive, and of one length
        return gnutls_x509_crt_set_serial(handle, serial.data(), serial.size());
      })
      .then([&] { return gnutls_x509_crt_set_version(handle, 3); })
      .then([&] { return gnutls_x509_crt_set_key(handle, key.handle); })
      .then([&] {
        return gnutls_x509_crt_set_dn_by_oid(handle, GNUTLS_OID_X520_COMMON_NAME, 0, common_name.data(),
                                             static_cast<unsigned>(common_name.size()));
      })
      .then([&] { return gnutls_x509_crt_set_activation_time(handle, start); })
      .then([&] { return gnutls_x509_crt_set_expiration_time(handle, end); })
      .then([&] { return gnutls_x509_crt_get_key_id(handle, 0, key_id.data(), &key_id_size); })
      .then([&] { return gnutls_x509_crt_set_subject_key_id(handle, key_id.data(), key_id_size); });
  return steps;
}

base::Result<KeyPair> as_pem(const Certificate& certificate, const PrivateKey& key) {
  KeyPair pair;
  gnutls_datum_t out{};
  int code = gnutls_x509_crt_export2(certificate.handle, GNUTLS_X509_FMT_PEM, &out);
  if (code < 0) return failed("a certificate cannot be written", code);
  pair.certificate_pem.assign(reinterpret_cast<const char*>(out.data), out.size);
  gnutls_free(out.data);
  code = gnutls_x509_privkey_export2_pkcs8(key.handle, GNUTLS_X509_FMT_PEM, nullptr, GNUTLS_PKCS_PLAIN, &out);
  if (code < 0) return failed("a key cannot be written", code);
  pair.key_pem.assign(reinterpret_cast<const char*>(out.data), out.size);
  gnutls_free(out.data);
  return pair;
}

}  // namespace

struct Authority::State {
  Certificate certificate;
  PrivateKey key;
  KeyPair pem;
};

Authority::Authority(std::unique_ptr<State> state) : state_(std::move(state)) {}
Authority::~Authority() = default;
Authority::Authority(Authority&&) noexcept = default;
Authority& Authority::operator=(Authority&&) noexcept = default;

const KeyPair& Authority::own() const { return state_->pem; }

base::Result<Authority> Authority::create(const std::string& common_name, base::WallTime now,
                                          std::chrono::hours validity) {
  auto state = std::make_unique<State>();
  auto key = new_key();
  if (!key) return key.error();
  state->key = std::move(key).value();
  if (const int code = gnutls_x509_crt_init(&state->certificate.handle); code < 0)
    return failed("a certificate cannot be made", code);
  const auto handle = state->certificate.handle;
  const Steps steps =
      describe(state->certificate, state->key, common_name, now, validity)
          .then([&] { return gnutls_x509_crt_set_basic_constraints(handle, 1, 0); })
          .then([&] { return gnutls_x509_crt_set_key_usage(handle, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN); })
          .then([&] { return gnutls_x509_crt_sign2(handle, handle, state->key.handle, GNUTLS_DIG_SHA256, 0); });
  if (!steps.ok()) return failed("the authority's certificate cannot be made", steps.code());
  auto pem = as_pem(state->certificate, state->key);
  if (!pem) return pem.error();
  state->pem = std::move(pem).value();
  return Authority{std::move(state)};
}

base::Result<KeyPair> Authority::issue(const Subject& subject, base::WallTime now, std::chrono::hours validity) const {
  const auto key = new_key();
  if (!key) return key.error();
  Certificate certificate;
  if (const int code = gnutls_x509_crt_init(&certificate.handle); code < 0)
    return failed("a certificate cannot be made", code);
  const auto handle = certificate.handle;
  Steps steps = describe(certificate, *key, subject.common_name, now, validity);
  steps.then([&] { return gnutls_x509_crt_set_basic_constraints(handle, 0, -1); })
      .then([&] { return gnutls_x509_crt_set_key_usage(handle, GNUTLS_KEY_DIGITAL_SIGNATURE); })
      .then([&] {
        return gnutls_x509_crt_set_key_purpose_oid(
            handle, subject.server ? GNUTLS_KP_TLS_WWW_SERVER : GNUTLS_KP_TLS_WWW_CLIENT, 0);
      });
  for (const std::string& name : subject.dns_names)
    steps.then([&] {
      return gnutls_x509_crt_set_subject_alt_name(handle, GNUTLS_SAN_DNSNAME, name.data(),
                                                  static_cast<unsigned>(name.size()), GNUTLS_FSAN_APPEND);
    });
  for (const model::IpAddress& address : subject.addresses)
    steps.then([&] {
      return gnutls_x509_crt_set_subject_alt_name(handle, GNUTLS_SAN_IPADDRESS, address.bytes.data(),
                                                  static_cast<unsigned>(address.width() / 8), GNUTLS_FSAN_APPEND);
    });
  std::array<std::uint8_t, 64> authority_id{};
  std::size_t authority_id_size = authority_id.size();
  steps
      .then([&] {
        return gnutls_x509_crt_get_subject_key_id(state_->certificate.handle, authority_id.data(), &authority_id_size,
                                                  nullptr);
      })
      .then([&] { return gnutls_x509_crt_set_authority_key_id(handle, authority_id.data(), authority_id_size); })
      .then([&] {
        return gnutls_x509_crt_sign2(handle, state_->certificate.handle, state_->key.handle, GNUTLS_DIG_SHA256, 0);
      });
  if (!steps.ok()) return failed("the certificate of '" + subject.common_name + "' cannot be made", steps.code());
  return as_pem(certificate, *key);
}

base::Result<base::Bytes> random_key(std::size_t bytes) {
  base::Bytes out(bytes);
  const int code = gnutls_rnd(GNUTLS_RND_KEY, out.data(), out.size());
  if (code < 0) return failed("no random bytes", code);
  return out;
}

}  // namespace dots::adapters::pki
