// Budget: no overdraft, refusals with numbers, leases return; the host's limit follows total, cgroup and reserve.
#include "governor/budget/budget.h"

#include <gtest/gtest.h>

#include <thread>

#include "core/base/units.h"

namespace hearth::governor {
namespace {

TEST(Budget, RefusesWithNumbersAndHolders) {
  Budget budget("host", 10 * MiB);
  Lease weights = *budget.take(8 * MiB, "weights tiny");
  Result<Lease> more = budget.take(3 * MiB, "kv tiny");
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().code(), Code::kNoMemory);
  EXPECT_EQ(more.error().message(),
            "kv tiny needs 3.0 MiB in pool 'host': 2.0 MiB of 10.0 MiB free; held by weights tiny 8.0 MiB. Unload a "
            "model, use a smaller context, or raise memory.budget");
  weights = Lease();
  EXPECT_TRUE(budget.take(10 * MiB, "kv tiny"));
}

TEST(Budget, AllocatorGivesTheLeaseBackWithTheBytes) {
  Budget budget("host", MiB);
  LeasedAllocator memory(budget, {DeviceKind::kCpu});
  {
    StorageRef a = *memory.allocate(1000, "a");
    EXPECT_EQ(budget.leased_bytes(), 1000);
    EXPECT_FALSE(memory.allocate(MiB, "b"));
  }
  EXPECT_EQ(budget.leased_bytes(), 0);
  EXPECT_TRUE(budget.holdings().empty());
}

TEST(Budget, NeverOverdrawnFromManyThreads) {
  Budget budget("host", 1000);
  std::atomic<int> overdrawn{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) {
        Result<Lease> lease = budget.take(300, "t");
        if (budget.leased_bytes() > 1000) ++overdrawn;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(overdrawn, 0);
  EXPECT_EQ(budget.leased_bytes(), 0);
}

TEST(HostBudget, IsTheSmallestOfItsLimits) {
  machine::HostMemory memory;
  memory.total_bytes = 128 * GiB;
  EXPECT_EQ(host_budget_bytes(memory, {}), 128 * GiB - 128 * GiB / 10);
  EXPECT_EQ(host_budget_bytes(memory, {.configured_bytes = 20 * GiB}), 20 * GiB);
  memory.cgroup_limit_bytes = 8 * GiB;
  EXPECT_EQ(host_budget_bytes(memory, {}), 7 * GiB);
  EXPECT_EQ(host_budget_bytes(memory, {.configured_bytes = 20 * GiB}), 7 * GiB);
  EXPECT_EQ(host_budget_bytes(memory, {.reserve_bytes = 3 * GiB}), 5 * GiB);
}

}  // namespace
}  // namespace hearth::governor
