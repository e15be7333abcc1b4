#include "wire/coap_stream.h"

#include <gtest/gtest.h>

#include "wire/coap_writer.h"

namespace dots::wire {
namespace {

base::Bytes hex(std::string_view text) { return *base::from_hex(text); }

MessageView one(FrameReader& reader, std::size_t most = 70000) {
  auto message = reader.next(most, {SIZE_MAX, SIZE_MAX, SIZE_MAX});
  EXPECT_TRUE(message.ok()) << (message.ok() ? "" : message.error());
  EXPECT_TRUE(message.ok() && message->has_value());
  return message.ok() && *message ? **message : MessageView{};
}

std::string refusal(std::string_view text, std::size_t most = 1152) {
  FrameReader reader;
  reader.append(hex(text));
  const auto message = reader.next(most);
  return message.ok() ? "" : message.error();
}

// RFC 8323 figures 11 and 12: Ping and Pong with the token 0x42; figure 6 of section 3.2: a message of two bytes.
TEST(CoapStream, ReadsTheExamplesOfTheRfc) {
  FrameReader reader;
  reader.append(hex("01e242 01e342 017f43 0000"));
  const auto next = [&] { return reader.next(1152); };
  auto ping = next();
  ASSERT_TRUE(ping.ok() && *ping);
  EXPECT_EQ((*ping)->code, static_cast<std::uint8_t>(Signal::ping));
  EXPECT_EQ((*ping)->token.size(), 1U);
  EXPECT_EQ((*ping)->token[0], 0x42);
  EXPECT_EQ(one(reader).code, static_cast<std::uint8_t>(Signal::pong));
  const MessageView valid = one(reader);  // 3.31 with a token of one byte
  EXPECT_EQ(valid.code, 0x7f);
  EXPECT_TRUE(valid.content.empty());
  EXPECT_TRUE(one(reader).is_empty());
  EXPECT_EQ(reader.waiting(), 0U);
  auto nothing = next();
  ASSERT_TRUE(nothing.ok());
  EXPECT_FALSE(*nothing);
}

TEST(CoapStream, WritesAndReadsEveryFormOfTheLength) {
  for (const std::size_t payload :
       {0U, 1U, 11U, 12U, 13U, 200U, 267U, 268U, 269U, 1000U, 65803U, 65804U, 65805U, 66000U}) {
    MessageWriter writer{MessageType::non_confirmable, 0x45, 7, hex("a1a2")};
    writer.payload(base::Bytes(payload, 0x5a));
    const base::Bytes frame = to_frame(writer.take());
    const std::size_t content = payload == 0 ? 0 : payload + 1;
    const unsigned nibble = content < 13      ? static_cast<unsigned>(content)
                            : content < 269   ? 13
                            : content < 65805 ? 14
                                              : 15;
    EXPECT_EQ(frame[0], nibble << 4 | 2) << payload;
    FrameReader reader;
    reader.append(frame);
    const MessageView message = one(reader);
    EXPECT_EQ(message.code, 0x45);
    EXPECT_EQ(message.token.size(), 2U);
    EXPECT_EQ(message.payload.size(), payload);
    EXPECT_EQ(reader.waiting(), 0U);
  }
}

TEST(CoapStream, PiecesOfAnySizeGiveTheSameMessages) {
  base::Bytes stream = hex("00e1 01e242");
  MessageWriter writer{MessageType::non_confirmable, 3, 0, hex("01020304")};
  writer.option(OptionNumber::uri_path, base::as_bytes("mitigate"));
  writer.payload(base::Bytes(300, 1));
  const base::Bytes put = to_frame(writer.take());
  stream.insert(stream.end(), put.begin(), put.end());
  for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
    FrameReader reader;
    std::vector<int> codes;
    std::size_t payload = 0;
    for (std::size_t at = 0; at < stream.size(); at += piece) {
      reader.append(base::ByteView{stream}.subspan(at, std::min(piece, stream.size() - at)));
      for (;;) {
        const auto message = reader.next(1152);
        ASSERT_TRUE(message.ok());
        if (!*message) break;
        codes.push_back((*message)->code);
        payload = (*message)->payload.size();
      }
      ASSERT_LE(reader.waiting(), put.size());
    }
    EXPECT_EQ(codes, (std::vector<int>{0xe1, 0xe2, 3})) << piece;
    EXPECT_EQ(payload, 300U);
  }
}

TEST(CoapStream, RefusesWhatCannotBeRead) {
  EXPECT_EQ(refusal("0945"), "token length 9 is over 8");
  EXPECT_EQ(refusal("0020"), "code 32 is of a reserved class");
  EXPECT_EQ(refusal("00c5"), "code 197 is of a reserved class");
  EXPECT_EQ(refusal("1045ff"), "a payload marker without a payload");
  EXPECT_EQ(refusal("1045f0"), "option 1 is malformed or truncated");
  // Refused by its length alone, before a byte of it is kept.
  EXPECT_EQ(refusal("f0ffffffff45"), "a message of 4295033106 bytes, over our Max-Message-Size of 1152");
  EXPECT_EQ(refusal("e0037045", 1152), "a message of 1153 bytes, over our Max-Message-Size of 1152");
  EXPECT_EQ(refusal("e0036f45", 1152), "");
}

}  // namespace
}  // namespace dots::wire
