#include "adapters/store/memory_store.h"

#include "tests/contract/store_contract.h"

namespace dots::adapters::store {
namespace {

struct MemoryHarness {
  static constexpr std::size_t kAuditRecords = 10;

  std::unique_ptr<ports::Store> open() {
    auto opened = std::make_unique<MemoryStore>(disk, MemoryStoreOptions{kAuditRecords, 1000});
    store = opened.get();
    return opened;
  }
  void refuse_next() const { store->script({Fault::refuse}); }
  void lose_answer_next(bool applied) const {
    store->script({applied ? Fault::unknown_applied : Fault::unknown_not_applied});
  }

  std::shared_ptr<MemoryDisk> disk = std::make_shared<MemoryDisk>();
  MemoryStore* store = nullptr;
};

TEST(MemoryStore, TakesReleasesOnlyWhileFull) {
  MemoryStore store;
  store.set_full(true);
  const ports::EraseMitigation erase{};
  EXPECT_EQ(store.commit({{{1, 1}, 0, {}, {ports::PutCounter{"n", 1}}}}).outcome, ports::CommitOutcome::refused);
  EXPECT_EQ(store.commit({{{1, 2}, 0, {}, {erase}}}).outcome, ports::CommitOutcome::committed);
  store.set_full(false);
  EXPECT_EQ(store.commit({{{1, 1}, 0, {}, {ports::PutCounter{"n", 1}}}}).outcome, ports::CommitOutcome::committed);
}

TEST(Release, AuditLinesAloneAreNone) {
  const ports::AppendAudit line{};
  const ports::EraseMitigation erase{};
  EXPECT_FALSE(ports::is_release(ports::Batch{}));
  EXPECT_FALSE(ports::is_release(ports::Batch{{}, 0, {}, {line}}));
  EXPECT_TRUE(ports::is_release(ports::Batch{{}, 0, {}, {line, erase}}));
  EXPECT_FALSE(ports::is_release(ports::Batch{{}, 0, {}, {line, erase, ports::PutCounter{}}}));
}

}  // namespace
}  // namespace dots::adapters::store

namespace dots::tests {
INSTANTIATE_TYPED_TEST_SUITE_P(Memory, StoreContract, adapters::store::MemoryHarness);
}  // namespace dots::tests
