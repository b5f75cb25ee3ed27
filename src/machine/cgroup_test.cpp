// The processor time that recorded cgroups of both versions give.
#include "machine/cgroup.h"

#include <gtest/gtest.h>

#include "machine/testing/recording.h"

namespace hearth::machine {
namespace {

class RecordedCgroup : public ::testing::Test {
 protected:
  void put(const std::string& path, const std::string& text) { recording_.put(path, text); }
  std::optional<double> quota() { return read_cpu_quota(recording_.root()); }
  testing::Recording recording_;
};

TEST_F(RecordedCgroup, NoLimitIsNone) {
  EXPECT_FALSE(quota());
  put("/proc/self/cgroup", "0::/\n");
  put("/sys/fs/cgroup/cpu.max", "max 100000\n");
  put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
  put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_FALSE(quota());
}

TEST_F(RecordedCgroup, TheSmallestOfTheGroupsBinds) {
  put("/proc/self/cgroup", "0::/box/task\n");
  put("/sys/fs/cgroup/box/cpu.max", "150000 100000\n");
  put("/sys/fs/cgroup/box/task/cpu.max", "400000 100000\n");
  EXPECT_EQ(quota(), 1.5);
  put("/sys/fs/cgroup/box/task/cpu.max", "25000 50000\n");
  EXPECT_EQ(quota(), 0.5);
}

TEST_F(RecordedCgroup, VersionOneHasTwoFiles) {
  put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "350000\n");
  put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota(), 3.5);
}

}  // namespace
}  // namespace hearth::machine
