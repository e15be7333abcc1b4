// Not a test of the daily run: prints what one disk gives. Run with --gtest_also_run_disabled_tests and TMPDIR on the
// disk.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "adapters/store/sqlite_store.h"
#include "tests/contract/store_contract.h"
#include "tests/support/temp_dir.h"

namespace dots::adapters::store {
namespace {

TEST(Throughput, DISABLED_CommitsAndRecordsPerSecond) {
  std::printf("%8s %12s %12s %10s %10s\n", "group", "groups/s", "records/s", "p50 us", "p99 us");
  for (const std::size_t group_size : {1, 8, 64, 512, 4096}) {
    const tests::TempDir dir;
    SqliteOptions options;
    options.state_dir = dir.path();
    auto store = SqliteStore::open(options);
    ASSERT_TRUE(store) << store.error().message;
    const auto token = (*store)->acquire();
    ASSERT_TRUE(token);
    const std::size_t groups = std::clamp<std::size_t>(20'000 / group_size, 20, 2'000);
    std::vector<double> took_us;
    std::uint32_t number = 0;
    const auto start = std::chrono::steady_clock::now();
    for (std::size_t g = 0; g < groups; ++g) {
      std::vector<ports::Batch> group;
      for (std::size_t i = 0; i < group_size; ++i) {
        auto record = tests::bare_record("domain-" + std::to_string(number % 100), "dz6pHjaADkaFTbjr0JGBpw", number);
        record.request.scope.target_prefix = {{*model::parse_ip_address("192.0.2.1"), 32}};
        record.request.scope.target_protocol = {17};
        record.expanded = record.request.scope.target_prefix;
        const ports::AppendAudit line{tests::audit_line(record.domain.value, number)};
        group.push_back({{1, ++number}, *token, {}, {ports::PutMitigation{std::move(record)}, line}});
      }
      const auto before = std::chrono::steady_clock::now();
      ASSERT_EQ((*store)->commit(group).outcome, ports::CommitOutcome::committed);
      took_us.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - before).count());
      (*store)->maintain();
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::sort(took_us.begin(), took_us.end());
    std::printf("%8zu %12.0f %12.0f %10.0f %10.0f\n", group_size, static_cast<double>(groups) / seconds,
                static_cast<double>(groups * group_size) / seconds, took_us[took_us.size() / 2],
                took_us[took_us.size() * 99 / 100]);
  }
}

}  // namespace
}  // namespace dots::adapters::store
