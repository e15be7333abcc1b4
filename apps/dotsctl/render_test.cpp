#include "dotsctl/render.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "dotsctl/text.h"

namespace dots::dotsctl {
namespace {

constexpr std::int64_t kNow = 1795000000;  // 2026-11-18 11:06:40 UTC

boost::json::value parse(const char* text) { return boost::json::parse(text); }

TEST(Text, NumbersForPeople) {
  EXPECT_EQ(short_number(0), "0");
  EXPECT_EQ(short_number(999), "999");
  EXPECT_EQ(short_number(1000), "1.00 k");
  EXPECT_EQ(short_number(1234567), "1.23 M");
  EXPECT_EQ(bytes_words(512), "512 B");
  EXPECT_EQ(bytes_words(12'345'678), "12.3 MB");
  EXPECT_EQ(bytes_words(999'900'000), "1000 MB");
  EXPECT_EQ(rate_words(2'500'000), "20.0 Mbit/s") << "bytes go in, bits come out";
  EXPECT_EQ(duration_words(0), "0 s");
  EXPECT_EQ(duration_words(59), "59 s");
  EXPECT_EQ(duration_words(60), "1 min");
  EXPECT_EQ(duration_words(3599), "59 min 59 s");
  EXPECT_EQ(duration_words(90061), "1 d 1 h");
  EXPECT_EQ(time_words(kNow), "2026-11-18 11:06:40 UTC");
}

TEST(Text, ColumnsCountCharactersAndTerminalsAreNotSteered) {
  Table table{{"A", "B"}};
  table.add({"\xc3\xa4\xc3\xb6", "x"});
  table.add({"\x1b[2J", "y\n"});
  EXPECT_EQ(table.text(), "A     B\n\xc3\xa4\xc3\xb6    x\n?[2J  y?\n");
}

TEST(Render, ListOfAServer) {
  const auto body = parse(R"({"mitigations":[
    {"domain":"acme","client":"edge","cuid":"c","mid":7,"status":"attack-successfully-mitigated","lifetime":3480,
     "target-prefix":["203.0.113.7/32"],"target-port-range":["53","8000-8080"],"target-protocol":[17],
     "rules":"installed","bytes-dropped":1234567890,"pkts-dropped":900000,"bps-dropped":2500000,"pps-dropped":1200},
    {"domain":"acme","client":"edge","cuid":"c","mid":12,"status":"attack-mitigation-in-progress","lifetime":-1,
     "target-fqdn":["www.example.net"],"rules":"pending"}]})");
  EXPECT_EQ(
      render_list(body, kNow),
      "MID  DOMAIN  CLIENT  STATUS        LEFT    DROPPED                 AVERAGE                        RULES      "
      "TARGETS\n"
      "7    acme    edge    mitigated     58 min  1.23 GB, 900 k packets  20.0 Mbit/s, 1.20 k packets/s  installed"
      "  203.0.113.7/32 udp port 53,8000-8080\n"
      "12   acme    edge    being set up  no end  not counted                                            pending    "
      "www.example.net\n");
}

TEST(Render, ListOfAClientAndMissingMembers) {
  EXPECT_EQ(render_list(parse(R"({"mitigations":[]})"), kNow), "No mitigations.\n");
  EXPECT_EQ(render_list(parse("{}"), kNow), "No mitigations.\n");
  EXPECT_EQ(render_list(parse("null"), kNow), "No mitigations.\n");
  EXPECT_EQ(render_list(parse(R"({"mitigations":[{"mid":1,"target-prefix":["a","b","c","d","e"]}]})"), kNow),
            "MID  STATUS  LEFT  DROPPED  AVERAGE  TARGETS\n"
            "1                                    a b c and 2 more\n");
  EXPECT_EQ(render_list(parse(R"({"mitigations":[{"mid":1,"phase":"refused","target-prefix":["a"]}]})"), kNow),
            "MID  PHASE    STATUS  LEFT  DROPPED  AVERAGE  TARGETS\n"
            "1    refused                                  a\n");
  EXPECT_EQ(render_list(parse(R"({"mitigations":[
    {"mid":1,"phase":"requesting","waits-for":"a session with the server","target-prefix":["a"]},
    {"mid":2,"phase":"active","status":"attack-successfully-mitigated","target-prefix":["b"]}]})"),
                        kNow),
            "MID  PHASE                                            STATUS     LEFT  DROPPED      AVERAGE  TARGETS\n"
            "1    requesting: waits for a session with the server                                         a\n"
            "2    active                                           mitigated        not counted           b\n");
  EXPECT_NO_THROW(render_list(parse(R"({"mitigations":[5,{"mid":{}},{"target-prefix":"x","lifetime":"y",
    "target-port-range":[{"lower-port":5,"upper-port":6}],"target-protocol":["udp",999]}]})"),
                              kNow));
}

