#include "base/bytes.h"

#include <gtest/gtest.h>

namespace dots::base {
namespace {

TEST(Hex, RoundTripsAndIgnoresWhiteSpaceBetweenBytes) {
  EXPECT_EQ(to_hex(*from_hex("A1 18 31\na11833f5")), "a11831a11833f5");
  EXPECT_EQ(from_hex("")->size(), 0u);
}

TEST(Hex, RefusesHalfBytesAndForeignDigits) {
  EXPECT_FALSE(from_hex("a"));
  EXPECT_FALSE(from_hex("a 1"));
  EXPECT_FALSE(from_hex("zz"));
}

TEST(Base64Url, HasNoPaddingAndTheUrlAlphabet) {
  EXPECT_EQ(to_base64url(as_bytes("")), "");
  EXPECT_EQ(to_base64url(as_bytes("f")), "Zg");
  EXPECT_EQ(to_base64url(as_bytes("fo")), "Zm8");
  EXPECT_EQ(to_base64url(as_bytes("foo")), "Zm9v");
  EXPECT_EQ(to_base64url(Bytes{0xfb, 0xff}), "-_8");
}

}  // namespace
}  // namespace dots::base
