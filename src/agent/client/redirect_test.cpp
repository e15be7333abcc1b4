// Redirected signaling at the client (RFC 9132 4.6), through the whole agent.
#include "agent/client/client_harness.h"

namespace dots::agent::client {
namespace {

// Two servers of one provider: the harness answers for both, `home` and `alternate` tell them apart by address.
struct RedirectHarness : ClientHarness {
  RedirectHarness() { settings.servers[0].upstream.host = "dots.example.net"; }
  static model::SocketAddress at(const std::string& text) { return {model::parse_ip_address(text).value(), 4646}; }
  const model::SocketAddress home = at("192.0.2.53"), alternate = at("192.0.2.54"), third = at("192.0.2.55");

  static coap::Response redirect(const std::string& host, std::vector<std::string> records, std::uint32_t ttl_s) {
    model::RedirectedSignal signal;
    signal.alt_server = host;
    for (const auto& text : records) signal.alt_server_record.push_back(model::parse_ip_address(text).value());
    coap::Response response;
    response.code = model::ResponseCode::service_unavailable;
    response.content_format = wire::kContentFormatDots;
    response.max_age_s = ttl_s;
    response.payload = wire::encode(signal);
    return response;
  }
  // The server at this address answers PUT and GET of mitigations with a redirection.
  void redirects(const model::SocketAddress& from, coap::Response answer) {
    rules[from] = std::move(answer);
    custom_at = [this](const model::SocketAddress& server,
                       const coap::Request& request) -> std::optional<coap::Response> {
      const auto rule = rules.find(server);
      if (rule == rules.end() || request.uri_path.at(2) != "mitigate") return std::nullopt;
      if (request.method == wire::Method::del) return std::nullopt;
      return rule->second;
    };
  }
  std::vector<Seen> at_server(const model::SocketAddress& server, const std::string& start) {
    std::vector<Seen> out;
    for (const Seen& one : requests(start)) {
      if (peers[one.session].way.server == server) out.push_back(one);
    }
    return out;
  }
  // A 5.03 to everybody who observes.
  void notify_redirect(base::SessionId session, const coap::Response& response) {
    coap::Effects effects;
    ASSERT_TRUE(peers[session].endpoint->notify(peers[session].observer, response, now.steady, effects));
    absorb(session, effects);
  }
  boost::json::value server() { return answered(call("status")).body.at("servers").as_array().at(0); }

