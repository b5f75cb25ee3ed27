// LeasedAllocator over a GPU whose memory is taken in steps, whether or not it is the host's.
#include "core/device/cuda.h"

#include <gtest/gtest.h>

#include "core/base/units.h"
#include "governor/budget/budget.h"

namespace hearth::governor {
namespace {

TEST(CudaSteps, ARefusalInTheMiddleGivesTheDeviceBackWhatItGave) {
  if (cuda::device_count() == 0) GTEST_SKIP() << cuda::why_none();
  cuda::initialise(0);
  if (!cuda::can_grow(0)) GTEST_SKIP() << "this driver gives memory in one piece";
  const int64_t before = cuda::memory_info(0).free_bytes;
  if (before < 2 * GiB) GTEST_SKIP() << "too little free memory";
  Budget budget("cuda:0", 2 * GiB);
  int looks = 0, refuse_at = 4;
  int64_t taken_at_refusal = 0;
  LeasedAllocator memory(
      budget, {DeviceKind::kCuda, 0},
      [&](int64_t) -> Result<void> {
        if (++looks != refuse_at) return {};
        taken_at_refusal = before - cuda::memory_info(0).free_bytes;
        return unexpected(Code::kNoMemory, "the host has 1.0 GiB left");
      },
      256 * MiB, [](int64_t bytes) { return cuda::reserve(0, bytes); });
  const Result<StorageRef> refused = memory.allocate(GiB + 5, "weights large");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::kNoMemory);
  EXPECT_NEAR(static_cast<double>(taken_at_refusal), 768.0 * MiB, 16.0 * MiB);
  const auto free_now = [] { return static_cast<double>(cuda::memory_info(0).free_bytes); };
  EXPECT_NEAR(free_now(), static_cast<double>(before), 8.0 * MiB);
  EXPECT_EQ(budget.leased_bytes(), 0);

  refuse_at = 0;
  StorageRef held = *memory.allocate(GiB + 5, "weights large");
  EXPECT_NEAR(static_cast<double>(before) - free_now(), static_cast<double>(budget.leased_bytes()), 16.0 * MiB);
  held = {};
  EXPECT_NEAR(free_now(), static_cast<double>(before), 8.0 * MiB);
}

}  // namespace
}  // namespace hearth::governor
