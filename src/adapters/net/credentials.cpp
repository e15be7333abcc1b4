#include "adapters/net/credentials.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iterator>
#include <mutex>
#include <optional>
#include <set>

#include "adapters/net/gnutls_handles.h"

namespace dots::adapters::net {
namespace {

using Problems = std::vector<CredentialProblem>;

constexpr std::size_t kLongestPskIdentity = 128;  // RFC 4279 5.3 asks for support of this much
constexpr std::size_t kShortestPskKey = 16;
constexpr std::size_t kLongestPskKey = 64;
constexpr std::int64_t kSoonS = 30LL * 24 * 3600;

std::string date(std::int64_t unix_s) {
  const auto seconds = static_cast<std::time_t>(unix_s);
  std::tm parts{};
  char text[32];
  if (gmtime_r(&seconds, &parts) == nullptr || std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0) {
    return std::to_string(unix_s);
  }
  return text;
}

// A file with its bytes; reports why it cannot be read.
std::optional<base::Bytes> read_file(const std::string& file, const std::string& role, Problems& problems) {
  errno = 0;
  std::ifstream in{file, std::ios::binary};
  base::Bytes bytes;
  if (in) bytes.assign(std::istreambuf_iterator<char>{in}, {});
  if (!in || in.bad()) {
    const std::string why = errno != 0 ? std::strerror(errno) : "it cannot be read";
    problems.push_back(
        {file, role + " cannot be read: " + why, "check the path and that the daemon's user may read it"});
    return std::nullopt;
  }
  return bytes;
}

gnutls_datum_t datum(const base::Bytes& bytes) {
  return {const_cast<unsigned char*>(bytes.data()), static_cast<unsigned>(bytes.size())};
}

struct CertificateList {
  gnutls_x509_crt_t* items = nullptr;
  unsigned count = 0;
  CertificateList() = default;
  CertificateList(const CertificateList&) = delete;
  CertificateList& operator=(const CertificateList&) = delete;
  ~CertificateList() {
    for (unsigned i = 0; i < count; ++i) gnutls_x509_crt_deinit(items[i]);
    gnutls_free(items);
  }
};

class Loader {
 public:
  Loader(const CredentialSources& sources, base::WallTime now, Credentials::Handles& handles, Problems& problems)
      : sources_(sources),
        now_s_(static_cast<std::int64_t>(base::unix_seconds(now))),
        handles_(handles),
        problems_(problems) {}

  void certificates() {
    gnutls_certificate_allocate_credentials(&handles_.x509);
    if (!sources_.ca_file.empty()) load_anchors();
    load_revocations();
    if (!sources_.key_file.empty()) {  // else we prove nothing
      const auto key = read_file(sources_.key_file, "key", problems_);
      if (key) lint_key_file();
      if (!sources_.certificate_file.empty()) load_own(key);
      if (key && !sources_.peer_keys.empty()) load_raw_keys(*key);
    }
    // For DHE-PSK beside certificates; the groups of RFC 7919 are negotiated, these are for peers that know none.
    gnutls_certificate_set_known_dh_params(handles_.x509, GNUTLS_SEC_PARAM_MEDIUM);
  }

  void psk_table() {
    std::set<std::string> seen;
    for (const Psk& psk : sources_.psk) {
      check_psk(psk);
      if (!seen.insert(psk.identity).second) {
        problems_.push_back({"", "PSK identity '" + psk.identity + "' stands twice", "remove one of the two"});
      }
    }
  }

 private:
  void check_psk(const Psk& psk) {
    const std::string name = "PSK identity '" + psk.identity + "'";
    if (psk.identity.empty() || psk.identity.size() > kLongestPskIdentity) {
      problems_.push_back({"", name + " has " + std::to_string(psk.identity.size()) + " bytes",
                           "choose an identity of 1 to " + std::to_string(kLongestPskIdentity) + " bytes"});
    }
    if (psk.key.size() < kShortestPskKey || psk.key.size() > kLongestPskKey) {
      problems_.push_back({"", "the key of " + name + " has " + std::to_string(psk.key.size()) + " bytes",
                           "use a random key of " + std::to_string(kShortestPskKey) + " to " +
                               std::to_string(kLongestPskKey) + " bytes, for example from 'psktool -s 32'"});
    }
  }