TEST(Render, ARequestOfAClient) {
  const auto body = parse(R"({"mitigation":{"server":"provider","cuid":"c","mid":7,"phase":"refused",
    "target-prefix":["203.0.113.7/32"],"refusal":"4.09 conflict","author":"root",
    "conflict-information":{"conflict-cause":"overlapping-targets","retry-timer":90,
      "conflict-scope":{"mid":12,"target-prefix":["203.0.113.0/24"]}}}})");
  EXPECT_EQ(render_show(body, kNow),
            "Mitigation 7\n"
            "  status    refused\n"
            "  refusal   4.09 conflict\n"
            "  conflict  overlapping-targets, with mitigation 12, at 203.0.113.0/24, try again in 1 min 30 s\n"
            "  targets   203.0.113.7/32\n"
            "  server    provider\n"
            "  cuid      c\n"
            "  asked by  root\n");
  EXPECT_EQ(state_words(parse(R"({"phase":"requesting"})")), "being asked for");
  EXPECT_EQ(state_words(parse(R"({"phase":"active","status":"attack-stopped"})")), "attack is over");
  EXPECT_EQ(state_words(parse(R"({"phase":"active"})")), "active");
  EXPECT_EQ(state_words(parse(R"({"status":"attack-mitigation-in-progress","approval":{"state":"waiting"}})")),
            "waits for approval");
  EXPECT_EQ(state_words(parse(R"({"phase":"withdrawing","status":"attack-stopped"})")), "being withdrawn");
}

TEST(Render, OneMitigationAtLength) {
  const auto body =
      parse(R"({"domain":"acme","client":"edge","cuid":"c","mid":7,"status":"attack-stopped","lifetime":60,
    "target-prefix":["203.0.113.7/32"],"target-protocol":[17],"rules":"failed","rules-reason":"no room",
    "mitigation-start":1794999940,"expires-at":1795000060,"author":"client edge","note":"flood"})");
  EXPECT_EQ(render_show(body, kNow),
            "Mitigation 7\n"
            "  status     attack is over (attack-stopped)\n"
            "  targets    203.0.113.7/32 udp\n"
            "  rules      failed: no room\n"
            "  dropped    not counted\n"
            "  time left  1 min\n"
            "  ends at    2026-11-18 11:07:40 UTC\n"
            "  started    2026-11-18 11:05:40 UTC (1 min ago)\n"
            "  domain     acme\n"
            "  client     edge\n"
            "  cuid       c\n"
            "  asked by   client edge\n"
            "  note       flood\n");
  EXPECT_EQ(render_show(parse("{}"), kNow), "No such mitigation.\n");
}

TEST(Render, Explain) {
  const auto body = parse(R"({"rules":[{"mitigator":"border","rule":"drop udp to 203.0.113.7/32 port 53",
    "state":"installed","since":1794999940,"packets":900000,"bytes":1234567890,"owners":[
     {"domain":"acme","cuid":"c","mid":7,"reason":"requested by client edge","author":"client edge","until":1795000060}]}],
    "sentences":["the same as a sentence"]})");
  EXPECT_EQ(render_explain(body, kNow),
            "drop udp to 203.0.113.7/32 port 53\n"
            "  back end   border\n"
            "  state      installed\n"
            "  since      2026-11-18 11:05:40 UTC (1 min ago)\n"
            "  dropped    1.23 GB, 900 k packets\n"
            "  wanted by  mitigation 7 of acme, asked by client edge: requested by client edge, for 1 min more\n");
  EXPECT_EQ(render_explain(parse(R"({"rules":[],"sentences":["no rule is wanted: nothing is blocked"]})"), kNow),
            "no rule is wanted: nothing is blocked\n");
  EXPECT_EQ(render_explain(parse("{}"), kNow), "Nothing is blocked.\n");
}

TEST(Render, ExplainOfAPrefixEndsWithWhatIsAboutIt) {
  const auto body = parse(R"({"rules":[],"sentences":["no rule matches: nothing is blocked for this"],
    "about":["no domain owns anything of 192.0.2.1/32","nothing blocks 192.0.2.1/32"]})");
  EXPECT_EQ(render_explain(body, kNow),
            "no rule matches: nothing is blocked for this\n\n"
            "no domain owns anything of 192.0.2.1/32\nnothing blocks 192.0.2.1/32\n");
}

