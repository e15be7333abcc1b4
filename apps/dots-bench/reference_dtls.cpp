#include <gnutls/crypto.h>
#include <gnutls/dtls.h>
#include <gnutls/gnutls.h>

#include <poll.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <deque>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>

#include "adapters/net/priorities.h"
#include "dots-bench/datagram_batch.h"
#include "dots-bench/poller.h"
#include "dots-bench/reference.h"
#include "dots-bench/requests.h"

namespace dots::bench {
namespace {

using adapters::net::NativeAddress;

constexpr unsigned kRecordBytes = 1280 - 48;  // as dotsd cuts its records
constexpr std::uint8_t kHandshake = 22;

std::map<std::string, base::Bytes, std::less<>> g_keys;  // by PSK identity, for the callback of GnuTLS

int find_key(gnutls_session_t, const char* identity, gnutls_datum_t* key) {
  const auto found = g_keys.find(std::string_view{identity});
  if (found == g_keys.end()) return -1;
  key->data = static_cast<unsigned char*>(gnutls_malloc(found->second.size()));
  if (key->data == nullptr) return -1;
  std::memcpy(key->data, found->second.data(), found->second.size());
  key->size = static_cast<unsigned>(found->second.size());
  return 0;
}

bool read_keys(const std::string& file) {
  std::ifstream in{file};
  for (std::string line; std::getline(in, line);) {
    const auto colon = line.rfind(':');
    if (line.empty() || line.front() == '#' || colon == std::string::npos) continue;
    if (const auto key = base::from_hex(std::string_view{line}.substr(colon + 1))) g_keys[line.substr(0, colon)] = *key;
  }
  return !g_keys.empty();
}

class Echo;

struct Peer {
  Echo* echo = nullptr;
  NativeAddress address;
  gnutls_session_t session = nullptr;
  base::ByteView in;
  bool open = false;
  bool starved = false;

  ~Peer() {
    if (session != nullptr) gnutls_deinit(session);
  }
};

class Echo {
 public:
  Echo(int fd, base::Duration heartbeat_period) : fd_(fd), heartbeat_period_(heartbeat_period) {}

  bool load(const std::string& folder) {
    const std::string pki = folder + "/pki/";
    return read_keys(folder + "/psk.txt") && gnutls_certificate_allocate_credentials(&x509_) >= 0 &&
           gnutls_certificate_set_x509_trust_file(x509_, (pki + "ca.crt").c_str(), GNUTLS_X509_FMT_PEM) > 0 &&
           gnutls_certificate_set_x509_key_file(x509_, (pki + "server.crt").c_str(), (pki + "server.key").c_str(),
                                                GNUTLS_X509_FMT_PEM) >= 0 &&
           gnutls_psk_allocate_server_credentials(&psk_) >= 0 &&
           gnutls_psk_set_server_known_dh_params(psk_, GNUTLS_SEC_PARAM_MEDIUM) >= 0 &&
           gnutls_priority_init(&priority_,
                                (std::string{adapters::net::kPriorities} + adapters::net::kCertificates).c_str(),
                                nullptr) >= 0 &&
           gnutls_key_generate(&cookie_key_, GNUTLS_COOKIE_KEY_SIZE) >= 0 &&
           gnutls_session_ticket_key_generate(&ticket_key_) >= 0 &&
           (gnutls_psk_set_server_credentials_function(psk_, find_key), true);
  }

  [[noreturn]] void run() {
    for (;;) {
      if (heartbeat_period_ == base::Duration::zero() || wait_and_beat()) {
        const std::size_t count = in_->receive(fd_);
        for (std::size_t i = 0; i < count; ++i) take(in_->bytes(i), in_->peer(i));
      }
      out_->flush(fd_);
    }
  }

 private:
  struct Due {
    base::SteadyTime at;
    std::uint64_t key = 0;
  };

