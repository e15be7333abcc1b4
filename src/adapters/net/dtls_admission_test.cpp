// The stateless half: cookies, fragments, noise.
#include "tests/support/dtls_fixture.h"

namespace dots::adapters::net {
namespace {

class Admissions : public Dtls {
 protected:
  base::Bytes first_hello() {
    ports::ChannelEvents events;
    DtlsConnector connector{psk_client("home", kKey), kFast};
    keep_ = *connector.connect("server.example", events);
    return events.datagrams.front();
  }
  // The client's second hello, with the cookie.
  base::Bytes hello_with_cookie(const std::string& address, base::WallTime now, DtlsAdmission& admission) {
    const auto verdict = admission.consider(first_hello(), base::as_bytes(address), now);
    EXPECT_EQ(verdict.kind, Kind::answer);
    ports::ChannelEvents events;
    keep_->on_datagram(verdict.answer, events);
    EXPECT_EQ(events.datagrams.size(), 1U);
    return events.datagrams.front();
  }
  std::unique_ptr<ports::SecureChannel> keep_;
  base::WallTime now_ = wall_now();
};

TEST_F(Admissions, CookieBindsToTheAddress) {
  const base::Bytes hello = hello_with_cookie("a", now_, admission_);
  EXPECT_EQ(admission_.consider(hello, base::as_bytes("a"), now_).kind, Kind::admit);
  EXPECT_EQ(admission_.consider(hello, base::as_bytes("b"), now_).kind, Kind::answer);
  DtlsAdmission other{server_credentials(), kFast};
  EXPECT_EQ(other.consider(hello, base::as_bytes("a"), now_).kind, Kind::answer) << "every server has its own key";
}

TEST_F(Admissions, AnswerIsSmallerThanTheHello) {
  const base::Bytes hello = first_hello();
  const auto verdict = admission_.consider(hello, base::as_bytes("a"), now_);
  ASSERT_EQ(verdict.kind, Kind::answer);
  EXPECT_LT(verdict.answer.size(), hello.size());
  EXPECT_LT(verdict.answer.size(), 64U);
}

TEST_F(Admissions, CookieKeysRotate) {
  DtlsAdmission admission{server_credentials(), kFast, 5min};
  const auto start = base::WallTime{1000h};
  const base::Bytes hello = hello_with_cookie("a", start, admission);
  EXPECT_EQ(admission.consider(hello, base::as_bytes("a"), start + 299s).kind, Kind::admit);
  EXPECT_EQ(admission.consider(hello, base::as_bytes("a"), start + 300s).kind, Kind::admit)
      << "the key before stays good";
  EXPECT_EQ(admission.consider(hello, base::as_bytes("a"), start + 599s).kind, Kind::admit);
  EXPECT_EQ(admission.consider(hello, base::as_bytes("a"), start + 600s).kind, Kind::answer);
}

TEST_F(Admissions, OnlyFragmentOffsetZeroIsAnswered) {
  base::Bytes hello = first_hello();
  hello[21] = 1;
  auto verdict = admission_.consider(hello, base::as_bytes("a"), now_);
  EXPECT_EQ(verdict.kind, Kind::drop);
  EXPECT_EQ(verdict.reason, "no ClientHello at fragment offset 0");
}

TEST_F(Admissions, EveryTruncationAndEveryFlippedByteIsHandled) {
  const base::Bytes hello = hello_with_cookie("a", now_, admission_);
  for (std::size_t size = 0; size < hello.size(); ++size) {
    EXPECT_EQ(admission_.consider(base::ByteView{hello}.first(size), base::as_bytes("a"), now_).kind, Kind::drop)
        << size;
  }
  for (std::size_t at = 0; at < hello.size(); ++at) {
    base::Bytes changed = hello;
    changed[at] ^= 0xff;
    auto verdict = admission_.consider(changed, base::as_bytes("a"), now_);
    if (verdict.kind != Kind::admit) continue;
    ports::ChannelEvents events;
    verdict.channel->on_datagram(changed, events);
    EXPECT_FALSE(events.opened);
  }
}

// Splits a datagram with one ClientHello into fragments of at most `piece` bytes, each in a record of its own.
std::vector<base::Bytes> fragments(const base::Bytes& hello, std::size_t piece) {
  std::vector<base::Bytes> out;
  const base::ByteView body = base::ByteView{hello}.subspan(25);
  for (std::size_t at = 0; at < body.size(); at += piece) {
    const std::size_t size = std::min(piece, body.size() - at);
    base::Bytes part{hello.begin(), hello.begin() + 25};
    part[10] = static_cast<std::uint8_t>(part[10] + out.size());  // record sequence
    part[11] = static_cast<std::uint8_t>((size + 12) >> 8);
    part[12] = static_cast<std::uint8_t>((size + 12) & 0xff);
    part[20] = static_cast<std::uint8_t>(at >> 8);
    part[21] = static_cast<std::uint8_t>(at & 0xff);
    part[23] = static_cast<std::uint8_t>(size >> 8);
    part[24] = static_cast<std::uint8_t>(size & 0xff);
    part[19] = part[22] = 0;
    part.insert(part.end(), body.begin() + static_cast<std::ptrdiff_t>(at),
                body.begin() + static_cast<std::ptrdiff_t>(at + size));
    out.push_back(std::move(part));
  }
  return out;
}

TEST_F(Admissions, FragmentedHelloOpensASession) {
  for (const bool psk : {true, false}) {
    DtlsPair p{admission_, now_};
    DtlsConnector connector{psk ? psk_client("home", kKey) : client_credentials(), kFast};
    p.connect(connector, "server.example");
    std::uint64_t hellos = 0;
    p.run([&](bool to_server, base::Bytes& datagram) {
      if (!to_server || datagram[0] != 22 || datagram[13] != 1 || datagram[4] != 0) return true;
      ++hellos;
      for (const auto& part : fragments(datagram, 80)) p.deliver_to_server(part);
      return false;
    });
    EXPECT_EQ(hellos, 2U);
    EXPECT_TRUE(p.client.opened && p.server.opened) << p.client.reason << p.server.reason;
  }
}

}  // namespace
}  // namespace dots::adapters::net