TEST(Render, Rules) {
  const auto body = parse(R"({"rules":[
    {"mitigator":"edge","rule":"drop udp","desired":true,"installed":true,"since":1794999940,"packets":3,"bytes":180,
     "owners":[{"domain":"acme","client":"router","mid":7}]},
    {"mitigator":"edge","rule":"drop tcp","desired":true,"installed":false,"difference":"could not be installed",
     "failure":"table full","owners":[]}],
    "left-out":4,"totals":[{"mitigator":"edge","state":"ready","desired":6,"installed":5,"differing":1}]})");
  EXPECT_EQ(
      render_rules(body, kNow),
      "BACK END  RULE      DESIRED  INSTALLED  DIFFERENCE                          FOR                SINCE           "
      "                     UNTIL  DROPPED\n"
      "edge      drop udp  yes      yes                                            acme router mid 7  2026-11-18 "
      "11:05:40 UTC (1 min ago)         180 B, 3 packets\n"
      "edge      drop tcp  yes      no         could not be installed: table full                                     "
      "                            not counted\n"
      "4 more are left out; narrow with a prefix, --domain or --mitigator, or raise --limit.\n"
      "edge (ready): 6 desired, 5 installed, 1 differ\n");
  EXPECT_EQ(render_rules(parse("{}"), kNow), "No rules.\n");
}

// A-040, A-041, U-026
TEST(Render, ShowOfWhatGoesBeyondTheRfcs) {
  const std::string refused =
      render_show(parse(R"({"mitigation":{"mid":1,"phase":"refused","refusal":"4.00 (function): no",
    "refusal-reason":"function","offered-service":["rtbh"],"target-prefix":["192.0.2.1/32"]}})"),
                  kNow);
  EXPECT_NE(refused.find("refused because of  function\n"), std::string::npos) << refused;
  EXPECT_NE(refused.find("offered services    rtbh\n"), std::string::npos) << refused;
  const std::string active = render_show(parse(R"({"mitigation":{"mid":1,"phase":"active","contract-id":"gold",
    "status":"attack-exceeded-capability","refusal-reason":"bandwidth","failure":"too much","service-used":"rtbh",
    "target-prefix":["192.0.2.1/32"],"actual-prefix":["192.0.2.0/24"]}})"),
                                         kNow);
  for (const char* part : {"trouble             bandwidth: too much\n", "targets, requested  192.0.2.1/32\n",
                           "targets, actual     192.0.2.0/24\n", "service, used       rtbh\n"}) {
    EXPECT_NE(active.find(part), std::string::npos) << part << active;
  }
}

TEST(Render, Audit) {
  const auto body = parse(R"({"audit":[{"at":"2026-11-18 12:00:00 UTC","domain":"acme","actor":"client edge",
    "action":"request","subject":"cuid=c mid=7","verdict":"refused","text":"outside the domain","credential":"PSK e"},
    {"at":"2026-11-18 11:00:00 UTC","actor":"server"}]})");
  EXPECT_EQ(render_audit(body),
            "AT                       DOMAIN  WHO          BY     ACTION   WHAT          VERDICT  WHY\n"
            "2026-11-18 12:00:00 UTC  acme    client edge  PSK e  request  cuid=c mid=7  refused  outside the domain\n"
            "2026-11-18 11:00:00 UTC          server\n");
  EXPECT_EQ(audit_lines(body).substr(0, 55), R"({"at":"2026-11-18 11:00:00 UTC","actor":"server"})"
                                             "\n"
                                             R"({"at")");
  EXPECT_EQ(audit_lines(parse("{}")), "");
  EXPECT_EQ(render_audit(parse(R"({"audit":[]})")), "The audit log is empty.\n");
}

TEST(Render, Status) {
  const auto body = parse(R"({"role":"server","version":"0.1.0","uptime_s":3661,"listen":["127.0.0.1:4646"],
    "sessions":[{"client":"edge","peer":"127.0.0.1:5","age_s":61,"state":"active"}],"mitigations":2,
    "mitigations-by-status":{"attack-stopped":1,"attack-successfully-mitigated":1},"unwell":[],"health":[]})");
  EXPECT_EQ(render_status(body, kNow),
            "All is well.\n"
            "\n"
            "role                   server\n"
            "version                0.1.0\n"
            "uptime                 1 h 1 min\n"
            "listen                 127.0.0.1:4646\n"
            "mitigations            2\n"
            "mitigations by status  1 attack is over, 1 mitigated\n"
            "\n"
            "Sessions (1)\n"
            "CLIENT  PEER         AGE        STATE\n"
            "edge    127.0.0.1:5  1 min 1 s  active\n");
}

