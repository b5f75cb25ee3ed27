// concat_channels by its definition.
#include "ops/index/concat.h"

#include <gtest/gtest.h>

#include "ops/test_ctx.h"

namespace hearth {
namespace {

TEST(ConcatChannels, PutsBSideBySideWithA) {
  for (auto [na, nb] : {std::pair<int64_t, int64_t>{1, 1}, {3, 5}, {320, 640}, {16, 0}}) {
    TestCtx t;
    Tensor a = t.random({2, 9, 7, na}, 1), b = t.random({2, 9, 7, nb}, 2), y = concat_channels(*t, a, b);
    ASSERT_EQ(y.shape(), (Shape{2, 9, 7, na + nb}));
    for (int64_t i = 0; i < y.numel(); ++i) {
      int64_t row = i / (na + nb), c = i % (na + nb);
      float wanted = c < na ? a.data<float>()[row * na + c] : b.data<float>()[row * nb + c - na];
      ASSERT_EQ(y.data<float>()[i], wanted) << "element " << i;
    }
  }
}

TEST(ConcatChannels, MetaAndRefusals) {
  auto [meta, real] = arena_peaks([](TestCtx& t) { concat_channels(*t, t.random({4, 6}, 1), t.random({4, 3}, 2)); });
  EXPECT_EQ(meta, real);
  TestCtx t;
  EXPECT_NE(error_of([&] {
              concat_channels(*t, t.random({4, 6}, 1), t.random({5, 6}, 2));
            }).find("f32 [5, 6]"),
            std::string::npos);
}

}  // namespace
}  // namespace hearth
