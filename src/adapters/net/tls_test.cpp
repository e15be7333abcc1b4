// TLS over TCP in memory: versions, credentials, ALPN, records, and the end.
#include "adapters/net/tls_channel.h"

#include "adapters/net/gnutls_handles.h"
#include "adapters/net/ticket_cache.h"
#include "adapters/net/ticket_keys.h"
#include "tests/support/dtls_fixture.h"
#include "tests/support/tls_pair.h"

namespace dots::adapters::net {
namespace {

using test::TlsPair;

class Tls : public Dtls {
 protected:
  static TlsPair pair(const std::shared_ptr<const Credentials>& client, std::size_t piece = 1U << 20,
                      const std::string& name = "server.example",
                      const std::shared_ptr<const Credentials>& server = server_credentials()) {
    TlsPair p;
    TlsAcceptor acceptor{server};
    TlsConnector connector{client};
    ports::ChannelEvents events;
    p.server.channel = *acceptor.accept();
    p.client.channel = *connector.connect(name, events);
    TlsPair::take(p.client, std::move(events), p.to_server);
    p.settle(piece);
    return p;
  }
};

// S9132-3-02, S9132-7.1-01: both sides prove who they are, over TCP as over UDP.
TEST_F(Tls, CertificatesProveBothSides) {
  const TlsPair p = pair(client_credentials());
  ASSERT_TRUE(p.client.opened && p.server.opened) << p.client.reason << p.server.reason;
  EXPECT_EQ(p.server.channel->identity().names.front(), "client.example");
  EXPECT_EQ(p.server.channel->identity().kind, model::CredentialKind::x509);
  EXPECT_EQ(p.client.channel->identity().names.front(), "server.example");
  EXPECT_FALSE(p.server.channel->timeout());
}

TEST_F(Tls, PreSharedKeysProveBothSides) {
  TlsPair p = pair(psk_client("home", kKey));
  ASSERT_TRUE(p.client.opened && p.server.opened) << p.client.reason << p.server.reason;
  EXPECT_EQ(p.server.channel->identity().kind, model::CredentialKind::psk);
  EXPECT_EQ(p.server.channel->identity().names, (std::vector<std::string>{"home"}));
  EXPECT_TRUE(p.send(true, base::as_bytes("up")));
  EXPECT_TRUE(p.send(false, base::as_bytes("down")));
  p.settle();
  EXPECT_EQ(p.server.received, (std::vector<std::string>{"up"}));
  EXPECT_EQ(p.client.received, (std::vector<std::string>{"down"}));
}

// S8612-SEC-001-01, S8811-5-03
TEST_F(Tls, WrongKeysAndStrangersAreRefused) {
  for (const auto& [identity, key] :
       {std::pair{std::string{"home"}, base::Bytes(16, 1)}, std::pair{std::string{"nobody"}, kKey}}) {
    const TlsPair p = pair(psk_client(identity, key));
    EXPECT_FALSE(p.server.opened) << identity;
    EXPECT_TRUE(p.server.closed) << identity;
    EXPECT_TRUE(p.client.closed) << identity;
  }
  TestPki foreign;
  auto issued = foreign.issue({.name = "client", .common_name = "x", .dns = {"client.example"}});
  const TlsPair p = pair(load(sources(issued, pki()), Side::client));
  EXPECT_FALSE(p.server.opened);
  EXPECT_NE(p.server.reason.find("not issued by a CA"), std::string::npos) << p.server.reason;
  const TlsPair q = pair(client_credentials(), 1U << 20, "other.example");
  EXPECT_TRUE(q.client.closed);
  EXPECT_NE(q.client.reason.find("not for the name 'other.example'"), std::string::npos) << q.client.reason;
  EXPECT_FALSE(q.server.opened);
}

TEST_F(Tls, PiecesOfAnySizeWork) {
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{1000}}) {
    TlsPair p = pair(client_credentials(), piece);
    ASSERT_TRUE(p.client.opened && p.server.opened) << piece;
    const std::string large(100000, 'x');
    EXPECT_TRUE(p.send(true, base::as_bytes(large)));
    EXPECT_TRUE(p.send(true, base::as_bytes("end")));
    p.settle(piece);
    std::string all;
    for (const auto& part : p.server.received) all += part;
    EXPECT_EQ(all, large + "end");
  }
}

TEST_F(Tls, TheEndIsSaidAndHeard) {
  TlsPair p = pair(client_credentials());
  ports::ChannelEvents events;
  p.server.channel->close(events);
  TlsPair::take(p.server, std::move(events), p.to_client);
  p.settle();
  EXPECT_TRUE(p.client.closed);
  EXPECT_EQ(p.client.reason, "the peer closed the session");
  EXPECT_FALSE(p.send(false, base::as_bytes("late")));
}