  void load_anchors() {
    const auto bytes = read_file(sources_.ca_file, "CA file", problems_);
    if (!bytes) return;
    const gnutls_datum_t data = datum(*bytes);
    if (gnutls_x509_crt_list_import2(&anchors_.items, &anchors_.count, &data, GNUTLS_X509_FMT_PEM, 0) < 0 ||
        anchors_.count == 0) {
      problems_.push_back({sources_.ca_file, "holds no certificate in PEM form", "give the CA's certificate as PEM"});
      return;
    }
    for (unsigned i = 0; i < anchors_.count; ++i) {
      const std::int64_t end = gnutls_x509_crt_get_expiration_time(anchors_.items[i]);
      handles_.anchor_ends_unix_s.push_back(end);
      if (end < now_s_) handles_.warnings.push_back(sources_.ca_file + ": CA certificate expired on " + date(end));
    }
    gnutls_certificate_set_x509_trust(handles_.x509, anchors_.items, static_cast<int>(anchors_.count));
    handles_.anchors = true;
  }

  // GnuTLS takes any list on trust: its signature is checked here.
  void load_revocations() {
    if (sources_.crl_file.empty()) return;
    const auto bytes = read_file(sources_.crl_file, "CRL file", problems_);
    if (!bytes) return;
    const gnutls_datum_t data = datum(*bytes);
    gnutls_x509_crl_t* lists = nullptr;
    unsigned count = 0;
    if (gnutls_x509_crl_list_import2(&lists, &count, &data, GNUTLS_X509_FMT_PEM, 0) < 0 || count == 0) {
      problems_.push_back({sources_.crl_file, "holds no revocation list in PEM form",
                           "give the CA's CRL as PEM, or leave crl_file out"});
      return;
    }
    for (unsigned i = 0; i < count; ++i) {
      unsigned status = 0;
      const int code = gnutls_x509_crl_verify(lists[i], anchors_.items, anchors_.count, 0, &status);
      // A list that is overdue also counts as invalid; it is better than none and stays in force.
      const bool bad_signature =
          (status & static_cast<unsigned>(GNUTLS_CERT_SIGNER_NOT_FOUND | GNUTLS_CERT_SIGNER_NOT_CA |
                                          GNUTLS_CERT_SIGNATURE_FAILURE | GNUTLS_CERT_INSECURE_ALGORITHM)) != 0;
      if (anchors_.count > 0 && (code < 0 || bad_signature)) {
        problems_.push_back({sources_.crl_file, "revocation list is not signed by a CA of " + sources_.ca_file,
                             "fetch the CRL of that CA"});
      }
      const std::int64_t next = gnutls_x509_crl_get_next_update(lists[i]);
      if (next != -1 && next < now_s_) {
        handles_.warnings.push_back(sources_.crl_file + ": a newer revocation list was due on " + date(next) +
                                    "; this one stays in force");
      }
    }
    gnutls_certificate_set_x509_crl(handles_.x509, lists, static_cast<int>(count));
    for (unsigned i = 0; i < count; ++i) gnutls_x509_crl_deinit(lists[i]);
    gnutls_free(lists);
  }

  void lint_key_file() {
    struct stat info {};
    if (::stat(sources_.key_file.c_str(), &info) == 0 && (info.st_mode & (S_IROTH | S_IWOTH)) != 0) {
      handles_.warnings.push_back(sources_.key_file + ": everybody on this machine may read this key; run 'chmod o= " +
                                  sources_.key_file + "'");
    }
  }

  void load_raw_keys(const base::Bytes& key) {
    for (const PeerKey& peer : sources_.peer_keys) handles_.peer_keys[peer.server_name].insert(peer.fingerprint);
    if (!problems_.empty()) return;
    if (const auto failed = add_raw_key(handles_, key)) {
      problems_.push_back({sources_.key_file, *failed, "give the private key as PEM, without a password"});
    }
  }

