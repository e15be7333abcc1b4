// Resumption by tickets over DTLS: what it needs, what it checks again, and what a bad path does to it.
#include <random>

#include "adapters/net/gnutls_handles.h"
#include "adapters/net/ticket_set.h"
#include "tests/support/dtls_fixture.h"

namespace dots::adapters::net {
namespace {

constexpr base::Duration kDay = std::chrono::hours{24};

struct Kept {
  std::string text;
  int writes = 0;
  TicketKeys::Save save() {
    return [this](const std::string& next) -> base::Result<void> {
      text = next;
      ++writes;
      return {};
    };
  }
};

std::shared_ptr<TicketKeys> open_keys(Kept& kept, base::WallTime now = wall_now(), const std::vector<Psk>& psk = {}) {
  auto keys = TicketKeys::open(kept.text, psk, kDay, now, kept.save());
  if (!keys) throw std::runtime_error{keys.error().message};
  return *keys;
}

class Tickets : public Dtls {
 protected:
  std::unique_ptr<DtlsPair> connect(const std::shared_ptr<const Credentials>& client = client_credentials(),
                                    const DtlsPair::Filter& filter = {}) {
    DtlsOptions own = kFast;
    own.resumption.tickets = cache_;
    return pair(client, "server.example", filter, own);
  }
  void serve(const std::shared_ptr<const Credentials>& credentials, const std::shared_ptr<TicketKeys>& keys) {
    DtlsOptions options = kFast;
    options.resumption.keys = keys;
    admission_ = DtlsAdmission{credentials, options};
  }
  static bool resumed(const DtlsPair& p) {
    EXPECT_TRUE(p.client.opened && p.server.opened) << p.client.reason << " / " << p.server.reason;
    if (!p.client.opened || !p.server.opened) return false;
    EXPECT_EQ(p.client.channel->resumed(), p.server.channel->resumed());
    return p.server.channel->resumed();
  }

