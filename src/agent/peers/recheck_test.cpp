// What a session table does beside moving records: early ones, and credentials that are good no longer.
#include <gtest/gtest.h>

#include <set>

#include "agent/peers/session_table.h"

namespace dots::agent {
namespace {

using namespace std::chrono_literals;

base::Bytes record(std::uint8_t type, std::uint16_t epoch, std::string_view text) {
  base::Bytes out{type, 0xfe, 0xfd, 0, static_cast<std::uint8_t>(epoch),      0, 0, 0,
                  0,    0,    0,    0, static_cast<std::uint8_t>(text.size())};
  out.insert(out.end(), text.begin(), text.end());
  return out;
}

// An open channel whose records are in clear.
class OpenChannel final : public ports::SecureChannel {
 public:
  explicit OpenChannel(const std::set<const OpenChannel*>* bad, std::uint64_t* checks = nullptr)
      : bad_(bad), checks_(checks) {}
  void on_datagram(base::ByteView datagram, ports::ChannelEvents& events) override {
    events.plaintexts.emplace_back(datagram.begin() + 13, datagram.end());
  }
  void on_timeout(ports::ChannelEvents&) override {}
  std::optional<base::Duration> timeout() const override { return std::nullopt; }
  base::Result<void> send(base::ByteView, ports::ChannelEvents&) override { return {}; }
  void close(ports::ChannelEvents& events) override { events.datagrams.push_back(record(21, 1, "")); }
  bool is_open() const override { return true; }
  const model::PeerIdentity& identity() const override { return identity_; }
  std::size_t max_plaintext() const override { return 1200; }
  bool resumed() const override { return true; }
  std::optional<std::string> recheck(base::WallTime) override {
    if (checks_ != nullptr) ++*checks_;
    if (bad_ != nullptr && bad_->contains(this)) return "its certificate is revoked";
    return std::nullopt;
  }

 private:
  const std::set<const OpenChannel*>* bad_;
  std::uint64_t* checks_;
  model::PeerIdentity identity_;
};

model::Path path(std::uint16_t port) {
  return {{*model::parse_ip_address("192.0.2.7"), port}, {*model::parse_ip_address("192.0.2.1"), 4646}};
}

class Table : public ::testing::Test {
 protected:
  SessionEffects adopt(std::uint16_t port) {
    SessionEffects out;
    auto channel = std::make_unique<OpenChannel>(&bad_, &checks_);
    channels_.push_back(channel.get());
    table_.adopt({path(port), std::move(channel), {}, {}}, now_, out);
    return out;
  }
  SessionEffects arrives(std::uint16_t port, const base::Bytes& bytes) {
    SessionEffects out;
    table_.on_datagram({path(port), bytes}, now_, out);
    return out;
  }
  SessionTable table_{0, {}};
  std::set<const OpenChannel*> bad_;
  std::uint64_t checks_ = 0;
  std::vector<const OpenChannel*> channels_;
  base::Now now_{base::SteadyTime{100s}, base::WallTime{1700000000s}};
};

// The client of a resumed handshake speaks before its session has come over from the admission thread.
TEST_F(Table, ARequestThatOvertakesItsSessionIsNotLost) {
  EXPECT_EQ(arrives(1, record(23, 1, "PUT")).unknown_peer, 1U);
  now_ = now_ + 100ms;
  const auto other = adopt(2);
  EXPECT_TRUE(other.plaintexts.empty()) << "of another address";
  const auto out = adopt(1);
  ASSERT_EQ(out.plaintexts.size(), 1U);
  EXPECT_EQ(base::as_text(out.plaintexts[0].bytes), "PUT");
  EXPECT_TRUE(out.opened[0].resumed);
  adopt(1);
  EXPECT_TRUE(adopt(1).plaintexts.empty()) << "once";
}

TEST_F(Table, EarlyRecordsAreFewAndShortLived) {
  arrives(1, record(23, 1, "old"));
  now_ = now_ + kEarlyTime;
  EXPECT_TRUE(adopt(1).plaintexts.empty()) << "too old";
  arrives(2, record(23, 0, "clear"));
  arrives(2, record(22, 1, "handshake"));
  arrives(2, base::Bytes(1600, 23));
  EXPECT_TRUE(adopt(2).plaintexts.empty()) << "nothing but protected application data";
  arrives(3, record(23, 1, "first"));
  for (std::size_t i = 0; i < kEarlyRecords; ++i) arrives(static_cast<std::uint16_t>(1000 + i), record(23, 1, "flood"));
  EXPECT_TRUE(adopt(3).plaintexts.empty()) << "pushed out by newer ones: the room is bounded";
  EXPECT_EQ(adopt(1000).plaintexts.size(), 1U);
}

// S9132-8-02: a credential that is good no longer ends its session, a few checks at a time.
TEST_F(Table, ARecheckClosesSessionsWhoseCredentialIsGoodNoLonger) {
  for (std::uint16_t port = 1; port <= 100; ++port) adopt(port);
  bad_ = {channels_[0], channels_[99]};
  SessionEffects out;
  table_.on_timer(now_, out);
  EXPECT_EQ(checks_, 0U) << "nobody asked";
  table_.begin_recheck(now_);
  std::size_t rounds = 0;
  while (const auto next = table_.next_deadline()) {
    now_ = now_ + std::max(base::Duration::zero(), *next - now_.steady);
    const auto before = checks_;
    table_.on_timer(now_, out);
    EXPECT_LE(checks_ - before, 16U);
    ASSERT_LT(++rounds, 50U);
  }
  EXPECT_EQ(checks_, 100U);
  ASSERT_EQ(out.closed.size(), 2U);
  for (const auto& closed : out.closed) {
    EXPECT_TRUE(closed.credential);
    EXPECT_EQ(closed.reason, "its certificate is revoked");
  }
  EXPECT_EQ(out.send.size(), 2U) << "the clients are told";
  EXPECT_EQ(table_.size(), 98U);
}

}  // namespace
}  // namespace dots::agent
