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

TEST(Neighbours, ATreeIsItsProcessesTogether) {
  machine::testing::Recording machine;
  put_process(machine, 10, 1, "11 12 ");
  put_process(machine, 11, 20, "");
  put_process(machine, 12, 300, "13 ");
  put_process(machine, 13, 4000, "");
  put_process(machine, 14, 7, "");
  ProcessUse use(machine.root());
  EXPECT_EQ(use.tree_bytes(10), 4321 * MiB);
  EXPECT_EQ(use.tree_bytes(99), 0);
}

// What the driver holds is in nobody's resident bytes, and on such a machine it is gone from the host all the same.
TEST(Neighbours, OnAnIntegratedGpuWhatTheDriverHoldsForThemCountsToo) {
  machine::testing::Recording machine;
  put_process(machine, 10, 1, "11 ");
  put_process(machine, 11, 20, "");
  machine.answer({"nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"},
                   "11, 5000\n77, 900\n10, [N/A]\n");
  EXPECT_EQ(ProcessUse(machine.root(), true).tree_bytes(10), 5021 * MiB);
  EXPECT_EQ(ProcessUse(machine.root(), false).tree_bytes(10), 21 * MiB) << "a discrete card's memory is its own";
}

TEST(Neighbours, WhatIsPromisedAndNotTakenCountsUntilTheHandleGoes) {
  log::set_level(log::Level::kOff);
  machine::testing::Recording machine;
  put_process(machine, 10, 30, "");
  Budget budget("host", 1000 * MiB);
  Neighbours neighbours(machine.root());
  std::shared_ptr<void> held = neighbours.add(*budget.take(100 * MiB, "trainer"), "trainer", 10);
  EXPECT_EQ(neighbours.promised_bytes(), 100 * MiB);
  neighbours.look();
  EXPECT_EQ(neighbours.promised_bytes(), 70 * MiB);
  EXPECT_FALSE(neighbours.list()[0].was_warned);
  put_process(machine, 10, 130, "");
  neighbours.look();
  EXPECT_EQ(neighbours.promised_bytes(), 0);
  EXPECT_TRUE(neighbours.list()[0].was_warned);
  EXPECT_EQ(budget.leased_bytes(), 100 * MiB);
  held.reset();
  EXPECT_EQ(budget.leased_bytes(), 0);
  EXPECT_TRUE(neighbours.list().empty());
  log::set_level(log::Level::kInfo);
}

}  // namespace
}  // namespace hearth::governor
