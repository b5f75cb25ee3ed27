// Host memory from recorded trees: plain, limited by a cgroup, nested limits, version 1, and nothing there.
#include "machine/memory.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include <unistd.h>

namespace hearth::machine {
namespace {

namespace fs = std::filesystem;

class Recorded : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::temp_directory_path() / ("hearth_memory_" + std::to_string(::getpid()));
    fs::create_directories(root_);
  }
  void TearDown() override { fs::remove_all(root_); }
  void put(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  HostMemory read() { return read_host_memory(root_.string()); }
  fs::path root_;
};

TEST_F(Recorded, PlainMachineHasNoCgroupLimit) {
  put("proc/meminfo", "MemTotal:       1000 kB\nMemFree: 1 kB\nMemAvailable:    600 kB\n");
  put("proc/self/cgroup", "0::/\n");
  put("sys/fs/cgroup/memory.max", "max\n");
  EXPECT_EQ(read().total_bytes, 1024000);
  EXPECT_EQ(read().available_bytes, 614400);
  EXPECT_FALSE(read().cgroup_limit_bytes);
}

TEST_F(Recorded, SmallestEnclosingLimitCounts) {
  put("proc/self/cgroup", "0::/box/task\n");
  put("sys/fs/cgroup/box/memory.max", "5000\n");
  put("sys/fs/cgroup/box/memory.current", "300\n");
  put("sys/fs/cgroup/box/task/memory.max", "9000\n");
  EXPECT_EQ(read().cgroup_limit_bytes, 5000);
  EXPECT_EQ(read().cgroup_used_bytes, 300);
}

TEST_F(Recorded, VersionOneAndUnlimitedMarker) {
  put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_FALSE(read().cgroup_limit_bytes);
  put("sys/fs/cgroup/memory/memory.limit_in_bytes", "7000\n");
  EXPECT_EQ(read().cgroup_limit_bytes, 7000);
}

TEST_F(Recorded, UnknownStaysUnknown) {
  EXPECT_FALSE(read().total_bytes);
  EXPECT_FALSE(read().available_bytes);
}

TEST(ProcessMemory, SeesItself) {
  EXPECT_GT(read_process_memory().resident_bytes, 0);
  EXPECT_GE(read_process_memory().peak_bytes, read_process_memory().resident_bytes);
}

}  // namespace
}  // namespace hearth::machine