  std::map<model::SocketAddress, coap::Response> rules;
};

// S9132-4.6-01, S9132-4.6-10, S9132-4.6-11, S9132-4.6-12, S8811-3.2.2-02, S8612-SIG-005-03: the request fails there and
// is sent again, to the address that was said, without a look-up, with a full handshake and the name for the
// certificate.
TEST(ClientRedirectTest, ARedirectedRequestIsSentToTheAlternate) {
  RedirectHarness h;
  h.start();
  h.advance(1s);
  h.redirects(h.home, h.redirect("alt.example.net", {"192.0.2.54"}, 3600));
  const base::Mid mid = h.mitigate("203.0.113.1/32");
  h.advance(5s);
  ASSERT_EQ(h.at_server(h.home, "PUT mitigate").size(), 1u);
  ASSERT_EQ(h.at_server(h.alternate, "PUT mitigate").size(), 1u);
  EXPECT_EQ(h.at_server(h.alternate, "PUT mitigate")[0].request, h.at_server(h.home, "PUT mitigate")[0].request);
  EXPECT_EQ(h.connector.names, (std::vector<std::string>{"dots.example.net", "alt.example.net"}));
  EXPECT_TRUE(h.resolves.empty());
  EXPECT_EQ(h.show(mid).at("phase").as_string(), "active");
  EXPECT_TRUE(h.told("CLIENT_REDIRECTED"));
  const auto failed = std::find_if(h.audit.begin(), h.audit.end(), [](const auto& r) { return r.verdict == "failed"; });
  ASSERT_NE(failed, h.audit.end());
  EXPECT_EQ(failed->action, "request");
  EXPECT_NE(h.show(mid).at("at").as_string().find("alt.example.net"), std::string::npos);
}

// While it is on its way the request is not active: it failed at the first server.
TEST(ClientRedirectTest, UntilTheAlternateAnswersTheRequestIsNotAccepted) {
  RedirectHarness h;
  h.start();
  h.advance(1s);
  h.unreachable.insert(h.alternate);
  h.redirects(h.home, h.redirect("alt.example.net", {"192.0.2.54"}, 3600));
  const base::Mid mid = h.mitigate("203.0.113.1/32");
  h.advance(5s);
  EXPECT_EQ(h.show(mid).at("phase").as_string(), "requesting");
  EXPECT_NE(h.show(mid).at("reason").as_string().find("redirected it to alt.example.net"), std::string::npos);
}

// S8811-3.2.2-04: nothing goes to the old server any more, and its session is closed.
TEST(ClientRedirectTest, TheOldSessionIsClosed) {
  RedirectHarness h;
  h.start();
  h.advance(1s);
  const base::SessionId old = h.last_session();
  h.redirects(h.home, h.redirect("alt.example.net", {"192.0.2.54"}, 7200));
  h.mitigate("203.0.113.1/32");
  h.advance(5s);
  EXPECT_EQ(h.closed, std::vector<base::SessionId>{old});
  const std::size_t before =
      std::count_if(h.sent.begin(), h.sent.end(), [&](const auto& s) { return s.session == old; });
  h.advance(600s);
  EXPECT_EQ(std::count_if(h.sent.begin(), h.sent.end(), [&](const auto& s) { return s.session == old; }),
            static_cast<std::ptrdiff_t>(before));
  EXPECT_EQ(h.opened.size(), 2u);
  EXPECT_EQ(h.server().at("redirect").at("alt-server").as_string(), "alt.example.net");
  EXPECT_EQ(h.server().at("state").as_string(), "connected");
}

// S9132-4.6-01: as a notification; every mitigation is carried over with its cuid and mid.
TEST(ClientRedirectTest, ANotificationMovesAllMitigations) {
  RedirectHarness h;
  h.start();
  h.advance(1s);
  const base::Mid one = h.mitigate("203.0.113.1/32");
  const base::Mid two = h.mitigate("203.0.113.2/32");
  h.advance(10s);
  ASSERT_EQ(h.at_server(h.home, "PUT mitigate").size(), 2u);
  h.notify_redirect(h.last_session(), h.redirect("alt.example.net", {"192.0.2.54"}, 3600));
  h.advance(10s);
  const auto puts = h.at_server(h.alternate, "PUT mitigate");
  ASSERT_EQ(puts.size(), 2u);
  EXPECT_EQ(puts[0].request.uri_path, h.at_server(h.home, "PUT mitigate")[0].request.uri_path);
  EXPECT_EQ(puts[1].request.uri_path, h.at_server(h.home, "PUT mitigate")[1].request.uri_path);
  EXPECT_EQ(h.show(one).at("phase").as_string(), "active");
  EXPECT_EQ(h.show(two).at("phase").as_string(), "active");
  EXPECT_EQ(h.at_server(h.alternate, "GET mitigate").size(), 2u);  // observed there
}

// S9132-4.6-07: the time is over and no attack goes on: the provisioned server again, at once.
TEST(ClientRedirectTest, AfterTheTimeTheProvisionedServerIsUsed) {
  RedirectHarness h;
  h.start();
  h.advance(1s);
  h.redirects(h.home, h.redirect("alt.example.net", {"192.0.2.54"}, 100));
  const base::Mid mid = h.mitigate("203.0.113.1/32");
  h.advance(10s);
  h.call("withdraw", {{"mid", mid.value}});
  h.advance(80s);
  h.rules.clear();
  EXPECT_EQ(h.at_server(h.alternate, "DELETE mitigate").size(), 1u);
  EXPECT_FALSE(h.told("CLIENT_REDIRECT_OVER"));
  h.advance(15s);
  EXPECT_TRUE(h.told("CLIENT_REDIRECT_OVER"));
  EXPECT_EQ(h.peers[h.last_session()].way.server, h.home);
  h.mitigate("203.0.113.2/32");
  h.advance(5s);
  EXPECT_EQ(h.at_server(h.home, "PUT mitigate").size(), 2u);
  EXPECT_EQ(h.at_server(h.alternate, "PUT mitigate").size(), 1u);
}

// S9132-4.6-08: not during an attack; when it is over, at once.
TEST(ClientRedirectTest, AnAttackKeepsTheAlternate) {
  RedirectHarness h;
  h.start();
  h.advance(1s);
  h.redirects(h.home, h.redirect("alt.example.net", {"192.0.2.54"}, 100));
  const base::Mid mid = h.mitigate("203.0.113.1/32");
  h.advance(1000s);
  EXPECT_FALSE(h.told("CLIENT_REDIRECT_OVER"));
  EXPECT_EQ(h.server().at("redirect").at("left_s").to_number<int>(), 0);
  h.call("withdraw", {{"mid", mid.value}});
  h.advance(2s);
  EXPECT_TRUE(h.told("CLIENT_REDIRECT_OVER"));
  EXPECT_EQ(h.peers[h.last_session()].way.server, h.home);
}

// S9132-4.6-04: 2^32 - 1 has no end, until the alternate redirects.
TEST(ClientRedirectTest, AnInfiniteTimeEndsWithTheNextRedirection) {
  RedirectHarness h;
  h.start();
  h.advance(1s);
  h.redirects(h.home, h.redirect("alt.example.net", {"192.0.2.54"}, model::kRedirectForever));
  const base::Mid mid = h.mitigate("203.0.113.1/32");
  h.advance(10s);
  h.call("withdraw", {{"mid", mid.value}});
  h.advance(24h);
  EXPECT_FALSE(h.told("CLIENT_REDIRECT_OVER"));
  EXPECT_FALSE(h.server().at("redirect").as_object().contains("left_s"));
  h.redirects(h.alternate, h.redirect("other.example.net", {"192.0.2.55"}, model::kRedirectForever));
  h.mitigate("203.0.113.2/32");
  h.advance(10s);
  EXPECT_EQ(h.at_server(h.third, "PUT mitigate").size(), 1u);
  EXPECT_EQ(h.at_server(h.home, "PUT mitigate").size(), 1u);
}

// S9132-4.6-05: Max-Age 0 moves the request in progress alone.
TEST(ClientRedirectTest, MaxAge0IsForThisRequestOnly) {
  RedirectHarness h;
  h.start();
  h.advance(1s);
  h.redirects(h.home, h.redirect("alt.example.net", {"192.0.2.54"}, 0));
  const base::Mid moved = h.mitigate("203.0.113.1/32");
  h.advance(5s);
  h.rules.clear();
  const base::Mid stays = h.mitigate("203.0.113.2/32");
  h.advance(5s);
  EXPECT_EQ(h.at_server(h.alternate, "PUT mitigate").size(), 1u);
  EXPECT_EQ(h.at_server(h.home, "PUT mitigate").size(), 2u);
  EXPECT_TRUE(h.show(moved).as_object().contains("at"));
  EXPECT_FALSE(h.show(stays).as_object().contains("at"));
  // Its whole life is there; the session with the first server stays.
  h.call("withdraw", {{"mid", moved.value}});
  h.call("withdraw", {{"mid", stays.value}});
  h.advance(5s);
  EXPECT_EQ(h.at_server(h.alternate, "DELETE mitigate").size(), 1u);
  EXPECT_EQ(h.at_server(h.home, "DELETE mitigate").size(), 1u);
  EXPECT_EQ(h.closed.size(), 1u);
  EXPECT_FALSE(h.server().as_object().contains("redirect"));
}

// S9132-4.6-15, S9132-4.6-16: A to B to A within five minutes is not followed, and the operator hears of the loop.
TEST(ClientRedirectTest, ALoopIsIgnoredAndTold) {
  RedirectHarness h;
  h.start();
  h.advance(1s);
  h.redirects(h.home, h.redirect("alt.example.net", {"192.0.2.54"}, 3600));
  h.redirects(h.alternate, h.redirect("dots.example.net", {"192.0.2.53"}, 3600));
  const base::Mid mid = h.mitigate("203.0.113.1/32");
  h.advance(20s);
  EXPECT_EQ(h.at_server(h.home, "PUT mitigate").size(), 1u);
  EXPECT_EQ(h.at_server(h.alternate, "PUT mitigate").size(), 1u);
  EXPECT_TRUE(h.told("CLIENT_REDIRECT_IGNORED"));
  EXPECT_TRUE(h.health["REDIRECT_LOOP upstream"]);
  EXPECT_EQ(h.show(mid).at("phase").as_string(), "waiting");
  // After five minutes without the first server the way back is no loop any more.
  h.rules.erase(h.home);
  h.advance(400s);
  EXPECT_GE(h.at_server(h.home, "PUT mitigate").size(), 2u);
  EXPECT_EQ(h.show(mid).at("phase").as_string(), "active");
  h.advance(300s);
  EXPECT_FALSE(h.health["REDIRECT_LOOP upstream"]);
}

// S9132-4.6-15: the other servers of the configuration are tried, with mids of their own.
TEST(ClientRedirectTest, AfterALoopAnotherConfiguredServerIsTried) {
  RedirectHarness h;
  ServerSettings other = h.settings.servers[0];
  other.upstream.name = other.requests.server = "second";
  other.upstream.host = "dots2.example.net";
  other.upstream.addresses = {h.third};
  h.settings.servers.push_back(other);
  h.start();
  h.advance(1s);
  h.redirects(h.home, h.redirect("dots.example.net", {"192.0.2.53"}, 3600));
  const base::Mid mid = h.mitigate("203.0.113.1/32");
  h.advance(10s);
  ASSERT_EQ(h.at_server(h.third, "PUT mitigate").size(), 1u);
  EXPECT_EQ(h.show(mid).at("phase").as_string(), "active");
  EXPECT_TRUE(h.told("CLIENT_REDIRECT_IGNORED"));
  const auto ticket = h.call("mitigate", {{"target-prefix", {"203.0.113.9/32"}}, {"server", "second"}});
  h.advance(10s);
  EXPECT_NE(h.answered(ticket).body.at("mitigation").at("mid").to_number<std::uint32_t>(), mid.value);
}

// S9132-4.6-10: later redirections of the same server change nothing.
TEST(ClientRedirectTest, TheFirstRedirectionCounts) {
  RedirectHarness h;
  h.start();
  h.advance(1s);
  const base::Mid mid = h.mitigate("203.0.113.1/32");
  h.advance(5s);
  h.unreachable.insert(h.alternate);
  const base::SessionId session = h.last_session();
  h.redirects(h.home, h.redirect("third.example.net", {"192.0.2.55"}, 3600));
  const auto other = h.call("mitigate", {{"target-prefix", {"203.0.113.2/32"}}});
  h.lost_request = [](const coap::Request& request) { return request.method == wire::Method::get; };
  h.notify_redirect(session, h.redirect("alt.example.net", {"192.0.2.54"}, 3600));
  h.advance(20s);
  EXPECT_EQ(h.answered(other).outcome, CallAnswer::Outcome::ok);
  EXPECT_EQ(h.count_told("CLIENT_REDIRECTED"), 1);
  for (const auto& name : h.connector.names) EXPECT_NE(name, "third.example.net");
  EXPECT_EQ(h.show(mid).at("phase").as_string(), "active");
}

// S8612-SIG-005-04: outside the administrative domain of the server we do not go, by default.
TEST(ClientRedirectTest, PolicyDecidesWhetherToFollow) {
  struct Case {
    RedirectPolicy policy;
    std::string host;
    bool follows;
  };
  using Follow = RedirectPolicy::Follow;
  const std::vector<Case> cases = {{{}, "alt.example.net", true},
                                   {{}, "alt.example.org", false},
                                   {{}, "evilexample.net", false},
                                   {{Follow::any, {}}, "alt.example.org", true},
                                   {{Follow::no, {}}, "alt.example.net", false},
                                   {{Follow::same_domain, {"example.org"}}, "alt.example.org", true},
                                   {{Follow::same_domain, {"example.org"}}, "alt.example.net", false},
                                   {{Follow::any, {}}, "no name", false}};
  for (const Case& one : cases) {
    RedirectHarness h;
    h.settings.servers[0].redirects = one.policy;
    h.start();
    h.advance(1s);
    h.redirects(h.home, h.redirect(one.host, {"192.0.2.54"}, 3600));
    const base::Mid mid = h.mitigate("203.0.113.1/32");
    h.advance(5s);
    EXPECT_EQ(!h.at_server(h.alternate, "PUT mitigate").empty(), one.follows) << one.host;
    EXPECT_EQ(h.told("CLIENT_REDIRECT_IGNORED"), !one.follows) << one.host;
    if (one.follows) continue;
    // Asked again soon, whatever the Max-Age of the alternate is.
    EXPECT_EQ(h.show(mid).at("phase").as_string(), "waiting");
    EXPECT_LE(h.show(mid).at("retry-in_s").to_number<int>(), 60);
  }
}

// Without addresses in the redirection the name is looked up.
TEST(ClientRedirectTest, WithoutRecordsTheNameIsLookedUp) {
  RedirectHarness h;
  h.start();
  h.advance(1s);
  h.redirects(h.home, h.redirect("alt.example.net", {}, 3600));
  h.mitigate("203.0.113.1/32");
  h.advance(1s);
  EXPECT_EQ(h.resolves, std::vector<std::string>{"alt.example.net"});
}

// An alternate that cannot be reached is given up, and the provisioned server is asked again.
TEST(ClientRedirectTest, AnAlternateThatIsNotThereIsGivenUp) {
  RedirectHarness h;
  h.start();
  h.advance(1s);
  h.unreachable.insert(h.alternate);
  h.redirects(h.home, h.redirect("alt.example.net", {"192.0.2.54"}, 3600));
  const base::Mid mid = h.mitigate("203.0.113.1/32");
  h.advance(30s);
  h.rules.clear();
  EXPECT_EQ(h.at_server(h.home, "PUT mitigate").size(), 1u);
  h.advance(40s);
  EXPECT_TRUE(h.told("CLIENT_REDIRECT_OVER"));
  EXPECT_EQ(h.at_server(h.home, "PUT mitigate").size(), 2u);
  EXPECT_EQ(h.show(mid).at("phase").as_string(), "active");
}

// What the first server accepted and the alternate refuses is not given up: it is asked again, there and at home.
TEST(ClientRedirectTest, ARefusalAtTheAlternateIsNoEnd) {
  RedirectHarness h;
  h.start();
  h.advance(1s);
  const base::Mid mid = h.mitigate("203.0.113.1/32");
  h.advance(5s);
  bool refuses = true;
  h.custom_at = [&](const model::SocketAddress& server, const coap::Request& request) -> std::optional<coap::Response> {
    if (server != h.alternate || request.method != wire::Method::put || request.uri_path[2] != "mitigate") return {};
    if (!refuses) return std::nullopt;
    coap::Response response;
    response.code = model::ResponseCode::bad_request;
    return response;
  };
  h.notify_redirect(h.last_session(), h.redirect("alt.example.net", {"192.0.2.54"}, 3600));
  h.advance(5s);
  EXPECT_EQ(h.show(mid).at("phase").as_string(), "waiting");
  refuses = false;
  h.advance(301s);
  EXPECT_EQ(h.show(mid).at("phase").as_string(), "active");
}

// A body that cannot be used is a plain 5.03; S9132-4.6-02: addresses without a name are no redirection.
TEST(ClientRedirectTest, ARedirectionWithoutANameIsAPlainRefusal) {
  RedirectHarness h;
  h.start();
  h.advance(1s);
  coap::Response response = h.redirect("x.example.net", {}, 30);
  response.payload = *base::from_hex(
      "a1182ea1183081"
      "6a"
      "3139322e302e322e3534");
  h.redirects(h.home, response);
  const base::Mid mid = h.mitigate("203.0.113.1/32");
  h.advance(5s);
  EXPECT_EQ(h.show(mid).at("phase").as_string(), "waiting");
  EXPECT_NE(h.show(mid).at("reason").as_string().find("alt-server (47) is missing"), std::string::npos);
  EXPECT_EQ(h.opened.size(), 1u);
}

}  // namespace
}  // namespace dots::agent::client
