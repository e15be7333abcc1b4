// Which repeats of a handshake's flights leave, and when.
#include "adapters/net/flights.h"

#include "tests/support/dtls_fixture.h"

namespace dots::adapters::net {
namespace {

base::Bytes message(std::uint8_t sequence) {
  base::Bytes record(13 + 12, 0);
  record[0] = 22;
  record[13 + 5] = sequence;
  return record;
}
const base::Bytes kChangeCipherSpec(14, 20);
base::Bytes finished() {
  base::Bytes record(13 + 48, 0);
  record[0] = 22;
  record[4] = 1;
  return record;
}

class Flights : public ::testing::Test {
 protected:
  // As GnuTLS writes a flight; whether all of it or nothing left.
  bool sends(const std::vector<base::Bytes>& flight) {
    gate.pause();
    std::size_t left = 0;
    for (const auto& record : flight) left += gate.lets_out(record, now) ? 1 : 0;
    EXPECT_TRUE(left == 0 || left == flight.size()) << "a flight leaves as a whole";
    return left > 0;
  }
  FlightGate gate{FlightPace{.repeat_after = 500ms, .steady_repeats = 3, .slowest = 2s}};
  base::SteadyTime now{100s};
};

TEST_F(Flights, PaceIsSteadyThenSlow) {
  const FlightPace pace{.repeat_after = 500ms, .steady_repeats = 3, .slowest = 2s};
  std::vector<base::Duration> waits;
  for (int sent = 0; sent < 7; ++sent) waits.push_back(pace.after(sent));
  EXPECT_EQ(waits, (std::vector<base::Duration>{500ms, 500ms, 500ms, 500ms, 1s, 2s, 2s}));
  EXPECT_EQ(FlightPace({.repeat_after = 5s, .steady_repeats = 0, .slowest = 2s}).after(3), 5s) << "never faster";
}

TEST_F(Flights, ARepeatWaitsForItsTime) {
  const std::vector<base::Bytes> flight{message(0)};
  EXPECT_TRUE(sends(flight));
  EXPECT_FALSE(sends(flight));
  EXPECT_EQ(gate.due(), now + 500ms);
  now = now + 499ms;
  EXPECT_FALSE(sends(flight));
  now = now + 1ms;
  EXPECT_TRUE(sends(flight));
  EXPECT_FALSE(sends(flight)) << "once";
}

TEST_F(Flights, ANewFlightLeavesAtOnceAndAtItsOwnPace) {
  for (int i = 0; i < 8; ++i, now = gate.due()) EXPECT_TRUE(sends({message(0)}));
  EXPECT_TRUE(sends({message(1), message(2), kChangeCipherSpec, finished()}));
  EXPECT_EQ(gate.due(), now + 500ms);
  EXPECT_FALSE(sends({message(1), message(2), kChangeCipherSpec, finished()}));
  EXPECT_TRUE(sends({kChangeCipherSpec, finished()})) << "the last flight of a server begins like this";
  EXPECT_FALSE(sends({kChangeCipherSpec, finished()}));
}

TEST_F(Flights, TheLastFlightAnswersTheRepeatsOfThePeer) {
  EXPECT_TRUE(sends({kChangeCipherSpec, finished()}));
  gate.answer_repeats();
  EXPECT_FALSE(sends({kChangeCipherSpec, finished()})) << "the first one may still be on its way";
  now = now + 125ms;
  EXPECT_TRUE(sends({kChangeCipherSpec, finished()}));
  EXPECT_FALSE(sends({kChangeCipherSpec, finished()})) << "four times the pace at most, whatever the peer sends";
}

TEST_F(Flights, WhoWaitsForTheRestOfAFlightDoesNotSpin) {
  EXPECT_TRUE(sends({message(0)}));
  now = gate.due();
  gate.skip(now);
  EXPECT_EQ(gate.due(), now + 500ms);
  gate.skip(now);
  EXPECT_EQ(gate.due(), now + 500ms);
}

// RFC 6347 4.2.1: what comes in does not multiply what goes out, not even at a proven address.
TEST_F(Dtls, RepeatsOfTheClientDrawNoMoreThanThePaceOfTheServer) {
  DtlsOptions slow = kFast;
  slow.pace.repeat_after = 30s;
  admission_ = DtlsAdmission{server_credentials(), slow};
  DtlsPair p{admission_, wall_now()};
  DtlsConnector connector{client_credentials(), slow};
  p.connect(connector, "server.example");
  base::Bytes hello;
  p.settle([&](bool to_server, base::Bytes& datagram) {
    if (to_server) hello = datagram;
    return to_server || !p.server.channel;  // the flight of the server is lost
  });
  ASSERT_TRUE(p.server.channel);
  for (int i = 0; i < 200; ++i) {
    ++hello[10];  // another record number each time
    p.deliver_to_server(hello);
  }
  EXPECT_TRUE(p.client.inbox.empty()) << p.client.inbox.size();
  EXPECT_FALSE(p.server.closed) << p.server.reason;
}

// The time of a repeat does not move when datagrams come in: forged ones would silence a handshake.
TEST_F(Dtls, NoiseDoesNotPutOffARepeat) {
  ports::ChannelEvents events;
  DtlsOptions options = kFast;
  static base::SteadyTime now;
  now = base::SteadyTime{1000s};
  options.clock = [] { return now; };
  DtlsConnector connector{client_credentials(), options};
  auto client = connector.connect("server.example", events);
  ASSERT_TRUE(client.ok());
  events = {};
  const base::Bytes noise = *base::from_hex("16fefd00000000000000630004deadbeef");
  for (int i = 0; i < 19; ++i) {
    now = now + 1ms;
    (*client)->on_datagram(noise, events);
    EXPECT_EQ((*client)->timeout(), base::Duration{(19 - i) * 1ms});
  }
  EXPECT_TRUE(events.datagrams.empty());
  now = now + 1ms;
  (*client)->on_timeout(events);
  EXPECT_EQ(events.datagrams.size(), 1U);
  now = now + kFast.handshake_time;
  (*client)->on_timeout(events);
  EXPECT_TRUE(events.closed);
  EXPECT_NE(events.reason.find("timed out"), std::string::npos) << events.reason;
}

}  // namespace
}  // namespace dots::adapters::net
