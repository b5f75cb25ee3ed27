// Promises to other programs over a recorded process tree.
#include "governor/neighbour/neighbours.h"

#include <gtest/gtest.h>

#include "core/base/log.h"
#include "core/base/units.h"
#include "machine/testing/recording.h"

namespace hearth::governor {
namespace {

void put_process(machine::testing::Recording& machine, int pid, int64_t mib, const std::string& children) {
  const std::string folder = "/proc/" + std::to_string(pid);
  machine.put(folder + "/status", "VmRSS: " + std::to_string(mib * 1024) + " kB\n");
  machine.put(folder + "/task/" + std::to_string(pid) + "/children", children);
}

// Process 10 with 1 MiB of its own, its child 11 with 20, and what the driver's tool says.
struct ParentAndChild : machine::testing::Recording {
  explicit ParentAndChild(const std::string& on_gpus) {
    put_process(*this, 10, 1, "11 ");
    put_process(*this, 11, 20, "");
    answer({"nvidia-smi", "--query-compute-apps=pid,used_memory,gpu_bus_id", "--format=csv,noheader,nounits"}, on_gpus);
  }
};

TEST(Neighbours, ATreeIsItsProcessesTogether) {
  machine::testing::Recording machine;
  put_process(machine, 10, 1, "11 12 ");
  put_process(machine, 11, 20, "");
  put_process(machine, 12, 300, "13 ");
  put_process(machine, 13, 4000, "");
  put_process(machine, 14, 7, "");
  ProcessUse use(machine.root());
  EXPECT_EQ(use.tree_bytes(10, PoolKind::kHost), 4321 * MiB);
  EXPECT_EQ(use.tree_bytes(99, PoolKind::kHost), 0);
}

// What the driver holds is in nobody's resident bytes, and on such a machine it is gone from the host all the same.
TEST(Neighbours, WhereTheGpuSharesTheMemoryWhatTheDriverHoldsForThemCountsToo) {
  const ParentAndChild machine("11, 5000, 0000000F:01:00.0\n77, 900, 0000000F:01:00.0\n10, [N/A], 0000000F:01:00.0\n");
  ProcessUse use(machine.root());
  EXPECT_EQ(use.tree_bytes(10, PoolKind::kShared), 5021 * MiB);
  EXPECT_EQ(use.tree_bytes(10, PoolKind::kHost), 21 * MiB) << "a card's memory is its own";
}

TEST(Neighbours, OfACardOnlyWhatTheDriverHoldsOnThatCardCounts) {
  const ParentAndChild machine("11, 5000, 00000000:0A:00.0\n11, 300, 00000000:C1:00.0\n10, 7, 00000000:0A:00.0\n"
                               "77, 9, broken\n");
  EXPECT_EQ(ProcessUse(machine.root(), "0000:0a:00.0").tree_bytes(10, PoolKind::kDevice), 5007 * MiB);
  EXPECT_EQ(ProcessUse(machine.root(), "0000:c1:00.0").tree_bytes(10, PoolKind::kDevice), 300 * MiB);
  EXPECT_EQ(ProcessUse(machine.root()).tree_bytes(10, PoolKind::kDevice), 5307 * MiB) << "no address: any card";
}

TEST(Neighbours, WhatIsPromisedAndNotTakenCountsUntilTheHandleGoes) {
  log::set_level(log::Level::kOff);
  machine::testing::Recording machine;
  put_process(machine, 10, 30, "");
  Budget budget("host", 1000 * MiB);
  Neighbours neighbours(machine.root());
  std::shared_ptr<void> held = neighbours.add(*budget.take(100 * MiB, "trainer"), "host", PoolKind::kHost,
                                              "trainer", 10);
  const auto promise = [&] { return neighbours.promise("host"); };
  EXPECT_EQ(promise().bytes, 100 * MiB);
  EXPECT_EQ(promise().taken_bytes, 0);
  EXPECT_EQ(neighbours.promise("cuda:0").bytes, 0);
  neighbours.look();
  EXPECT_EQ(promise().taken_bytes, 30 * MiB);
  EXPECT_FALSE(neighbours.list()[0].was_warned);
  put_process(machine, 10, 130, "");
  neighbours.look();
  EXPECT_EQ(promise().taken_bytes, 100 * MiB) << "what it takes beyond is nobody's promise";
  EXPECT_TRUE(neighbours.list()[0].was_warned);
  EXPECT_EQ(budget.leased_bytes(), 100 * MiB);
  held.reset();
  EXPECT_EQ(budget.leased_bytes(), 0);
  EXPECT_TRUE(neighbours.list().empty());
  log::set_level(log::Level::kInfo);
}

}  // namespace
}  // namespace hearth::governor
