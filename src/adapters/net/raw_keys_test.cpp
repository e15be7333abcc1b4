// Raw public keys (RFC 7250): who gets in by one, beside certificates and PSK, over DTLS and TLS, resumed, and
// rechecked.
#include "adapters/net/ticket_cache.h"
#include "adapters/net/ticket_keys.h"
#include "adapters/net/tls_channel.h"
#include "tests/support/dtls_fixture.h"
#include "tests/support/tls_pair.h"

namespace dots::adapters::net {
namespace {

using model::CredentialKind;
constexpr char kServer[] = "server.example";

class RawKeys : public Dtls {
 protected:
  // The SHA-256 of the public key of a certificate is that of the raw public key of its private key.
  static base::Bytes server_key() { return server_credentials()->own_identity().fingerprint; }
  static base::Bytes client_key() { return client_credentials()->own_identity().fingerprint; }

  static CredentialSources raw_client_sources(const std::vector<PeerKey>& servers = {{server_key(), kServer}}) {
    CredentialSources own;
    own.key_file = client_certificate().key_file;
    own.peer_keys = servers;
    return own;
  }
  static CredentialSources raw_server_sources(const std::vector<base::Bytes>& clients = {client_key()}) {
    CredentialSources own;
    own.key_file = server_certificate().key_file;
    for (const auto& key : clients) own.peer_keys.push_back({key, ""});
    return own;
  }
  // Certificates, PSK and raw keys at once.
  static CredentialSources mixed_server_sources() {
    CredentialSources own = server_sources();
    own.peer_keys = {{client_key(), ""}};
    return own;
  }
  void serve(const CredentialSources& sources) { admission_.replace_credentials(load(sources, Side::server)); }
  std::unique_ptr<DtlsPair> connect(const CredentialSources& client) { return pair(load(client, Side::client)); }
  static bool open(const DtlsPair& p) {
    EXPECT_TRUE(p.client.opened && p.server.opened) << p.client.reason << " / " << p.server.reason;
    return p.client.opened && p.server.opened;
  }
};

// S9132-7.1-10: mutual authentication by raw public keys alone, without any certificate.
TEST_F(RawKeys, BothSidesProveARawKey) {
  serve(raw_server_sources());
  const auto client = load(raw_client_sources(), Side::client);
  const auto p = pair(client);
  ASSERT_TRUE(open(*p));
  EXPECT_EQ(p->server.channel->identity().kind, CredentialKind::raw_public_key);
  EXPECT_EQ(p->server.channel->identity().fingerprint, client_key());
  EXPECT_EQ(p->server.channel->identity(), client->own_identity()) << "so that both derive the same cuid";
  EXPECT_EQ(p->client.channel->identity().kind, CredentialKind::raw_public_key);
  EXPECT_EQ(p->client.channel->identity().fingerprint, server_key());
  EXPECT_TRUE(p->send(p->client, p->server, "ping"));
  p->settle();
  EXPECT_EQ(p->server.received, std::vector<std::string>{"ping"});
}

TEST_F(RawKeys, StandBesideCertificatesAndPsk) {
  serve(mixed_server_sources());
  const auto raw = connect(raw_client_sources());
  const auto certificate = pair(client_credentials());
  const auto psk = pair(psk_client("home", kKey));
  ASSERT_TRUE(open(*raw) && open(*certificate) && open(*psk));
  EXPECT_EQ(raw->server.channel->identity().kind, CredentialKind::raw_public_key);
  EXPECT_EQ(raw->client.channel->identity().kind, CredentialKind::raw_public_key);
  EXPECT_EQ(certificate->server.channel->identity().kind, CredentialKind::x509);
  EXPECT_EQ(certificate->client.channel->identity().kind, CredentialKind::x509);
  EXPECT_EQ(psk->server.channel->identity().kind, CredentialKind::psk);
}

TEST_F(RawKeys, EachSideChoosesItsOwn) {
  serve(mixed_server_sources());
  CredentialSources pinning = sources(client_certificate());
  pinning.peer_keys = {{server_key(), kServer}};
  const auto by_certificate = connect(pinning);
  ASSERT_TRUE(open(*by_certificate));
  EXPECT_EQ(by_certificate->server.channel->identity().kind, CredentialKind::x509);
  EXPECT_EQ(by_certificate->client.channel->identity().kind, CredentialKind::raw_public_key);

  CredentialSources trusting = raw_client_sources({{server_key(), "elsewhere.example"}});
  trusting.ca_file = pki().ca_file();
  const auto by_key = connect(trusting);
  ASSERT_TRUE(open(*by_key));
  EXPECT_EQ(by_key->server.channel->identity().kind, CredentialKind::raw_public_key);
  EXPECT_EQ(by_key->client.channel->identity().kind, CredentialKind::x509) << "no key is configured for this server";
}

TEST_F(RawKeys, AStrangersKeyIsRefused) {
  const auto stranger = pki().issue({.name = "stranger"});
  CredentialSources client = raw_client_sources();
  client.key_file = stranger.key_file;
  const CredentialSources server = mixed_server_sources();
  const std::string key = base::to_hex(load(client, Side::client)->own_identity().fingerprint);
  expect_refused(client, "its raw public key " + key + " is not configured", &server);
}

// A server that knows certificates only has nothing to check a raw key with.
TEST_F(RawKeys, AServerWithoutThemTakesNone) {
  const auto p = connect(raw_client_sources());
  EXPECT_FALSE(p->server.opened || p->client.opened);
  EXPECT_TRUE(p->server.closed && p->client.closed);
}

TEST_F(RawKeys, AnotherKeyOfTheServerIsRefused) {
  serve(mixed_server_sources());
  for (const PeerKey& pin : {PeerKey{client_key(), kServer}, PeerKey{base::Bytes{}, kServer}}) {
    const auto p = connect(raw_client_sources({pin}));
    EXPECT_FALSE(p->client.opened || p->server.opened);
    EXPECT_EQ(p->client.reason, "its raw public key " + base::to_hex(server_key()) + " is not configured");
  }
}

// Neither an authority nor another server's key helps against the key that is configured for this one.
TEST_F(RawKeys, APinnedServerProvesNothingElse) {
  CredentialSources pinning = sources(client_certificate());
  pinning.peer_keys = {{client_key(), kServer}, {server_key(), "elsewhere.example"}};
  const auto by_certificate = connect(pinning);
  EXPECT_FALSE(by_certificate->client.opened) << "the server has a good certificate";
  serve(mixed_server_sources());
  const auto by_key = connect(pinning);
  EXPECT_FALSE(by_key->client.opened);
  EXPECT_NE(by_key->client.reason.find("is not configured"), std::string::npos) << by_key->client.reason;
}

class RawTickets : public RawKeys {
 protected:
  void serve_resuming(const CredentialSources& sources) {
    DtlsOptions options = kFast;
    options.resumption.keys = keys_;
    admission_ = DtlsAdmission{load(sources, Side::server), options};
  }
  std::unique_ptr<DtlsPair> resuming(const CredentialSources& client) {
    DtlsOptions own = kFast;
    own.resumption.tickets = cache_;
    return pair(load(client, Side::client), kServer, {}, own);
  }
  std::shared_ptr<TicketKeys> keys_ = *TicketKeys::open("", {}, std::chrono::hours{24}, wall_now(),
                                                        [](const std::string&) { return base::Result<void>{}; });
  std::shared_ptr<TicketCache> cache_ = std::make_shared<TicketCache>();
};

TEST_F(RawTickets, AResumedSessionIsChecked) {
  serve_resuming(raw_server_sources());
  ASSERT_TRUE(open(*resuming(raw_client_sources())));
  const auto again = resuming(raw_client_sources());
  ASSERT_TRUE(open(*again));
  EXPECT_TRUE(again->server.channel->resumed());
  EXPECT_EQ(again->server.channel->identity().kind, CredentialKind::raw_public_key);
  EXPECT_EQ(again->server.channel->identity().fingerprint, client_key());
  EXPECT_EQ(again->client.channel->identity().fingerprint, server_key());

  serve_resuming(raw_server_sources({server_key()}));
  const auto refused = resuming(raw_client_sources());
  EXPECT_FALSE(refused->server.opened) << "its key was taken away";
  EXPECT_NE(refused->server.reason.find("is not configured"), std::string::npos) << refused->server.reason;
}

TEST_F(RawTickets, AClientChecksAResumedServer) {
  serve_resuming(raw_server_sources());
  ASSERT_TRUE(open(*resuming(raw_client_sources())));
  const auto p = resuming(raw_client_sources({{client_key(), kServer}}));
  EXPECT_FALSE(p->client.opened);
  EXPECT_NE(p->client.reason.find("is not configured"), std::string::npos) << p->client.reason;
}

// A ticket of the time before the key was configured for the server.
TEST_F(RawTickets, ACertificateOfAPinnedServerIsNotResumed) {
  serve_resuming(mixed_server_sources());
  ASSERT_TRUE(open(*resuming(sources(client_certificate()))));
  CredentialSources pinning = sources(client_certificate());
  pinning.peer_keys = {{server_key(), kServer}};
  const auto p = resuming(pinning);
  EXPECT_TRUE(!p->client.opened || p->client.channel->identity().kind == CredentialKind::raw_public_key);
  const auto next = resuming(pinning);
  ASSERT_TRUE(open(*next));
  EXPECT_EQ(next->client.channel->identity().kind, CredentialKind::raw_public_key);
}

TEST_F(RawKeys, ARecheckEndsASessionWhoseKeyIsGone) {
  const auto first = load(mixed_server_sources(), Side::server);
  admission_.replace_credentials(first);
  const auto p = connect(raw_client_sources());
  ASSERT_TRUE(open(*p));
  EXPECT_EQ(p->server.channel->recheck(wall_now() + std::chrono::hours{24 * 3650}), std::nullopt)
      << "a raw key does not expire";
  const auto next = load(server_sources(), Side::server);
  Credentials::succeed(first, next);
  const auto ended = p->server.channel->recheck(wall_now());
  ASSERT_TRUE(ended.has_value());
  EXPECT_NE(ended->find("is not configured"), std::string::npos) << *ended;
}

TEST_F(RawKeys, OverTcp) {
  const auto keys = *TicketKeys::open("", {}, std::chrono::hours{24}, wall_now(),
                                      [](const std::string&) { return base::Result<void>{}; });
  const auto cache = std::make_shared<TicketCache>();
  const auto connect = [&](const CredentialSources& client, const CredentialSources& server) {
    TlsAcceptor acceptor{load(server, Side::server), {.keys = keys}};
    TlsConnector connector{load(client, Side::client), {.tickets = cache}};
    test::TlsPair p;
    ports::ChannelEvents events;
    p.server.channel = *acceptor.accept();
    p.client.channel = *connector.connect(kServer, events);
    test::TlsPair::take(p.client, std::move(events), p.to_server);
    p.settle();
    return p;
  };
  for (const bool resumed : {false, true}) {
    auto p = connect(raw_client_sources(), raw_server_sources());
    ASSERT_TRUE(p.client.opened && p.server.opened) << p.client.reason << " / " << p.server.reason;
    EXPECT_EQ(p.server.channel->resumed(), resumed);
    EXPECT_TRUE(p.send(false, base::as_bytes("TLS 1.3 brings its ticket after the handshake")));
    p.settle();
    EXPECT_EQ(p.server.channel->identity().kind, CredentialKind::raw_public_key);
    EXPECT_EQ(p.server.channel->identity().fingerprint, client_key());
    EXPECT_EQ(p.client.channel->identity().fingerprint, server_key());
  }
  EXPECT_FALSE(connect(raw_client_sources(), raw_server_sources({server_key()})).server.opened);
  EXPECT_FALSE(connect(raw_client_sources({{client_key(), kServer}}), raw_server_sources()).client.opened);
}

TEST_F(RawKeys, ThePrivateKeyMustBeThere) {
  const auto problem = [](const CredentialSources& sources) {
    const auto result = Credentials::load(sources, Side::server, wall_now());
    return result.ok() ? std::string{"none"} : to_string(result.error().front());
  };
  CredentialSources own = raw_server_sources();
  own.key_file.clear();
  EXPECT_NE(problem(own).find("key_file is missing: we have nothing to prove ourselves with"), std::string::npos);
  own.key_file = pki().dir().write("noise.key", "hello\n");
  EXPECT_NE(problem(own).find("noise.key: no usable private key"), std::string::npos) << problem(own);
}

}  // namespace
}  // namespace dots::adapters::net