  Kept kept_;
  std::shared_ptr<TicketCache> cache_ = std::make_shared<TicketCache>();
};

// S9132-7.1-09: a server that has restarted, with nothing but its key file, resumes the session.
TEST_F(Tickets, AServerResumesAfterARestart) {
  serve(server_credentials(), open_keys(kept_));
  EXPECT_FALSE(resumed(*connect()));
  EXPECT_EQ(cache_->size(), 1U);
  const int writes = kept_.writes;
  serve(server_credentials(), open_keys(kept_));
  EXPECT_EQ(kept_.writes, writes) << "the keys are used on, not made anew";
  const auto p = connect();
  EXPECT_TRUE(resumed(*p));
  EXPECT_EQ(p->server.channel->identity(), client_credentials()->own_identity()) << "the ticket names the same peer";
  EXPECT_EQ(p->client.channel->identity().names.front(), "server.example");
  EXPECT_TRUE(p->send(p->client, p->server, "ping"));
  p->settle();
  EXPECT_EQ(p->server.received, std::vector<std::string>{"ping"});
}

// S8811-3.2.4-02, S8612-SIG-005-02
TEST_F(Tickets, WithoutTheKeysTheHandshakeIsFull) {
  serve(server_credentials(), open_keys(kept_));
  EXPECT_FALSE(resumed(*connect()));
  Kept other;
  serve(server_credentials(), open_keys(other));
  EXPECT_FALSE(resumed(*connect())) << "in the same exchange, without a second attempt";
  EXPECT_TRUE(resumed(*connect())) << "with the ticket of the new keys";
  serve(server_credentials(), nullptr);
  EXPECT_FALSE(resumed(*connect()));
}

TEST_F(Tickets, APskSessionIsResumed) {
  serve(server_credentials(), open_keys(kept_));
  const auto home = psk_client("home", kKey);
  EXPECT_FALSE(resumed(*connect(home)));
  const auto p = connect(home);
  EXPECT_TRUE(resumed(*p));
  EXPECT_EQ(p->server.channel->identity().kind, model::CredentialKind::psk);
  EXPECT_EQ(p->server.channel->identity().names, std::vector<std::string>{"home"});
}

TEST_F(Tickets, OneClientsTicketIsNotOfferedForAnother) {
  serve(server_credentials(), open_keys(kept_));
  EXPECT_FALSE(resumed(*connect(psk_client("home", kKey))));
  const auto p = connect(psk_client("other", base::Bytes(16, 9)));
  EXPECT_FALSE(resumed(*p));
  EXPECT_EQ(p->server.channel->identity().names, std::vector<std::string>{"other"});
}

// The old key serves one period more, then it is gone; a restart in between changes nothing.
TEST_F(Tickets, KeysTakeTurns) {
  const base::WallTime now = wall_now();
  auto keys = open_keys(kept_, now);
  serve(server_credentials(), keys);
  EXPECT_FALSE(resumed(*connect()));
  EXPECT_FALSE(*keys->turn(now + kDay - 1s));
  EXPECT_TRUE(*keys->turn(now + kDay));
  EXPECT_TRUE(resumed(*connect())) << "sealed by the key before";
  serve(server_credentials(), open_keys(kept_, now + kDay + 1h));
  EXPECT_TRUE(resumed(*connect()));
  keys = open_keys(kept_, now + kDay + 1h);
  EXPECT_TRUE(*keys->turn(now + 2 * kDay));
  serve(server_credentials(), keys);
  EXPECT_FALSE(resumed(*connect())) << "two turns later nobody can read it";
  EXPECT_TRUE(resumed(*connect())) << "and the new ticket is sealed by the new key";
}

TEST_F(Tickets, ANewTicketIsSealedByTheNewKeyAlsoForAClientOfTheOldOne) {
  const base::WallTime now = wall_now();
  auto keys = open_keys(kept_, now);
  serve(server_credentials(), keys);
  EXPECT_FALSE(resumed(*connect()));
  ASSERT_TRUE(*keys->turn(now + kDay));
  cache_ = std::make_shared<TicketCache>();
  EXPECT_FALSE(resumed(*connect()));
  ASSERT_TRUE(*keys->turn(now + 2 * kDay));
  EXPECT_TRUE(resumed(*connect()));
}

TEST(TicketKeysTest, AfterALongStopAndAfterAWrongClockTheKeysAreNew) {
  Kept kept;
  const base::WallTime now = wall_now();
  const base::Bytes first = open_keys(kept, now)->current()->key.secret;
  const std::string old = kept.text;
  const auto later = open_keys(kept, now + 3 * kDay)->current();
  EXPECT_NE(later->key.secret, first);
  EXPECT_FALSE(later->before.has_value()) << "its tickets are all too old";
  kept.text = old;
  const auto earlier = open_keys(kept, now - 30 * kDay)->current();
  EXPECT_NE(earlier->key.secret, first) << "a key of the far future would never be replaced";
  EXPECT_FALSE(earlier->before.has_value());
}

TEST(TicketKeysTest, AFileThatCannotBeReadIsReplaced) {
  for (const std::string text : {"", "nonsense", "tidewall-ticket-keys 1\n", "tidewall-ticket-keys 1\nkey 5 00\n",
                                 "tidewall-ticket-keys 1\nkey x 00\nsalt 00\n"}) {
    Kept kept;
    kept.text = text;
    open_keys(kept);
    EXPECT_EQ(kept.writes, 1) << text;
    EXPECT_NE(kept.text, text);
  }
}

TEST(TicketKeysTest, KeysThatCannotBeKeptAreNotUsed) {
  const auto keys = TicketKeys::open(
      "", {}, kDay, wall_now(), [](const std::string&) -> base::Result<void> { return base::Error{"no space left"}; });
  ASSERT_FALSE(keys.ok());
  EXPECT_EQ(keys.error().message, "no space left");

  bool full = false;
  const auto later = TicketKeys::open("", {}, kDay, wall_now(), [&](const std::string&) -> base::Result<void> {
    if (full) return base::Error{"no space left"};
    return {};
  });
  full = true;
  const auto before = (*later)->current();
  EXPECT_FALSE((*later)->turn(wall_now() + kDay).ok());
  EXPECT_EQ((*later)->current(), before) << "the old ones serve on";
}

// A session that began with a key that was replaced, perhaps because it leaked, must not go on with it.
TEST_F(Tickets, AnotherKeyForAPskIdentityVoidsTheTickets) {
  const std::vector<Psk> old{{"home", kKey}, {"other", base::Bytes(16, 9)}};
  serve(server_credentials(), open_keys(kept_, wall_now(), old));
  EXPECT_FALSE(resumed(*connect(psk_client("home", kKey))));
  const std::vector<Psk> more{{"home", kKey}, {"other", base::Bytes(16, 9)}, {"new", base::Bytes(16, 8)}};
  auto keys = open_keys(kept_, wall_now(), more);
  serve(server_credentials(), keys);
  EXPECT_TRUE(resumed(*connect(psk_client("home", kKey)))) << "one more identity voids nothing";
  const std::vector<Psk> renewed{{"home", base::Bytes(16, 1)}, {"other", base::Bytes(16, 9)}};
  EXPECT_FALSE(*keys->rebind(old, wall_now()));
  EXPECT_TRUE(*keys->rebind(renewed, wall_now()));
  EXPECT_FALSE(resumed(*connect(psk_client("home", kKey)))) << "while it runs";
  serve(server_credentials(), open_keys(kept_, wall_now(), {{"home", base::Bytes(16, 2)}}));
  EXPECT_FALSE(resumed(*connect(psk_client("home", kKey)))) << "and over a restart";
  for (const auto& psk : old) {
    EXPECT_EQ(kept_.text.find(base::to_hex(psk.key)), std::string::npos) << "the file tells no PSK";
  }
}

// S9132-8-02: each resumption checks the certificate again, although the handshake carries none.
TEST_F(Tickets, ARevokedClientIsNotResumed) {
  const auto mallory = pki().issue({.name = "mallory", .dns = {"mallory.example"}});
  const auto client = load(sources(mallory), Side::client);
  serve(server_credentials(), open_keys(kept_));
  EXPECT_FALSE(resumed(*connect(client)));
  CredentialSources with_list = server_sources();
  with_list.crl_file = pki().revoke({mallory}, "tickets.crl");
  serve(load(with_list, Side::server), open_keys(kept_));
  const auto p = connect(client);
  EXPECT_FALSE(p->server.opened);
  EXPECT_EQ(p->server.reason, "its certificate is revoked");
  p->settle();
  EXPECT_EQ(cache_->size(), 0U) << "the client does not offer it again";
}

TEST_F(Tickets, AnExpiredClientIsNotResumed) {
  const auto brief = pki().issue({.name = "brief", .dns = {"client.example"}, .not_after_s = 2});
  const auto client = load(sources(brief), Side::client);
  serve(server_credentials(), open_keys(kept_));
  EXPECT_FALSE(resumed(*connect(client)));
  std::this_thread::sleep_for(3100ms);  // certificates are checked by the library's own clock
  const auto p = connect(client);
  EXPECT_FALSE(p->server.opened);
  EXPECT_EQ(p->server.reason, "its certificate chain has expired");
}

// The signatures of a chain are not verified again for each resumption: what was found is told apart here by a name
// that the certificate has not. A full handshake takes nobody's word.
TEST_F(Tickets, AResumptionTakesTheVerdictOnAChainThatWasGoodJustNow) {
  const auto credentials = load(server_sources(), Side::server);
  serve(credentials, open_keys(kept_));
  EXPECT_FALSE(resumed(*connect()));
  ChainVerdicts& verdicts = credentials->handles().verdicts;
  ASSERT_EQ(verdicts.size(), 1U);
  unsigned count = 0;
  gnutls_x509_crt_t* own = nullptr;
  ASSERT_GE(gnutls_certificate_get_x509_crt(client_credentials()->handles().x509, 0, &own, &count), 0);
  base::Bytes der(8192);
  std::size_t size = der.size();
  ASSERT_GE(gnutls_x509_crt_export(own[0], GNUTLS_X509_FMT_DER, der.data(), &size), 0);
  for (unsigned i = 0; i < count; ++i) gnutls_x509_crt_deinit(own[i]);
  gnutls_free(own);
  const gnutls_datum_t chain{der.data(), static_cast<unsigned>(size)};
  const auto key = chain_key({&chain, 1}, "");
  ASSERT_TRUE(key);
  ASSERT_TRUE(verdicts.find(*key, wall_now()));
  ProvenPeer other;
  other.identity.names = {"known"};
  verdicts.put(*key, other, INT64_MAX, wall_now());
  const auto p = connect();
  EXPECT_TRUE(resumed(*p));
  EXPECT_EQ(p->server.channel->identity().names, std::vector<std::string>{"known"});
  cache_ = std::make_shared<TicketCache>();
  const auto full = connect();
  EXPECT_FALSE(resumed(*full));
  EXPECT_EQ(full->server.channel->identity(), client_credentials()->own_identity());
}

TEST_F(Tickets, AClientOfACaThatIsTrustedNoLongerIsNotResumed) {
  serve(server_credentials(), open_keys(kept_));
  EXPECT_FALSE(resumed(*connect()));
  static TestPki other{"Other CA"};
  CredentialSources changed = server_sources();
  changed.ca_file = other.ca_file();
  serve(load(changed, Side::server), open_keys(kept_));
  const auto p = connect();
  EXPECT_FALSE(p->server.opened);
  EXPECT_EQ(p->server.reason, "its certificate is not issued by a CA of ca_file");
}

TEST_F(Tickets, APskIdentityThatIsGoneIsNotResumed) {
  serve(server_credentials(), open_keys(kept_));
  EXPECT_FALSE(resumed(*connect(psk_client("home", kKey))));
  CredentialSources without = server_sources();
  without.psk = {{"other", base::Bytes(16, 9)}};
  serve(load(without, Side::server), open_keys(kept_));
  const auto p = connect(psk_client("home", kKey));
  EXPECT_FALSE(p->server.opened);
  EXPECT_EQ(p->server.reason, "the PSK identity of the resumed session is no longer known");
}

// S9132-7.1-03: the client checks the server's certificate at each resumption as well.
TEST_F(Tickets, AClientDoesNotResumeWithARevokedServer) {
  serve(server_credentials(), open_keys(kept_));
  EXPECT_FALSE(resumed(*connect()));
  CredentialSources own = sources(client_certificate());
  own.crl_file = pki().revoke({server_certificate()}, "server.crl");
  const auto p = connect(load(own, Side::client));
  EXPECT_FALSE(p->client.opened);
  EXPECT_EQ(p->client.reason, "its certificate is revoked");
  EXPECT_EQ(cache_->size(), 0U);
}

// S9132-7.2-01: the ticket of a session that was opened in idle time is there when it is needed.
TEST_F(Tickets, TheClientResumesAfterItsOwnRestart) {
  std::string text;
  cache_ = std::make_shared<TicketCache>("", [&](std::string next) { text = std::move(next); });
  serve(server_credentials(), open_keys(kept_));
  EXPECT_FALSE(resumed(*connect()));
  ASSERT_FALSE(text.empty());
  cache_ = std::make_shared<TicketCache>(text);
  EXPECT_TRUE(resumed(*connect()));
}

TEST(TicketCacheTest, WhatIsOldOrWasInVainIsNotOffered) {
  const base::WallTime now = wall_now();
  TicketCache cache;
  EXPECT_FALSE(cache.offer("a", now));
  cache.put("a", {1, 2}, now);
  EXPECT_EQ(cache.offer("a", now).value().session, (base::Bytes{1, 2}));
  const auto offer = cache.offer("a", now).value();
  EXPECT_EQ(offer.session, (base::Bytes{1, 2})) << "it serves for many sessions";
  cache.in_vain("a", offer.turn);
  EXPECT_FALSE(cache.offer("a", now)) << "the next attempt is a full handshake";
  EXPECT_TRUE(cache.offer("a", now)) << "the one after tries it again";
  cache.served("a");
  cache.in_vain("a", offer.turn);
  EXPECT_TRUE(cache.offer("a", now)) << "the attempt beside it came to a session";
  EXPECT_FALSE(cache.offer("a", now + TicketCache::kLongestLife + 1s));
  EXPECT_EQ(cache.size(), 0U);
  cache.put("a", base::Bytes(70000, 1), now);
  EXPECT_EQ(cache.size(), 0U) << "no ticket is so large";
  for (int i = 0; i < 100; ++i) cache.put(std::to_string(i), {1}, now + i * 1s);
  EXPECT_EQ(cache.size(), TicketCache::kMostTickets);
  EXPECT_FALSE(cache.offer("0", now)) << "the oldest give way";
  EXPECT_TRUE(cache.offer("99", now));
}

TEST(TicketCacheTest, TextThatCannotBeReadIsSkipped) {
  EXPECT_EQ(TicketCache{"nonsense"}.size(), 0U);
  EXPECT_EQ(TicketCache{"tidewall-tickets 1\nticket x 61 00\nticket 5 6 00\nticket 5 61\nticket 5 61 0102\n"}.size(),
            1U);
}

// S9132-8-02: a running session is checked against what is trusted now.
TEST_F(Dtls, ARecheckFindsWhatChangedSinceTheHandshake) {
  const auto issued = pki().issue({.name = "watched", .dns = {"watched.example"}, .not_after_s = 3600});
  const auto first = load(server_sources(), Side::server);
  admission_.replace_credentials(first);
  const auto p = pair(load(sources(issued), Side::client));
  const auto home = pair(psk_client("home", kKey));
  ASSERT_TRUE(p->server.opened && home->server.opened);
  EXPECT_EQ(p->server.channel->recheck(wall_now()), std::nullopt);
  EXPECT_EQ(p->server.channel->recheck(wall_now() + 3590s), std::nullopt);
  EXPECT_EQ(p->server.channel->recheck(wall_now() + 3700s), "its certificate chain has expired");

  const auto same = load(server_sources(), Side::server);
  Credentials::succeed(first, same);
  admission_.replace_credentials(same);
  EXPECT_EQ(p->server.channel->recheck(wall_now()), std::nullopt) << "a renewal alone ends nothing";
  EXPECT_EQ(home->server.channel->recheck(wall_now()), std::nullopt);

  CredentialSources changed = server_sources();
  changed.psk = {{"home", base::Bytes(16, 9)}};
  const auto rekeyed = load(changed, Side::server);
  Credentials::succeed(same, rekeyed);
  EXPECT_EQ(p->server.channel->recheck(wall_now()), std::nullopt);
  EXPECT_EQ(home->server.channel->recheck(wall_now()), "its pre-shared key has been replaced");

  changed.crl_file = pki().revoke({issued}, "watched.crl");
  changed.psk = {{"other", base::Bytes(16, 9)}};
  const auto next = load(changed, Side::server);
  Credentials::succeed(rekeyed, next);
  admission_.replace_credentials(next);
  EXPECT_EQ(p->server.channel->recheck(wall_now()), "its certificate is revoked");
  EXPECT_EQ(home->server.channel->recheck(wall_now()), "its PSK identity is no longer known");
}

// An RSA chain makes a ticket of more than two kilobytes: the ClientHello that brings it comes in several datagrams.
class RsaTickets : public Tickets {
 protected:
  static TestPki& rsa() {
    static TestPki instance{"RSA CA", 3072};
    return instance;
  }
  void SetUp() override {
    static const auto server = rsa().issue({.name = "server", .dns = {"server.example"}, .through_intermediate = true});
    static const auto client = rsa().issue({.name = "client", .dns = {"client.example"}, .through_intermediate = true});
    static const auto server_side = load(sources(server, rsa()), Side::server);
    static const auto client_side = load(sources(client, rsa()), Side::client);
    client_ = client_side;
    serve(server_side, open_keys(kept_));
    EXPECT_FALSE(resumed(*connect(client_)));
  }
  std::shared_ptr<const Credentials> client_;
};

TEST_F(RsaTickets, TheHelloIsFragmentedAndGetsItsCookieByTheFirstFragment) {
  std::size_t hellos = 0, answers = 0, largest = 0;
  const auto p = connect(client_, [&](bool to_server, base::Bytes& datagram) {
    hellos += to_server && datagram[13] == 1 && datagram[4] == 0 ? 1 : 0;
    answers += !to_server && datagram[13] == 3 ? 1 : 0;
    largest = std::max(largest, datagram.size());
    return true;
  });
  EXPECT_TRUE(resumed(*p));
  EXPECT_GE(hellos, 4U) << "two hellos of two fragments or more";
  EXPECT_EQ(answers, 1U) << "later fragments get no answer";
  EXPECT_LE(largest, 1280U - 48U);
}

TEST_F(RsaTickets, ResumesUnderLoss) {
  int done = 0;
  for (unsigned seed = 1; seed <= 20; ++seed) {
    std::mt19937 random{seed};
    const auto p = connect(client_, [&](bool, base::Bytes&) { return random() % 100 >= 25; });
    done += p->client.opened && p->server.opened && p->server.channel->resumed() ? 1 : 0;
  }
  EXPECT_GE(done, 18) << "of 20, with a quarter of all datagrams lost, within three seconds of 20 ms repeats";
}

// Each datagram that another follows is held back until that one has passed.
TEST_F(RsaTickets, ResumesWithEveryPairOfDatagramsExchanged) {
  for (const bool to_server_only : {true, false}) {
    std::optional<base::Bytes> held[2];
    DtlsPair* current = nullptr;
    DtlsOptions own = kFast;
    own.resumption.tickets = cache_;
    DtlsPair p{admission_, wall_now()};
    current = &p;
    DtlsConnector connector{client_, own};
    p.connect(connector, "server.example");
    p.run([&](bool to_server, base::Bytes& datagram) {
      if (to_server_only && !to_server) return true;
      auto& place = held[to_server ? 1 : 0];
      auto& inbox = to_server ? current->server.inbox : current->client.inbox;
      if (!place && !inbox.empty()) {
        place = datagram;
        return false;
      }
      if (place) {
        inbox.push_front(std::move(*place));
        place.reset();
      }
      return true;
    });
    EXPECT_TRUE(resumed(p)) << to_server_only;
  }
}

}  // namespace
}  // namespace dots::adapters::net
