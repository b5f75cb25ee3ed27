// This machine as plans see it: whose memory, whose rates; and the measuring itself.
#include "planner/cost/this_machine.h"

#include <gtest/gtest.h>

#include "core/base/units.h"
#include "governor/budget/budget.h"
#include "machine/testing/recording.h"

namespace hearth::planner {
namespace {

class TheseMachines : public ::testing::Test {
 protected:
  TheseMachines() { recording_.put("/proc/meminfo", "MemTotal: 67108864 kB\nMemAvailable: 60000000 kB\n"); }
  Machines of(ThisMachineOptions words) {
    Rates rates{.bandwidth = 40e9, .source = "recorded"};
    return these_machines(words, {8, {}}, rates, Catalogue::built_in(), recording_.root());
  }
  static Caps gpu(int sm, bool is_integrated) {
    Caps caps{.target = DeviceKind::kCuda, .sm = sm, .name = "GPU"};
    caps.is_integrated = is_integrated;
    return caps;
  }
  machine::testing::Recording recording_;
};

TEST_F(TheseMachines, ACpuIsOnePoolForBoth) {
  const Machines both = of({.caps = cpu_caps(8), .configured_bytes = 20 * GiB});
  EXPECT_TRUE(both.is_one_pool());
  EXPECT_EQ(both.words.budget_bytes(), 20 * GiB);
  EXPECT_EQ(both.pictures.budget_bytes(), 20 * GiB);
  EXPECT_EQ(both.words.bandwidth, 40e9);
}

TEST_F(TheseMachines, BesideACardPicturesLieInTheHostsMemory) {
  const Machines both = of({.caps = gpu(89, false), .configured_bytes = 10 * GiB, .gpu_memory_bytes = 24 * GiB});
  EXPECT_FALSE(both.is_one_pool());
  EXPECT_EQ(both.words.budget_bytes(), 10 * GiB - both.words.driver_bytes) << "what is configured is the card's";
  EXPECT_EQ(both.pictures.memory_bytes, 64 * GiB);
  EXPECT_GT(both.pictures.budget_bytes(), 50 * GiB);
  EXPECT_EQ(both.pictures.bandwidth, 40e9) << "the CPU's";
  EXPECT_EQ(both.words.bandwidth, 1008e9);
}

TEST_F(TheseMachines, AGpuInTheHostsMemoryKeepsAsMuchFreeForBoth) {
  const Machines both = of({.caps = gpu(121, true)});
  EXPECT_TRUE(both.is_one_pool());
  EXPECT_EQ(both.words.budget_bytes(), both.pictures.budget_bytes());
  EXPECT_EQ(both.pictures.bandwidth, 40e9) << "drawn by the CPU";
  EXPECT_GT(both.words.bandwidth, 200e9);
}

TEST(MeasuredRates, NeedLittleMemoryAndAreNotThoseOfACache) {
  governor::Budget budget("cpu", 33 * MiB);
  governor::LeasedAllocator memory(budget, {DeviceKind::kCpu});
  const Rates rates = measure_rates(cpu_caps(1), {1, {}}, memory);
  EXPECT_GT(rates.flops[static_cast<size_t>(Math::kF32)], 1e8);
  EXPECT_GT(rates.bandwidth, 1e8);
  EXPECT_EQ(budget.leased_bytes(), 0);
  governor::Budget none("cpu", 1 * MiB);
  governor::LeasedAllocator too_little(none, {DeviceKind::kCpu});
  EXPECT_TRUE(measure_rates(cpu_caps(1), {1, {}}, too_little).source.starts_with("not measured: "));
}

TEST(MeasuredRates, HonourAQuota) {
  RawAllocator memory({DeviceKind::kCpu});
  const Rates half = measure_rates(cpu_caps(2), {2, 0.5}, memory);
  EXPECT_NE(half.source.find("2 threads that get the time of 0.5 CPUs"), std::string::npos) << half.source;
  EXPECT_EQ((Processors{2, 0.5}).at_once(), 0.5);
  EXPECT_EQ((Processors{2, 16.0}).at_once(), 2);
  // A quarter of what two whole CPUs reach; machines are noisy.
  const Rates whole = measure_rates(cpu_caps(2), {2, {}}, memory);
  EXPECT_LT(half.bandwidth, 0.6 * whole.bandwidth);
}

}  // namespace
}  // namespace hearth::planner
