// upsample_nearest2 by its definition.
#include "ops/resize/upsample.h"

#include <gtest/gtest.h>

#include "ops/test_ctx.h"

namespace hearth {
namespace {

TEST(UpsampleNearest2, RepeatsEveryPixelFourTimes) {
  for (Shape shape : {Shape{1, 1, 1, 1}, Shape{2, 3, 5, 7}, Shape{1, 40, 33, 64}}) {
    TestCtx t;
    Tensor x = t.random(shape, 1), y = upsample_nearest2(*t, x);
    ASSERT_EQ(y.shape(), (Shape{shape[0], 2 * shape[1], 2 * shape[2], shape[3]}));
    for (int64_t i = 0; i < y.numel(); ++i) {
      int64_t c = i % shape[3], column = i / shape[3] % (2 * shape[2]);
      int64_t row = i / (shape[3] * 2 * shape[2]) % (2 * shape[1]), b = i / (shape[3] * 4 * shape[1] * shape[2]);
      int64_t from = ((b * shape[1] + row / 2) * shape[2] + column / 2) * shape[3] + c;
      ASSERT_EQ(y.data<float>()[i], x.data<float>()[from]) << shape.text() << " element " << i;
    }
  }
}

TEST(UpsampleNearest2, MetaAndRefusals) {
  auto [meta, real] = arena_peaks([](TestCtx& t) { upsample_nearest2(*t, t.random({1, 4, 5, 6}, 1)); });
  EXPECT_EQ(meta, real);
  TestCtx t;
  EXPECT_EQ(error_of([&] {
              upsample_nearest2(*t, t.random({4, 5, 6}, 1));
            }),
            "upsample_nearest2: got x f32 [4, 5, 6], wanted contiguous f32 [B, H, W, C]");
}

}  // namespace
}  // namespace hearth