  // All have one period, so the first that opened is the first that is due. True: a datagram is there.
  bool wait_and_beat() {
    int wait_ms = 1000;
    for (const base::SteadyTime now = steady_now(); !beats_.empty(); beats_.pop_front()) {
      const Due due = beats_.front();
      if (due.at > now) {
        wait_ms = static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(due.at - now).count());
        break;
      }
      const auto found = peers_.find(due.key);
      if (found == peers_.end() || !found->second->open) continue;
      const std::array<std::uint8_t, 1> token = {1};
      const base::Bytes message = heartbeat_.make(0, ++message_id_, token).message;
      gnutls_record_send(found->second->session, message.data(), message.size());
      beats_.push_back({due.at + heartbeat_period_, due.key});
    }
    out_->flush(fd_);
    pollfd ready{fd_, POLLIN, 0};
    return ::poll(&ready, 1, wait_ms) > 0;
  }

  static std::uint64_t key_of(const NativeAddress& address) {
    return static_cast<std::uint64_t>(address.v4.sin_addr.s_addr) << 16 | address.v4.sin_port;
  }

  void take(base::ByteView datagram, const NativeAddress& address) {
    if (datagram.empty()) return;
    const auto found = peers_.find(key_of(address));
    // A hello in the clear from the address of a session: a new client has the port now.
    const bool hello = datagram.size() > 13 && datagram[0] == kHandshake && datagram[3] == 0 && datagram[4] == 0;
    if (found == peers_.end() || (found->second->open && hello)) {
      if (found != peers_.end()) peers_.erase(found);
      if (hello) greet(datagram, address);
      return;
    }
    Peer& peer = *found->second;
    peer.in = datagram;
    peer.starved = false;
    const bool alive = peer.open ? echo(peer) : shake(peer);
    peer.in = {};
    if (!alive) peers_.erase(key_of(address));
  }

  void greet(base::ByteView datagram, const NativeAddress& address) {
    auto* bytes = const_cast<std::uint8_t*>(datagram.data());
    auto* name = const_cast<sockaddr*>(&address.any);
    gnutls_dtls_prestate_st prestate{};
    if (gnutls_dtls_cookie_verify(&cookie_key_, name, sizeof(sockaddr_in), bytes, datagram.size(), &prestate) < 0) {
      Peer stranger;
      stranger.echo = this;
      stranger.address = address;
      gnutls_dtls_cookie_send(&cookie_key_, name, sizeof(sockaddr_in), &prestate, &stranger, push);
      return;
    }
    auto peer = std::make_unique<Peer>();
    peer->echo = this;
    peer->address = address;
    if (gnutls_init(&peer->session, GNUTLS_SERVER | GNUTLS_DATAGRAM | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) < 0) {
      return;
    }
    gnutls_session_t session = peer->session;
    gnutls_session_ticket_enable_server(session, &ticket_key_);
    gnutls_priority_set(session, priority_);
    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, x509_);
    gnutls_credentials_set(session, GNUTLS_CRD_PSK, psk_);
    gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
    gnutls_session_set_verify_cert(session, nullptr, 0);
    gnutls_transport_set_ptr(session, peer.get());
    gnutls_transport_set_push_function(session, push);
    gnutls_transport_set_pull_function(session, pull);
    gnutls_transport_set_pull_timeout_function(session, pull_timeout);
    gnutls_dtls_set_mtu(session, kRecordBytes);
    gnutls_dtls_prestate_set(session, &prestate);
    Peer& placed = *(peers_[key_of(address)] = std::move(peer));
    placed.in = datagram;
    const bool alive = shake(placed);
    placed.in = {};
    if (!alive) peers_.erase(key_of(address));
  }

  bool shake(Peer& peer) {
    int code = GNUTLS_E_AGAIN;
    for (int tries = 0; tries < 64 && !peer.starved; ++tries) {
      code = gnutls_handshake(peer.session);
      if (code == GNUTLS_E_SUCCESS || gnutls_error_is_fatal(code) != 0) break;
    }
    if (code == GNUTLS_E_SUCCESS) {
      peer.open = true;
      tell_suite(peer.session);
      if (heartbeat_period_ > base::Duration::zero()) {
        beats_.push_back({steady_now() + heartbeat_period_, key_of(peer.address)});
      }
      return true;
    }
    if (gnutls_error_is_fatal(code) == 0) return true;
    std::fprintf(stderr, "handshake failed: %s\n", gnutls_strerror(code));
    return false;
  }

