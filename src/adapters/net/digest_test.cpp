#include "adapters/net/digest.h"

#include <gtest/gtest.h>

namespace dots::adapters::net {
namespace {

// RFC 4231, test cases 1 and 2.
TEST(DigestTest, TheVectorsOfTheRfc) {
  EXPECT_EQ(hmac_sha256_hex(std::string(20, '\x0b'), "Hi There"),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(hmac_sha256_hex("Jefe", "what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(DigestTest, RandomNumbersDiffer) {
  const auto one = random_bytes(16);
  const auto other = random_bytes(16);
  ASSERT_TRUE(one.ok() && other.ok());
  EXPECT_EQ(one->size(), 16u);
  EXPECT_NE(*one, *other);
}

}  // namespace
}  // namespace dots::adapters::net
