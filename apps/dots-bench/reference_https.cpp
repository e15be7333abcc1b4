// Boost.Beast over GnuTLS and nothing else: what a request over HTTPS costs at the least.
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <memory>
#include <unordered_map>

#include "adapters/net/priorities.h"
#include "dots-bench/datagram_batch.h"
#include "dots-bench/descriptor.h"
#include "dots-bench/poller.h"
#include "dots-bench/reference.h"

namespace dots::bench {
namespace {

namespace http = boost::beast::http;

constexpr std::size_t kListener = 0;  // its number; connections have their descriptor's
constexpr std::uint64_t kMostBody = std::uint64_t{64} << 20;

class Web {
 public:
  explicit Web(int listener) : listener_(listener) {}

  bool load(const std::string& folder) {
    const std::string pki = folder + "/pki/";
    const std::string priorities = std::string{adapters::net::kStreamPriorities} + adapters::net::kCertificates;
    return gnutls_certificate_allocate_credentials(&x509_) >= 0 &&
           gnutls_certificate_set_x509_trust_file(x509_, (pki + "ca.crt").c_str(), GNUTLS_X509_FMT_PEM) > 0 &&
           gnutls_certificate_set_x509_key_file(x509_, (pki + "server.crt").c_str(), (pki + "server.key").c_str(),
                                                GNUTLS_X509_FMT_PEM) >= 0 &&
           gnutls_priority_init(&priority_, priorities.c_str(), nullptr) >= 0;
  }

  [[noreturn]] void run() {
    poller_.add(listener_, kListener);
    for (;;) {
      for (const std::size_t number : poller_.wait(std::chrono::seconds{1})) {
        if (number == kListener) {
          accept();
        } else if (const auto found = clients_.find(number); found != clients_.end() && !serve(*found->second)) {
          clients_.erase(found);
        }
      }
    }
  }

 private:
  struct Client {
    Descriptor fd;
    gnutls_session_t session = nullptr;
    bool open = false;
    std::string input;
    std::unique_ptr<http::request_parser<http::string_body>> parser;
    ~Client() {
      if (session != nullptr) gnutls_deinit(session);
    }
  };

  void accept() {
    auto client = std::make_unique<Client>();
    client->fd = Descriptor{::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
    if (!client->fd.ok()) return;
    const int at_once = 1;
    ::setsockopt(client->fd.get(), IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
    if (gnutls_init(&client->session, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) < 0) return;
    gnutls_priority_set(client->session, priority_);
    gnutls_credentials_set(client->session, GNUTLS_CRD_CERTIFICATE, x509_);
    gnutls_certificate_server_set_request(client->session, GNUTLS_CERT_REQUIRE);
    gnutls_session_set_verify_cert(client->session, nullptr, 0);
    std::string name = "http/1.1";
    const gnutls_datum_t protocol{reinterpret_cast<unsigned char*>(name.data()), static_cast<unsigned>(name.size())};
    gnutls_alpn_set_protocols(client->session, &protocol, 1, 0);
    gnutls_transport_set_int(client->session, client->fd.get());
    const auto number = static_cast<std::size_t>(client->fd.get());
    poller_.add(client->fd.get(), number);
    clients_[number] = std::move(client);
  }

  // False: it is over.
  bool serve(Client& client) {
    if (!client.open) {
      const int code = gnutls_handshake(client.session);
      if (code < 0) return gnutls_error_is_fatal(code) == 0;
      client.open = true;
      if (std::exchange(told_, true)) return true;
      char* text = gnutls_session_get_desc(client.session);
      std::fprintf(stderr, "suite %s\n", text != nullptr ? text : "?");
      gnutls_free(text);
    }
    for (;;) {
      const ssize_t size = gnutls_record_recv(client.session, buffer_.data(), buffer_.size());
      if (size == 0) return false;
      if (size < 0) return gnutls_error_is_fatal(static_cast<int>(size)) == 0;
      client.input.append(buffer_.data(), static_cast<std::size_t>(size));
      if (!parse(client)) return false;
    }
  }

  bool parse(Client& client) {
    while (!client.input.empty()) {
      if (!client.parser) {
        client.parser = std::make_unique<http::request_parser<http::string_body>>();
        client.parser->eager(true);
        client.parser->body_limit(kMostBody);
      }
      boost::beast::error_code error;
      const std::size_t taken = client.parser->put(boost::asio::buffer(client.input), error);
      client.input.erase(0, taken);
      if (error == http::error::need_more || (!error && !client.parser->is_done())) return true;
      if (error) return false;
      if (!answer(client)) return false;
      client.parser.reset();
    }
    return true;
  }

  bool answer(Client& client) {
    const auto& request = client.parser->get();
    const auto wanted = request[kAnswerBytes];
    std::size_t bytes = 0;
    std::from_chars(wanted.data(), wanted.data() + wanted.size(), bytes);
    http::response<http::string_body> response{http::status::ok, 11};
    response.set(http::field::content_type, "application/yang-data+json");
    response.body().assign(std::min<std::size_t>(bytes, kMostBody), 'x');
    response.prepare_payload();
    http::serializer<false, http::string_body> serializer{response};
    out_.clear();
    boost::beast::error_code error;
    while (!serializer.is_done() && !error) {
      serializer.next(error, [&](boost::beast::error_code&, const auto& buffers) {
        std::size_t count = 0;
        for (auto at = boost::asio::buffer_sequence_begin(buffers); at != boost::asio::buffer_sequence_end(buffers);
             ++at) {
          const boost::asio::const_buffer piece{*at};
          out_.append(static_cast<const char*>(piece.data()), piece.size());
          count += piece.size();
        }
        serializer.consume(count);
      });
    }
    return !error && send(client);
  }

  bool send(Client& client) {
    for (std::size_t sent = 0; sent < out_.size();) {
      const ssize_t size = gnutls_record_send(client.session, out_.data() + sent, out_.size() - sent);
      if (size > 0) {
        sent += static_cast<std::size_t>(size);
      } else if (size == GNUTLS_E_AGAIN || size == GNUTLS_E_INTERRUPTED) {
        pollfd writable{client.fd.get(), POLLOUT, 0};
        ::poll(&writable, 1, 1000);
      } else {
        return false;
      }
    }
    return true;
  }

  int listener_;
  Poller poller_;
  gnutls_certificate_credentials_t x509_ = nullptr;
  gnutls_priority_t priority_ = nullptr;
  std::unordered_map<std::size_t, std::unique_ptr<Client>> clients_;
  std::array<char, 16384> buffer_{};
  std::string out_;
  bool told_ = false;
};

}  // namespace

int run_https(const std::string& folder) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in own{};
  own.sin_family = AF_INET;
  own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (listener < 0 || ::bind(listener, reinterpret_cast<sockaddr*>(&own), sizeof own) != 0 ||
      ::listen(listener, SOMAXCONN) != 0) {
    std::fprintf(stderr, "dots-bench: no port on 127.0.0.1: %s\n", std::strerror(errno));
    return 1;
  }
  Web web{listener};
  if (!web.load(folder)) {
    std::fprintf(stderr, "dots-bench: the credentials in '%s' cannot be used\n", folder.c_str());
    return 1;
  }
  announce(listener);
  web.run();
}

}  // namespace dots::bench