// S9132-7.1-09 over TCP: TLS 1.3 gives its tickets after the handshake.
TEST_F(Tls, SessionsResumeByTickets) {
  const auto keys = TicketKeys::open("", {}, std::chrono::hours{24}, wall_now(),
                                     [](const std::string&) { return base::Result<void>{}; });
  ASSERT_TRUE(keys.ok());
  TlsAcceptor acceptor{server_credentials(), {.keys = *keys}};
  TlsConnector connector{client_credentials(), {.tickets = std::make_shared<TicketCache>()}};
  for (const bool resumed : {false, true, true}) {
    TlsPair p;
    ports::ChannelEvents events;
    p.server.channel = *acceptor.accept();
    p.client.channel = *connector.connect("server.example", events);
    TlsPair::take(p.client, std::move(events), p.to_server);
    p.settle();
    ASSERT_TRUE(p.client.opened && p.server.opened) << p.client.reason << p.server.reason;
    EXPECT_EQ(p.client.channel->resumed(), resumed);
    EXPECT_EQ(p.server.channel->resumed(), resumed);
    EXPECT_EQ(p.server.channel->identity().names.front(), "client.example");
    p.send(false, base::as_bytes("first word"));
    p.settle();
    EXPECT_EQ(p.client.received, (std::vector<std::string>{"first word"}));
  }
}

TEST_F(Tls, ChangedRecordsEndTheSession) {
  TlsPair p = pair(client_credentials());
  p.send(true, base::as_bytes("hello"));
  p.to_server.back() ^= 1U;
  p.settle();
  EXPECT_TRUE(p.server.received.empty());
  EXPECT_TRUE(p.server.closed);
}

// S8612-SEC-003-01
TEST_F(Tls, GarbageInsteadOfAHelloIsRefused) {
  TlsAcceptor acceptor{server_credentials()};
  TlsPair p;
  p.server.channel = *acceptor.accept();
  const std::string http = "GET / HTTP/1.1\r\nHost: example\r\n\r\n";
  ports::ChannelEvents events;
  p.server.channel->on_datagram(base::as_bytes(http), events);
  EXPECT_TRUE(events.closed);
  EXPECT_FALSE(events.opened);
  EXPECT_FALSE(events.reason.empty());
}

// A peer of plain GnuTLS with its own version and ALPN, against our server or our client.
class RawPeer {
 public:
  RawPeer(bool client, const Credentials& credentials, const char* priorities, const char* alpn) {
    gnutls_init(&session_, (client ? GNUTLS_CLIENT : GNUTLS_SERVER) | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL);
    gnutls_priority_set_direct(session_, priorities, nullptr);
    gnutls_credentials_set(session_, GNUTLS_CRD_CERTIFICATE, credentials.handles().x509);
    context_.credentials = &credentials.handles();
    context_.server_name = "server.example";
    gnutls_session_set_ptr(session_, &context_);
    if (!client) gnutls_certificate_server_set_request(session_, GNUTLS_CERT_REQUIRE);
    if (alpn != nullptr) {
      const gnutls_datum_t name{reinterpret_cast<unsigned char*>(const_cast<char*>(alpn)),
                                static_cast<unsigned>(std::string_view{alpn}.size())};
      gnutls_alpn_set_protocols(session_, &name, 1, 0);
    }
    gnutls_transport_set_ptr(session_, this);
    gnutls_transport_set_push_function(session_, [](gnutls_transport_ptr_t self, const void* data, std::size_t size) {
      const auto* bytes = static_cast<const std::uint8_t*>(data);
      auto& sent = static_cast<RawPeer*>(self)->out;
      sent.insert(sent.end(), bytes, bytes + size);
      return static_cast<ssize_t>(size);
    });
    gnutls_transport_set_pull_function(session_, [](gnutls_transport_ptr_t self, void* data, std::size_t size) {
      auto& peer = *static_cast<RawPeer*>(self);
      const std::size_t count = std::min(size, peer.in.size());
      if (count == 0) {
        gnutls_transport_set_errno(peer.session_, EAGAIN);
        return static_cast<ssize_t>(-1);
      }
      std::copy_n(peer.in.begin(), count, static_cast<std::uint8_t*>(data));
      peer.in.erase(peer.in.begin(), peer.in.begin() + static_cast<std::ptrdiff_t>(count));
      return static_cast<ssize_t>(count);
    });
    gnutls_transport_set_pull_timeout_function(session_, [](gnutls_transport_ptr_t self, unsigned) {
      return static_cast<RawPeer*>(self)->in.empty() ? 0 : 1;
    });
  }
  ~RawPeer() { gnutls_deinit(session_); }
  RawPeer(const RawPeer&) = delete;
  RawPeer& operator=(const RawPeer&) = delete;