  void load_own(const std::optional<base::Bytes>& key) {
    const auto chain = read_file(sources_.certificate_file, "certificate", problems_);
    if (chain) check_own(*chain);
    if (!chain || !key || own_.count == 0) return;
    gnutls_datum_t chain_data = datum(*chain);
    // RFC 5246 7.4.2: the root is with the peer already, or it would not be trusted; a smaller flight is lost less
    // often.
    const gnutls_x509_crt_t last = own_.items[own_.count - 1];
    if (own_.count > 1 && gnutls_x509_crt_check_issuer(last, last) != 0) {
      const auto root = base::as_text(*chain).rfind("-----BEGIN CERTIFICATE-----");
      if (root != std::string_view::npos) chain_data.size = static_cast<unsigned>(root);
    }
    const gnutls_datum_t key_data = datum(*key);
    const int code =
        gnutls_certificate_set_x509_key_mem2(handles_.x509, &chain_data, &key_data, GNUTLS_X509_FMT_PEM, nullptr, 0);
    if (code == GNUTLS_E_CERTIFICATE_KEY_MISMATCH) {
      problems_.push_back({sources_.key_file,
                           "this key does not belong to the certificate " + sources_.certificate_file,
                           "give the key that the certificate was issued for"});
    } else if (code == GNUTLS_E_DECRYPTION_FAILED || base::as_text(*key).find("ENCRYPTED") != std::string_view::npos) {
      problems_.push_back({sources_.key_file, "the key is encrypted",
                           "write it without a password ('certtool --to-p8' or "
                           "'openssl pkey') and protect the file instead"});
    } else if (code < 0) {
      problems_.push_back({sources_.key_file,
                           std::string{"no usable private key in PEM form: "} + gnutls_strerror(code),
                           "give the private key as PEM"});
    } else {
      handles_.certificate = true;
    }
  }

  void check_own(const base::Bytes& chain) {
    const std::string& file = sources_.certificate_file;
    const gnutls_datum_t data = datum(chain);
    const int code = gnutls_x509_crt_list_import2(&own_.items, &own_.count, &data, GNUTLS_X509_FMT_PEM,
                                                  GNUTLS_X509_CRT_LIST_FAIL_IF_UNSORTED);
    if (code == GNUTLS_E_CERTIFICATE_LIST_UNSORTED) {
      problems_.push_back({file, "the certificates are not in order",
                           "put our certificate first, then each issuer after the certificate that it signed"});
    } else if (code < 0 || own_.count == 0) {
      problems_.push_back({file, "holds no certificate in PEM form", "give our certificate chain as PEM"});
      return;
    }
    if (own_.count == 0) return;
    handles_.own = identity_of(own_.items[0]);
    for (unsigned i = 0; i < own_.count; ++i) {
      const std::string which = i == 0 ? "our certificate" : "certificate number " + std::to_string(i + 1);
      const std::int64_t begin = gnutls_x509_crt_get_activation_time(own_.items[i]);
      const std::int64_t end = gnutls_x509_crt_get_expiration_time(own_.items[i]);
      if (end < now_s_) {
        problems_.push_back({file, which + " expired on " + date(end), "renew the certificate"});
      } else if (begin > now_s_) {
        problems_.push_back({file, which + " is not valid before " + date(begin),
                             "check this machine's clock, which says " + date(now_s_)});
      } else if (end < now_s_ + kSoonS) {
        handles_.warnings.push_back(file + ": " + which + " expires on " + date(end));
      }
    }
    if (handles_.side == Side::server) lint_server_names(own_.items[0]);
  }

  // RFC 9132 7.1: DNS-IDs are preferred and wildcards are not to be presented.
  void lint_server_names(gnutls_x509_crt_t certificate) {
    bool dns = false, wildcard = false;
    for (unsigned i = 0;; ++i) {
      char name[256];
      std::size_t size = sizeof name;
      unsigned type = 0;
      const int code = gnutls_x509_crt_get_subject_alt_name2(certificate, i, name, &size, &type, nullptr);
      if (code == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE) break;
      if (code < 0 && code != GNUTLS_E_SHORT_MEMORY_BUFFER) break;
      dns |= type == GNUTLS_SAN_DNSNAME;
      wildcard |=
          code >= 0 && type == GNUTLS_SAN_DNSNAME && std::string_view{name, size}.find('*') != std::string_view::npos;
    }
    const std::string& file = sources_.certificate_file;
    if (!dns)
      handles_.warnings.push_back(file + ": has no DNS name in its subject alternative names; clients may refuse it");
    if (wildcard)
      handles_.warnings.push_back(file + ": presents a wildcard name; DOTS clients refuse it (RFC 9132 7.1)");
  }