  bool echo(Peer& peer) {
    while (!peer.starved) {
      std::array<std::uint8_t, kBatchSlotBytes> plaintext;  // NOLINT: written before it is read
      const ssize_t size = gnutls_record_recv(peer.session, plaintext.data(), plaintext.size());
      if (size == 0) return false;  // closed
      if (size < 0) {
        if (gnutls_error_is_fatal(static_cast<int>(size)) != 0) return false;
        continue;
      }
      const auto count = static_cast<std::size_t>(size);
      const std::size_t wanted = echo_answer_bytes({plaintext.data(), count});
      if (wanted == 0) continue;
      if (wanted > count) std::memset(plaintext.data() + count, 0, wanted - count);
      gnutls_record_send(peer.session, plaintext.data(), wanted);
    }
    return true;
  }

  // Once for each suite: the caller prints what was measured.
  void tell_suite(gnutls_session_t session) {
    if (suites_.size() >= 8) return;
    char* text = gnutls_session_get_desc(session);
    if (text == nullptr) return;
    if (suites_.emplace(text, 1).second) std::fprintf(stderr, "suite %s\n", text);
    gnutls_free(text);
  }

  static ssize_t push(gnutls_transport_ptr_t self, const void* data, std::size_t size) {
    Peer& peer = *static_cast<Peer*>(self);
    Echo& echo = *peer.echo;
    const base::ByteView bytes{static_cast<const std::uint8_t*>(data), size};
    const bool packed = !peer.open && peer.session != nullptr && echo.out_->append(peer.address, bytes, kRecordBytes);
    if (!packed) echo.out_->add(echo.fd_, peer.address, bytes, size);
    return static_cast<ssize_t>(size);
  }
  static ssize_t pull(gnutls_transport_ptr_t self, void* data, std::size_t size) {
    Peer& peer = *static_cast<Peer*>(self);
    if (peer.in.empty()) {
      peer.starved = true;
      gnutls_transport_set_errno(peer.session, EAGAIN);
      return -1;
    }
    const std::size_t count = std::min(size, peer.in.size());
    std::memcpy(data, peer.in.data(), count);
    peer.in = {};
    return static_cast<ssize_t>(count);
  }
  static int pull_timeout(gnutls_transport_ptr_t self, unsigned) {
    Peer& peer = *static_cast<Peer*>(self);
    if (!peer.in.empty()) return 1;
    peer.starved = true;
    return 0;
  }

  int fd_;
  base::Duration heartbeat_period_;
  std::deque<Due> beats_;
  const Workload heartbeat_ = heartbeats();
  std::uint16_t message_id_ = 0;
  gnutls_certificate_credentials_t x509_ = nullptr;
  gnutls_psk_server_credentials_t psk_ = nullptr;
  gnutls_priority_t priority_ = nullptr;
  gnutls_datum_t cookie_key_{};
  gnutls_datum_t ticket_key_{};
  std::unordered_map<std::uint64_t, std::unique_ptr<Peer>> peers_;
  std::map<std::string, int> suites_;
  std::unique_ptr<DatagramBatch> in_ = std::make_unique<DatagramBatch>();
  std::unique_ptr<DatagramBatch> out_ = std::make_unique<DatagramBatch>();
};

}  // namespace

int run_dtls_echo(const std::string& folder, base::Duration heartbeat_period) {
  const auto fd = open_reference_socket();
  if (!fd) {
    std::fprintf(stderr, "dots-bench: %s\n", fd.error().message.c_str());
    return 1;
  }
  Echo echo{*fd, heartbeat_period};
  if (!echo.load(folder)) {
    std::fprintf(stderr, "dots-bench: the credentials in '%s' cannot be used\n", folder.c_str());
    return 1;
  }
  announce(*fd);
  echo.run();
}

}  // namespace dots::bench