  // Reads what is there and gives its answer to the other; false when there was none.
  bool turn(test::ChannelEnd& other) {
    int code = GNUTLS_E_SUCCESS;
    if (!done) {
      code = gnutls_handshake(session_);
      done = code == GNUTLS_E_SUCCESS;
    } else {
      std::array<char, 100> buffer{};
      code = static_cast<int>(gnutls_record_recv(session_, buffer.data(), buffer.size()));
    }
    if (code == GNUTLS_E_FATAL_ALERT_RECEIVED) alert = gnutls_alert_get(session_);
    if (out.empty()) return false;
    ports::ChannelEvents events;
    other.channel->on_datagram(std::exchange(out, {}), events);
    TlsPair::take(other, std::move(events), in);
    return true;
  }
  // Until nothing moves any more.
  void talk(test::ChannelEnd& other, base::Bytes first = {}) {
    in = std::move(first);
    for (int quiet = 0; quiet < 3; ++quiet) {
      if (turn(other)) quiet = 0;
    }
  }
  gnutls_protocol_t version() const { return gnutls_protocol_get_version(session_); }

  base::Bytes in, out;
  bool done = false;
  int alert = -1;

 private:
  gnutls_session_t session_ = nullptr;
  SessionContext context_;
};

struct Seen {
  bool opened, done;
  int alert;
  std::string reason;
  gnutls_protocol_t version;
};
Seen client_with(const Credentials& credentials, std::shared_ptr<const Credentials> server, const char* priorities,
                 const char* alpn) {
  TlsAcceptor acceptor{std::move(server)};
  test::ChannelEnd end;
  end.channel = *acceptor.accept();
  RawPeer peer{true, credentials, priorities, alpn};
  peer.talk(end);
  return {end.opened && !end.closed, peer.done, peer.alert, end.reason, peer.version()};
}

// S9132-7.1-02, S8612-SEC-002-02: TLS 1.2 and 1.3, nothing older.
TEST_F(Tls, VersionsFrom12On) {
  const auto with = [](const char* priorities) {
    return client_with(*client_credentials(), server_credentials(), priorities, "coap");
  };
  const Seen new_one = with("NORMAL");
  EXPECT_TRUE(new_one.opened) << new_one.reason;
  EXPECT_EQ(new_one.version, GNUTLS_TLS1_3);
  const Seen old_one = with("NORMAL:-VERS-ALL:+VERS-TLS1.2");
  EXPECT_TRUE(old_one.opened) << old_one.reason;
  EXPECT_EQ(old_one.version, GNUTLS_TLS1_2);
  const Seen too_old = with("NORMAL:-VERS-ALL:+VERS-TLS1.1:+VERS-TLS1.0:+SHA1:+SIGN-ALL:%VERIFY_ALLOW_SIGN_WITH_SHA1");
  EXPECT_FALSE(too_old.opened);
  EXPECT_FALSE(too_old.done);
}

// S9132-3-04: ALPN `coap`, on both sides; a client that offers nothing is served, one that offers something else is
// not.
TEST_F(Tls, AlpnIsNegotiated) {
  const Seen without = client_with(*client_credentials(), server_credentials(), "NORMAL", nullptr);
  EXPECT_TRUE(without.opened) << without.reason;
  const Seen other = client_with(*client_credentials(), server_credentials(), "NORMAL", "h2");
  EXPECT_FALSE(other.opened);
  EXPECT_EQ(other.alert, GNUTLS_A_NO_APPLICATION_PROTOCOL);

  for (const char* alpn : {static_cast<const char*>(nullptr), "coap"}) {
    TlsConnector connector{client_credentials()};
    test::ChannelEnd end;
    base::Bytes hello;
    ports::ChannelEvents events;
    end.channel = *connector.connect("server.example", events);
    TlsPair::take(end, std::move(events), hello);
    RawPeer server{false, *server_credentials(), "NORMAL", alpn};
    server.talk(end, std::move(hello));
    EXPECT_EQ(end.closed, alpn == nullptr);
    EXPECT_EQ(end.channel->is_open(), alpn != nullptr) << end.reason;
  }
}

}  // namespace
}  // namespace dots::adapters::net