TEST(Render, StatusOfAClientShowsSessionsBelowTheirServer) {
  const auto body = parse(R"({"role":"client","servers":[{"name":"provider","state":"connected","sessions":[
    {"server":"192.0.2.1:4646","state":"open","age_s":5}]}],"unwell":["something is odd"]})");
  EXPECT_EQ(render_status(body, kNow),
            "UNWELL    something is odd\n"
            "\n"
            "role  client\n"
            "\n"
            "Servers (1)\n"
            "NAME      STATE\n"
            "provider  connected\n"
            "\n"
            "sessions of provider\n"
            "SERVER          STATE  AGE\n"
            "192.0.2.1:4646  open   5 s\n");
}

TEST(Render, StatusBeginsWithWhatIsUnwell) {
  const auto body = parse(R"({"health":[{"condition":"MITIGATOR_DOWN","grade":"failed","subject":"border",
    "since":1794999940,"meaning":"a back end cannot be reached","details":"the helper died","next_step":"look at it"}]})");
  EXPECT_EQ(render_status(body, kNow),
            "FAILED    MITIGATOR_DOWN (border): a back end cannot be reached, for 1 min\n"
            "          the helper died\n"
            "          Next: look at it\n"
            "\n");
}

TEST(Render, Done) {
  EXPECT_EQ(render_done("withdrawn", parse(R"({"mid":7})"), kNow), "Mitigation 7 withdrawn.\n");
  EXPECT_EQ(render_done("withdrawn", parse("{}"), kNow), "Done: withdrawn.\n");
  EXPECT_EQ(render_done("withdrawn", parse(R"({"text":"withdrawn"})"), kNow), "Done: withdrawn.\n");
  EXPECT_EQ(render_done("withdrawn", parse(R"({"message":"mitigation 7 ends in 2 min"})"), kNow),
            "mitigation 7 ends in 2 min\n");
}

TEST(RenderRedirects, SaysWhoIsSentWhereAndWhoHasLeft) {
  const auto body = boost::json::parse(R"({"redirects": [{"domain": "acme", "alt-server": "alt.example.net",
      "alt-server-record": ["192.0.2.2"], "ttl_s": 4294967295, "force": true, "author": "alice", "note": "new disks",
      "at": 1000, "reason": "operator", "left": 1,
      "clients": [{"domain": "acme", "client": "a", "state": "left", "age_s": 61},
                  {"domain": "acme", "client": "b", "state": "absent"}]}]})");
  const std::string text = render_redirects(body, 1060);
  for (const char* part :
       {"Domain acme to alt.example.net (192.0.2.2)", "until that server redirects them",
        "running mitigations do not hold it back", "alice, 1 min ago", "new disks", "1 of 2", "1 min 1 s"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
  }
  EXPECT_EQ(render_redirects(boost::json::parse(R"({"redirects": []})"), 0), "No client is redirected.\n");
}

TEST(Render, FiltersTellWhoseWhatAndHowMuch) {
  const auto body = boost::json::parse(R"({"filters": [
      {"domain": "acme", "client": "edge", "cuid": "c", "name": "friends", "activation-type": "immediate",
       "state": "in force", "expires-at": 7200,
       "mitigators": [{"mitigator": "edge", "state": "installed", "since": 60},
                      {"mitigator": "other", "state": "failed", "failure": "it cannot"}],
       "entries": [{"name": "dns", "text": "accept udp", "packets": 1500, "bytes": 2000000},
                   {"name": "old", "text": "drop tcp", "left-out": true}]}]})");
  const std::string text = render_filters(body, 3600);
  for (const std::string part :
       {"Filter list friends", "edge of domain acme, cuid c", "immediate", "in force", "installed since 1970-01-01",
        "failed: it cannot", "1 h", "dns: accept udp (1.50 k packets, 2.00 MB)",
        "old: drop tcp; not enforced, its domain does not own the destination"})
    EXPECT_NE(text.find(part), std::string::npos) << part << " is not in\n" << text;
  EXPECT_EQ(render_filters(boost::json::parse(R"({"filters": []})"), 0), "No filters.\n");
  const std::string explained = render_explain(
      boost::json::parse(R"({"rules": [], "filters": [{"mitigator": "edge", "domain": "acme", "cuid": "c",
        "name": "friends", "state": "installed", "since": 60, "reason": "made by client edge, immediate",
        "entries": [{"name": "dns", "text": "accept udp", "packets": 3, "bytes": 300}]}], "sentences": ["x"]})"),
      3600);
  for (const std::string part :
       {"filter list friends of cuid c, domain acme", "made by client edge", "dns: accept udp (3"})
    EXPECT_NE(explained.find(part), std::string::npos) << part << " is not in\n" << explained;
}

}  // namespace
}  // namespace dots::dotsctl
