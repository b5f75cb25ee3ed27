// Memory from recorded trees: plain, limited by cgroups of both versions, with huge pages, under pressure, fragmented,
// and nothing there; and of this process.
#include "machine/memory.h"

#include <gtest/gtest.h>

#include "machine/testing/recording.h"

namespace hearth::machine {
namespace {

constexpr int64_t kMiB = 1 << 20;

class RecordedMemory : public ::testing::Test {
 protected:
  void put(const std::string& path, const std::string& text) { recording_.put(path, text); }
  HostMemory read() { return read_host_memory(recording_.root()); }
  testing::Recording recording_;
};

TEST_F(RecordedMemory, PlainMachineHasNoCgroupLimit) {
  put("/proc/meminfo", "MemTotal:       1000 kB\nMemFree: 1 kB\nMemAvailable:    600 kB\n");
  put("/proc/self/cgroup", "0::/\n");
  put("/sys/fs/cgroup/memory.max", "max\n");
  EXPECT_EQ(read().total_bytes, 1024000);
  EXPECT_EQ(read().free_bytes, 1024);
  EXPECT_EQ(read().available_bytes, 614400);
  EXPECT_FALSE(read().cgroup_limit_bytes);
}

TEST_F(RecordedMemory, SmallestEnclosingLimitCounts) {
  put("/proc/self/cgroup", "0::/box/task\n");
  put("/sys/fs/cgroup/box/memory.max", "5000\n");
  put("/sys/fs/cgroup/box/memory.current", "300\n");
  put("/sys/fs/cgroup/box/task/memory.max", "9000\n");
  EXPECT_EQ(read().cgroup_limit_bytes, 5000);
  EXPECT_EQ(read().cgroup_used_bytes, 300);
  // Files that were read fill a group to its limit; that is room all the same.
  put("/proc/meminfo", "MemTotal: 900 kB\nMemAvailable: 800 kB\n");
  EXPECT_EQ(room_bytes(read(), false), 4700);
  put("/sys/fs/cgroup/box/memory.current", "4900\n");
  put("/sys/fs/cgroup/box/memory.stat", "anon 300\nfile 4600\ninactive_file 3600\nactive_file 900\n");
  EXPECT_EQ(room_bytes(read(), false), 4600);
}

// A wide group that others fill leaves less than a narrow one of our own.
TEST_F(RecordedMemory, TheFullestGroupSaysHowMuchRoomThereIs) {
  put("/proc/meminfo", "MemTotal: 900 kB\nMemAvailable: 800 kB\n");
  put("/proc/self/cgroup", "0::/box/task\n");
  put("/sys/fs/cgroup/box/memory.max", "20000\n");
  put("/sys/fs/cgroup/box/memory.current", "19500\n");
  put("/sys/fs/cgroup/box/task/memory.max", "8000\n");
  put("/sys/fs/cgroup/box/task/memory.current", "1000\n");
  EXPECT_EQ(read().cgroup_limit_bytes, 8000);
  EXPECT_EQ(room_bytes(read(), false), 500);
}

TEST_F(RecordedMemory, TheLimitAboveWhichTheKernelSlowsAGroupBindsToo) {
  put("/proc/meminfo", "MemTotal: 900 kB\nMemAvailable: 800 kB\n");
  put("/proc/self/cgroup", "0::/box\n");
  put("/sys/fs/cgroup/box/memory.max", "9000\n");
  put("/sys/fs/cgroup/box/memory.high", "6000\n");
  put("/sys/fs/cgroup/box/memory.current", "2000\n");
  EXPECT_EQ(read().cgroup_limit_bytes, 6000);
  EXPECT_EQ(room_bytes(read(), false), 4000);
}

TEST_F(RecordedMemory, VersionOneOfAServiceIsReadAtItsOwnPath) {
  put("/proc/meminfo", "MemTotal: 900 kB\nMemAvailable: 800 kB\n");
  put("/proc/self/cgroup", "5:cpu,cpuacct:/other\n4:memory:/system.slice/hearth\n1:name=systemd:/x\n");
  put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  put("/sys/fs/cgroup/memory/system.slice/hearth/memory.limit_in_bytes", "7000\n");
  put("/sys/fs/cgroup/memory/system.slice/hearth/memory.usage_in_bytes", "3000\n");
  put("/sys/fs/cgroup/memory/system.slice/hearth/memory.stat", "total_inactive_file 900\ntotal_active_file 100\n");
  EXPECT_EQ(read().cgroup_limit_bytes, 7000);
  EXPECT_EQ(room_bytes(read(), false), 5000);
}

TEST_F(RecordedMemory, VersionOneAndUnlimitedMarker) {
  put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_FALSE(read().cgroup_limit_bytes);
  put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "7000\n");
  EXPECT_EQ(read().cgroup_limit_bytes, 7000);
}

TEST_F(RecordedMemory, UnknownStaysUnknown) {
  EXPECT_FALSE(read().total_bytes);
  EXPECT_FALSE(read().available_bytes);
  EXPECT_FALSE(room_bytes(read(), true));
  EXPECT_FALSE(read_memory_pressure(recording_.root()));
  EXPECT_FALSE(read_free_blocks(recording_.root()));
}

TEST_F(RecordedMemory, RoomIsWhatTheNarrowestLimitLeaves) {
  put("/proc/meminfo", "MemTotal: 9000 kB\nMemAvailable: 6000 kB\n");
  EXPECT_EQ(room_bytes(read(), false), 6000 * 1024);
  put("/proc/self/cgroup", "0::/box\n");
  put("/sys/fs/cgroup/box/memory.max", "4096000\n");
  put("/sys/fs/cgroup/box/memory.current", "4000000\n");
  EXPECT_EQ(room_bytes(read(), false), 96000);
}

TEST_F(RecordedMemory, ReservedHugePagesAreTheRoomOfAnIntegratedGpuOnly) {
  put("/proc/meminfo",
      "MemAvailable: 6000 kB\nHugePages_Total: 10\nHugePages_Free: 3\nHugepagesize: 2048 kB\n");
  EXPECT_EQ(room_bytes(read(), true), 3 * 2 * kMiB);
  EXPECT_EQ(room_bytes(read(), false), 6000 * 1024);
}

TEST_F(RecordedMemory, PressureHasBothKinds) {
  put("/proc/pressure/memory",
      "some avg10=1.25 avg60=0.10 avg300=0.00 total=4321\nfull avg10=0.75 avg60=0.00 avg300=0.00 total=99\n");
  const std::optional<MemoryPressure> pressure = read_memory_pressure(recording_.root());
  ASSERT_TRUE(pressure);
  EXPECT_DOUBLE_EQ(pressure->some_avg10, 1.25);
  EXPECT_DOUBLE_EQ(pressure->full_avg10, 0.75);
  EXPECT_EQ(pressure->some_total_us, 4321);
  EXPECT_EQ(pressure->full_total_us, 99);
}

TEST_F(RecordedMemory, FreeBlocksAreSummedOverZones) {
  put("/proc/buddyinfo",
      "Node 0, zone      DMA      1      0      0      0      0      0      0      0      0      0      2\n"
      "Node 0, zone   Normal    100     50      0      0      0      0      0      0      0      1      3\n");
  const std::optional<FreeBlocks> blocks = read_free_blocks(recording_.root());
  ASSERT_TRUE(blocks);
  EXPECT_EQ(blocks->blocks_of_at_least(4 * kMiB), 5);
  EXPECT_EQ(blocks->bytes_in_blocks_of(2 * kMiB), 5 * 4 * kMiB + 2 * kMiB);
  EXPECT_EQ(blocks->blocks_of_at_least(16 * kMiB), 0);
}

TEST_F(RecordedMemory, CountersOfSwapAndCompaction) {
  put("/proc/vmstat", "pswpin 3\npswpout 4\ncompact_stall 5\ncompact_fail 6\noom_kill 7\n");
  const std::optional<SwapAndCompaction> counters = read_swap_and_compaction(recording_.root());
  ASSERT_TRUE(counters);
  EXPECT_EQ(counters->pages_swapped_out, 4);
  EXPECT_EQ(counters->compaction_failures, 6);
  EXPECT_EQ(counters->oom_kills, 7);
}

TEST(ProcessMemory, SeesItself) {
  EXPECT_GT(read_process_memory().resident_bytes, 0);
  EXPECT_GE(read_process_memory().peak_bytes, read_process_memory().resident_bytes);
}

TEST_F(RecordedMemory, AnotherProcessOrNone) {
  put("/proc/77/status", "Name:\tx\nVmHWM:\t 20 kB\nVmRSS:\t 10 kB\nRssAnon:\t 4 kB\n");
  const std::optional<ProcessMemory> memory = read_process_memory(77, recording_.root());
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->anonymous_bytes, 4096);
  EXPECT_FALSE(read_process_memory(78, recording_.root()));
}

}  // namespace
}  // namespace hearth::machine
