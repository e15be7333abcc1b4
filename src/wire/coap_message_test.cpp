#include "wire/coap_message.h"

#include <gtest/gtest.h>

#include <random>

#include "wire/coap_view.h"
#include "wire/coap_writer.h"

namespace dots::wire {
namespace {

base::Bytes hex(std::string_view text) { return *base::from_hex(text); }
base::Bytes text(std::string_view t) { return {t.begin(), t.end()}; }

Message parsed(std::string_view h) {
  auto message = parse(hex(h));
  EXPECT_TRUE(message.ok()) << (message.ok() ? "" : message.error().reason);
  return message.ok() ? *message : Message{};
}

// RFC 7252 appendix A, figure 16: CON GET /temperature, message id 0x7d34; and its piggybacked 2.05.
TEST(CoapMessage, ReadsTheExamplesOfTheRfc) {
  const Message get = parsed("40 01 7d34 bb 74656d7065726174757265");
  EXPECT_EQ(get.type, MessageType::confirmable);
  EXPECT_EQ(get.code, 1);
  EXPECT_EQ(get.message_id, 0x7d34);
  ASSERT_EQ(get.options.size(), 1U);
  EXPECT_EQ(get.options[0], (Option{11, text("temperature")}));
  EXPECT_TRUE(get.payload.empty());
  EXPECT_TRUE(get.is_request());

  const Message answer = parsed("60 45 7d34 ff 32322e332043");
  EXPECT_EQ(answer.type, MessageType::acknowledgement);
  EXPECT_EQ(answer.code, 0x45);
  EXPECT_EQ(answer.payload, text("22.3 C"));
  EXPECT_TRUE(answer.is_response());
}

// RFC 9132 figure 5 on the wire: NON PUT .well-known/dots/mitigate/cuid=.../mid=123, Content-Format 271.
TEST(CoapMessage, WritesADotsRequest) {
  Message put;
  put.type = MessageType::non_confirmable;
  put.code = static_cast<std::uint8_t>(Method::put);
  put.message_id = 0x0102;
  put.token = hex("a1b2c3d4");
  put.options = {{12, uint_value(271)}, {11, text(".well-known")}, {11, text("dots")}, {11, text("mid=123")}};
  put.payload = hex("a101a0");
  const base::Bytes wire = serialise(put);
  EXPECT_EQ(base::to_hex(wire),
            "54030102a1b2c3d4"
            "bb2e77656c6c2d6b6e6f776e"
            "04646f7473"
            "076d69643d313233"
            "12010f"
            "ffa101a0");
}

TEST(CoapMessage, SortsOptionsStably) {
  Message m;
  m.code = 1;
  m.options = {{15, text("c=a")}, {11, text("b")}, {11, text("a")}, {6, {}}};
  auto back = parse(serialise(m));
  ASSERT_TRUE(back.ok());
  const std::vector<Option> expected = {{6, {}}, {11, text("b")}, {11, text("a")}, {15, text("c=a")}};
  EXPECT_EQ(back->options, expected);
}

TEST(CoapMessage, ExtendedDeltasAndLengthsAtTheirBorders) {
  const MessageLimits wide{64, 70000, 65535};
  for (const int number : {0, 1, 12, 13, 14, 268, 269, 270, 65534, 65535}) {
    for (const std::size_t length : {0U, 1U, 12U, 13U, 14U, 268U, 269U, 270U, 1034U, 65535U}) {
      Message m;
      m.code = 1;
      m.options = {{static_cast<std::uint16_t>(number), base::Bytes(length, 0x5a)}};
      auto back = parse(serialise(m), wide);
      ASSERT_TRUE(back.ok()) << number << " " << length << " " << back.error().reason;
      EXPECT_EQ(*back, m);
    }
  }
}

struct Bad {
  const char* name;
  const char* hex;
  bool reset;
};
class MalformedMessage : public testing::TestWithParam<Bad> {};

TEST_P(MalformedMessage, IsRefused) {
  auto message = parse(hex(GetParam().hex));
  ASSERT_FALSE(message.ok());
  EXPECT_FALSE(message.error().reason.empty());
  EXPECT_EQ(message.error().answer_reset, GetParam().reset);
  if (GetParam().reset) {
    EXPECT_EQ(message.error().message_id, 0x1234);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, MalformedMessage,
    testing::Values(Bad{"nothing", "", false}, Bad{"three_bytes", "400112", false}, Bad{"version_0", "00011234", false},
                    Bad{"version_2", "80011234", false}, Bad{"token_9", "49011234000000000000000000", true},
                    Bad{"token_15_non", "5f011234000000000000000000", false},
                    Bad{"token_truncated", "4401123401", true}, Bad{"empty_with_token", "4100123401", true},
                    Bad{"empty_with_payload", "40001234ff01", true}, Bad{"empty_ack_with_bytes", "6000123400", false},
                    Bad{"class_1", "40201234", true}, Bad{"class_6", "40c01234", true},
                    Bad{"class_7", "40e11234", true}, Bad{"delta_15", "40011234f0", true},
                    Bad{"length_15", "400112341f", true}, Bad{"delta_13_cut", "40011234d0", true},
                    Bad{"delta_14_cut", "40011234e000", true}, Bad{"length_13_cut", "400112341d", true},
                    Bad{"value_cut", "4001123413aabb", true}, Bad{"number_over_65535", "40011234e0feffe0feff", true},
                    Bad{"marker_alone", "40011234ff", true}, Bad{"marker_alone_non", "50011234ff", false}),
    [](const auto& shape) { return std::string(shape.param.name); });

TEST(CoapMessage, HoldsItsLimits) {
  Message m;
  m.code = 1;
  m.options.assign(5, {11, text("abc")});
  m.payload = base::Bytes(10, 1);
  const base::Bytes wire = serialise(m);
  EXPECT_TRUE(parse(wire, {5, 3, 10}).ok());
  EXPECT_FALSE(parse(wire, {4, 3, 10}).ok());
  EXPECT_FALSE(parse(wire, {5, 2, 10}).ok());
  EXPECT_FALSE(parse(wire, {5, 3, 9}).ok());
}

TEST(CoapMessage, UintValues) {
  EXPECT_EQ(uint_value(0), base::Bytes{});
  EXPECT_EQ(uint_value(60), hex("3c"));
  EXPECT_EQ(uint_value(271), hex("010f"));
  EXPECT_EQ(uint_value(UINT64_MAX), hex("ffffffffffffffff"));
  EXPECT_EQ(uint_of(hex("")), 0U);
  EXPECT_EQ(uint_of(hex("00010f")), 271U);  // leading zeros are to be understood (RFC 7252 3.2)
  EXPECT_EQ(uint_of(hex("ffffffffffffffff")), UINT64_MAX);
  EXPECT_EQ(uint_of(hex("000000000000000001")), std::nullopt);
}

TEST(CoapMessage, ReaddressesADatagram) {
  base::Bytes wire =
      hex("52030102aabb"
          "ff01");
  readdress(wire, MessageType::confirmable, 0xfffe);
  EXPECT_EQ(base::to_hex(wire), "4203fffeaabbff01");
  EXPECT_EQ(base::to_hex(empty_message(MessageType::reset, 0x1234)), "70001234");
}

// The view and the copy read the same; whatever is read is written back to a message that reads the same.
TEST(CoapMessage, RandomDatagramsNeverConfuseTheReader) {
  std::mt19937_64 random{7};
  int readable = 0;
  for (int round = 0; round < 200000; ++round) {
    base::Bytes wire(random() % 40);
    for (auto& byte : wire) byte = static_cast<std::uint8_t>(random());
    if (!wire.empty()) wire[0] = static_cast<std::uint8_t>(0x40U | (wire[0] & 0x33U));
    auto message = parse(wire);
    if (!message.ok()) continue;
    ++readable;
    auto again = parse(serialise(*message));
    ASSERT_TRUE(again.ok());
    ASSERT_EQ(*again, *message);
  }
  EXPECT_GT(readable, 1000);
}

}  // namespace
}  // namespace dots::wire
