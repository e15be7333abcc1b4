// Who may open a session: certificates, PSK, names.
#include "tests/support/dtls_fixture.h"

namespace dots::adapters::net {
namespace {

// S9132-8-01, S9132-8-02, S9132-8-03, S9132-4.4-08, S8811-2.1-01: both sides prove themselves with certificates.
TEST_F(Dtls, X509BothWays) {
  const auto p = pair(client_credentials());
  ASSERT_TRUE(p->client.opened && p->server.opened) << p->client.reason << p->server.reason;
  const model::PeerIdentity& client = p->server.channel->identity();
  EXPECT_EQ(client.kind, model::CredentialKind::x509);
  EXPECT_EQ(client.names,
            (std::vector<std::string>{"client.example", "dots://client.example", "noc@client.example", "client-cn"}));
  EXPECT_EQ(client.fingerprint.size(), 32U);
  EXPECT_EQ(client, client_credentials()->own_identity()) << "both sides derive the same default cuid";
  EXPECT_EQ(client.not_after_unix_s, gnutls_x509_crt_get_expiration_time(client_certificate().certificate));
  EXPECT_EQ(p->client.channel->identity().names.front(), "server.example");
  EXPECT_FALSE(p->client.channel->timeout().has_value());
  EXPECT_FALSE(p->server.channel->resumed());

  EXPECT_TRUE(p->send(p->client, p->server, "ping"));
  EXPECT_TRUE(p->send(p->server, p->client, "pong"));
  p->settle();
  EXPECT_EQ(p->server.received, std::vector<std::string>{"ping"});
  EXPECT_EQ(p->client.received, std::vector<std::string>{"pong"});
}

// S9132-8-04, S9132-7.1-10: without certificates, PSK with ephemeral keys.
TEST_F(Dtls, PskBothWays) {
  const auto p = pair(psk_client("home", kKey));
  ASSERT_TRUE(p->client.opened && p->server.opened) << p->client.reason << p->server.reason;
  EXPECT_EQ(p->server.channel->identity().kind, model::CredentialKind::psk);
  EXPECT_EQ(p->server.channel->identity().names, std::vector<std::string>{"home"});
  EXPECT_TRUE(p->send(p->client, p->server, "ping"));
  p->settle();
  EXPECT_EQ(p->server.received, std::vector<std::string>{"ping"});
}

TEST_F(Dtls, ServerWithPskAlone) {
  admission_.replace_credentials(load(
      {.ca_file = "", .crl_file = "", .certificate_file = "", .key_file = "", .psk = {{"home", kKey}}}, Side::server));
  EXPECT_TRUE(pair(psk_client("home", kKey))->server.opened);
  const auto p = pair(client_credentials());
  EXPECT_FALSE(p->server.opened);
  EXPECT_NE(p->server.reason.find("no common cipher suite"), std::string::npos) << p->server.reason;
}

// A wrong key and an unknown identity take the same way: the Finished does not decrypt, and both sides time out.
TEST_F(Dtls, PskRefusals) {
  DtlsOptions brief = kFast;
  brief.handshake_time = 200ms;
  const auto wrong_key = [&] { return pair(psk_client("home", base::Bytes(16, 7)), "server.example", {}, brief); };
  const auto unknown = [&] { return pair(psk_client("nobody", kKey), "server.example", {}, brief); };
  const auto p = wrong_key();
  const auto q = unknown();
  for (const auto* one : {p.get(), q.get()}) {
    EXPECT_FALSE(one->server.opened || one->client.opened);
    EXPECT_NE(one->client.reason.find("timed out"), std::string::npos) << one->client.reason;
  }
  EXPECT_EQ(p->client.reason, q->client.reason) << "the client cannot tell which of the two it was";
  ports::ChannelEvents events;
  p->server.channel->close(events);
  EXPECT_NE(events.reason.find("key of PSK identity 'home' may differ"), std::string::npos) << events.reason;
  q->server.channel->close(events);
  EXPECT_EQ(events.reason, "PSK identity 'nobody' is unknown");
  EXPECT_FALSE(q->server.channel->is_open());
}

// S9132-8-02
TEST_F(Dtls, ExpiredClientIsRefused) {
  // Our own client would not start with it: a plain one is told to.
  const auto expired =
      pki().issue({.name = "expired", .dns = {"client.example"}, .not_before_s = -7200, .not_after_s = -3600});
  const auto early = pki().issue({.name = "early", .dns = {"client.example"}, .not_before_s = 7200});
  for (const auto& [issued, why] : {std::pair{expired, "expired"}, std::pair{early, "not valid yet"}}) {
    const auto then = Credentials::load(sources(issued), Side::client,
                                        wall_now() + (issued.certificate == expired.certificate ? -5400s : 10000s));
    ASSERT_TRUE(then.ok());
    const auto p = pair(*then);
    EXPECT_FALSE(p->server.opened);
    EXPECT_NE(p->server.reason.find(why), std::string::npos) << p->server.reason;
    EXPECT_TRUE(p->client.closed);
  }
}

// S9132-8-01, S9132-8-02, S8612-SEC-001-01, S8811-5-03
TEST_F(Dtls, ForeignAndSelfSignedClientsAreRefused) {
  TestPki foreign{"Foreign CA"};
  expect_refused(sources(foreign.issue({.name = "c", .dns = {"client.example"}})), "not issued by a CA of ca_file");
  TestPki same_name;  // another CA with the name of ours
  expect_refused(sources(same_name.issue({.name = "c", .dns = {"client.example"}})), "certificate");
  expect_refused(
      sources(pki().issue({.name = "self", .common_name = "x", .dns = {"client.example"}, .self_signed = true})),
      "not issued by a CA of ca_file");
}

// S9132-8-02
TEST_F(Dtls, RevokedClientIsRefused) {
  const auto bad = pki().issue({.name = "revoked", .dns = {"client.example"}});
  CredentialSources with_list = server_sources();
  with_list.crl_file = pki().revoke({bad});
  expect_refused(sources(bad), "revoked", &with_list);
  EXPECT_TRUE(pair(client_credentials())->server.opened) << "others are not touched";
  with_list.crl_file = pki().revoke({bad}, "overdue.crl", -60);
  expect_refused(sources(bad), "revoked", &with_list);
  EXPECT_TRUE(pair(client_credentials())->server.opened) << "an overdue list stays in force and locks nobody else out";
}

TEST_F(Dtls, ClientCertificateForServersOnlyIsRefused) {
  expect_refused(
      sources(pki().issue({.name = "purpose", .dns = {"client.example"}, .purpose = GNUTLS_KP_TLS_WWW_SERVER})),
      "not for this purpose");
}

// S9132-7.1-03, S8612-SEC-001-01, S8811-5-03: the whole path of the server is verified.
TEST_F(Dtls, ClientVerifiesTheServersPath) {
  TestPki foreign{"Foreign CA"};
  CredentialSources server = sources(foreign.issue({.name = "s", .dns = {"server.example"}}));
  expect_server_refused(server, "server.example", "not issued by a CA of ca_file");
  server = sources(pki().issue(
      {.name = "missing", .dns = {"server.example"}, .through_intermediate = true, .leave_intermediate_out = true}));
  expect_server_refused(server, "server.example", "not issued by a CA of ca_file");
  server = sources(pki().issue({.name = "whole", .dns = {"server.example"}, .through_intermediate = true}));
  admission_.replace_credentials(load(server, Side::server));
  EXPECT_TRUE(pair(client_credentials())->client.opened);

  const auto expired =
      pki().issue({.name = "expired-s", .dns = {"server.example"}, .not_before_s = -7200, .not_after_s = -3600});
  const auto then = Credentials::load(sources(expired), Side::server, wall_now() - 5400s);
  ASSERT_TRUE(then.ok());
  admission_.replace_credentials(*then);
  const auto p = pair(client_credentials());
  EXPECT_FALSE(p->client.opened);
  EXPECT_NE(p->client.reason.find("expired"), std::string::npos) << p->client.reason;
}

// S9132-7.1-04: RFC 6125; DNS-ID first, the CN only without any DNS-ID, no wildcards.
TEST_F(Dtls, ClientMatchesTheServersName) {
  expect_server_refused(sources(server_certificate()), "other.example", "not for the name 'other.example'");
  expect_server_refused(sources(server_certificate()), "ignored", "not for the name");
  CredentialSources wildcard = sources(pki().issue({.name = "wild", .dns = {"*.example.net"}}));
  expect_server_refused(wildcard, "a.example.net", "not for the name");
  admission_.replace_credentials(load(sources(pki().issue({.name = "cn", .common_name = "cn.example"})), Side::server));
  EXPECT_TRUE(pair(client_credentials(), "cn.example")->client.opened);
}

// S9132-7.1-06
TEST_F(Dtls, UriIdIsNoServerName) {
  CredentialSources server = sources(
      pki().issue({.name = "uri", .common_name = "x", .uris = {"dots://server.example", "https://server.example"}}));
  expect_server_refused(server, "server.example", "not for the name");
}

// S9132-7.1-07
TEST_F(Dtls, ClientSendsTheServersName) {
  ports::ChannelEvents events;
  DtlsConnector connector{client_credentials(), kFast};
  auto named = connector.connect("server.example", events);
  ASSERT_EQ(events.datagrams.size(), 1U);
  EXPECT_NE(base::as_text(events.datagrams[0]).find("server.example"), std::string_view::npos);
  events = {};
  auto numbered = connector.connect("192.0.2.1", events);
  EXPECT_EQ(base::as_text(events.datagrams[0]).find("192.0.2.1"), std::string_view::npos) << "RFC 6066: no addresses";
  EXPECT_FALSE(connector.connect("", events).ok());
}

}  // namespace
}  // namespace dots::adapters::net
