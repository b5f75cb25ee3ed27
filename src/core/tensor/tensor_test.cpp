// Tensor: views share bytes, counts return storage, bounds are checked.
#include "core/tensor/tensor.h"

#include <gtest/gtest.h>

#include "core/device/allocator.h"

namespace hearth {
namespace {

TEST(Tensor, ViewsShareBytesAndKeepStorageAlive) {
  RawAllocator memory({DeviceKind::kCpu});
  Tensor row;
  {
    Tensor whole = *memory.tensor(DType::kF32, {4, 8}, "test");
    whole.data<float>()[2 * 8 + 3] = 5;
    row = whole.narrow(0, 2, 1);
  }
  EXPECT_EQ(memory.held_bytes(), 4 * 8 * 4);
  EXPECT_EQ(row.data<float>()[3], 5);
  row = Tensor();
  EXPECT_EQ(memory.held_bytes(), 0);
}

TEST(Tensor, ChecksBoundsAndDtypes) {
  RawAllocator memory({DeviceKind::kCpu});
  Tensor t = *memory.tensor(DType::kF32, {4, 8}, "test");
  EXPECT_THROW(t.narrow(0, 3, 2), Error);
  EXPECT_THROW(t.reshape({5, 8}), Error);
  EXPECT_THROW(t.data<int32_t>(), Error);
  EXPECT_FALSE(t.narrow(1, 0, 4).is_contiguous());
  EXPECT_TRUE(t.narrow(0, 1, 2).is_contiguous());
}

}  // namespace
}  // namespace hearth