  const CredentialSources& sources_;
  std::int64_t now_s_;
  Credentials::Handles& handles_;
  Problems& problems_;
  CertificateList anchors_, own_;
};

}  // namespace

std::string to_string(const CredentialProblem& problem) {
  std::string text = problem.file.empty() ? "" : problem.file + ": ";
  text += problem.what;
  if (!problem.remedy.empty()) text += "; " + problem.remedy;
  return text;
}

struct Credentials::Line {
  std::mutex mutex;  // guards newest
  std::weak_ptr<const Credentials> newest;
};

Credentials::Credentials() : handles_(std::make_unique<Handles>()), line_(std::make_shared<Line>()) {}
Credentials::~Credentials() = default;

void Credentials::succeed(const std::shared_ptr<const Credentials>& old,
                          const std::shared_ptr<const Credentials>& next) {
  // Before anybody else can see `next`.
  const_cast<Credentials&>(*next).line_ = old->line_;
  const std::lock_guard lock(next->line_->mutex);
  next->line_->newest = next;
}

std::shared_ptr<const Credentials> Credentials::newest() const {
  const std::lock_guard lock(line_->mutex);
  return line_->newest.lock();
}

Side Credentials::side() const { return handles_->side; }
const model::PeerIdentity& Credentials::own_identity() const { return handles_->own; }
const std::vector<std::string>& Credentials::warnings() const { return handles_->warnings; }
const Credentials::Handles& Credentials::handles() const { return *handles_; }

base::Result<std::shared_ptr<const Credentials>, std::vector<CredentialProblem>> Credentials::load(
    const CredentialSources& sources, Side side, base::WallTime now) {
  std::shared_ptr<Credentials> credentials{new Credentials};
  Handles& handles = *credentials->handles_;
  handles.side = side;
  Problems problems;
  Loader loader{sources, now, handles, problems};

  const bool any_x509 = !sources.ca_file.empty() || !sources.certificate_file.empty() || !sources.key_file.empty();
  const bool client_psk = side == Side::client && !sources.psk.empty();
  const bool anonymous = sources.anonymous && side == Side::client;
  const bool raw = !sources.peer_keys.empty();  // then neither an authority nor a certificate is needed
  if (!any_x509 && !raw && sources.psk.empty()) {
    problems.push_back({"", "there are no credentials: DOTS needs mutual authentication (RFC 9132 section 8)",
                        "set ca_file, certificate_file and key_file, or a PSK identity and key"});
  } else if ((any_x509 || raw) && !client_psk) {
    const auto require = [&](const std::string& file, const char* key, const char* why) {
      if (file.empty()) problems.push_back({"", std::string{key} + " is missing: " + why, std::string{"set "} + key});
      return !file.empty();
    };
    const bool anchors = raw || require(sources.ca_file, "ca_file", "the other side's certificate cannot be verified");
    const bool own = raw || anonymous ||
                     require(sources.certificate_file, "certificate_file", "we have nothing to prove ourselves with");
    const bool key = anonymous || require(sources.key_file, "key_file",
                                          raw ? "we have nothing to prove ourselves with"
                                              : "the certificate cannot be used without its key");
    if (anchors && own && key) loader.certificates();
  }
  if (side == Side::client && sources.psk.size() > 1) {
    problems.push_back({"", "a client uses one PSK identity, and there are " + std::to_string(sources.psk.size()),
                        "keep the one that the server knows"});
  }
  loader.psk_table();
  if (!problems.empty()) return problems;

  if (const auto failed = install_callbacks(handles, sources.psk)) {
    return Problems{{"", *failed, "check the installation of GnuTLS 3.7"}};
  }
  credentials->line_->newest = credentials;
  return std::shared_ptr<const Credentials>{std::move(credentials)};
}

}  // namespace dots::adapters::net
