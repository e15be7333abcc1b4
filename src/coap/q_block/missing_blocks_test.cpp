#include "coap/q_block/missing_blocks.h"

#include <gtest/gtest.h>

#include "base/bytes.h"

namespace dots::coap::testing {
namespace {

using Numbers = std::vector<std::uint32_t>;

base::Bytes hex(std::string_view text) { return *base::from_hex(text); }

TEST(MissingBlocks, IsASequenceOfCborNumbers) {
  const Numbers numbers{1, 23, 24, 256, 70000};
  const base::Bytes bytes = write_missing(numbers, 1000);
  EXPECT_EQ(bytes, hex("01 17 1818 190100 1a00011170"));
  EXPECT_EQ(read_missing(bytes), numbers);
  EXPECT_EQ(write_missing(numbers, 6), hex("01 17 1818")) << "what fits one packet";
}

// RFC 9177 section 5: duplicates are ignored, messages that do not ascend are dropped.
TEST(MissingBlocks, DropsWhatIsNoAscendingSequence) {
  EXPECT_EQ(read_missing(hex("01 01 02")), (Numbers{1, 2}));
  for (const char* wrong : {"", "02 01", "20", "8101", "19 01", "1a00100000", "1bffffffffffffffff", "9f01ff"}) {
    EXPECT_EQ(read_missing(hex(wrong)), std::nullopt) << wrong;
  }
}

Wanted wanted(const std::vector<Block>& blocks) {
  std::vector<std::uint32_t> options;
  for (const Block& block : blocks) options.push_back(block.value());
  return std::get<Wanted>(read_wanted(options));
}

TEST(WantedBlocks, TheMBitHasThreeMeanings) {
  EXPECT_TRUE(wanted({{0, true, 6}}).is_whole());
  EXPECT_FALSE(wanted({{0, false, 6}}).is_whole());
  EXPECT_EQ(wanted({{10, true, 6}}).go_on(10), 10u);
  EXPECT_EQ(wanted({{10, false, 6}}).go_on(10), std::nullopt);
  EXPECT_EQ(wanted({{11, true, 6}}).go_on(10), std::nullopt);
  EXPECT_EQ(wanted({{16, true, 6}}).numbers(10, 25), (Numbers{16, 17, 18, 19}));
  EXPECT_EQ(wanted({{22, true, 6}}).numbers(10, 25), (Numbers{22, 23, 24}));
}

// RFC 9177 4.4: no block twice in one answer, and no more blocks than there are.
TEST(WantedBlocks, OverlapsAndWildNumbersCostNothing) {
  EXPECT_EQ(wanted({{1, true, 6}, {3, false, 6}, {5, true, 6}, {12, false, 6}}).numbers(10, 25),
            (Numbers{1, 2, 3, 4, 5, 6, 7, 8, 9, 12}));
  EXPECT_TRUE(wanted({{Block::kMostNumber, true, 6}}).numbers(65535, 25).empty());
}

TEST(WantedBlocks, OnesThatDoNotAscendAreRefused) {
  for (const std::vector<std::uint32_t>& options :
       std::vector<std::vector<std::uint32_t>>{{Block{3, false, 6}.value(), Block{2, false, 6}.value()},
                                               {Block{3, false, 6}.value(), Block{3, true, 6}.value()},
                                               {Block{3, false, 6}.value(), Block{4, false, 5}.value()},
                                               {Block{3, false, 7}.value()}}) {
    EXPECT_TRUE(std::holds_alternative<std::string>(read_wanted(options)));
  }
}

}  // namespace
}  // namespace dots::coap::testing
