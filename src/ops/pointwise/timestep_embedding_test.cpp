// timestep_embedding: values, order, the odd dim.
#include "ops/pointwise/timestep_embedding.h"

#include <gtest/gtest.h>

#include "ops/test_ctx.h"

namespace hearth {
namespace {

Tensor steps(TestCtx& t, const std::vector<float>& values) {
  Tensor s = t.empty(DType::kF32, {static_cast<int64_t>(values.size())});
  if (s.raw()) std::memcpy(s.raw(), values.data(), 4 * values.size());
  return s;
}

TEST(TimestepEmbedding, IsCosThenSinOfFallingFrequencies) {
  TestCtx t;
  std::vector<float> values = {0, 1, 261.5f, 999};
  for (int dim : {320, 256, 6}) {
    Tensor y = timestep_embedding(*t, steps(t, values), dim);
    ASSERT_EQ(y.shape(), (Shape{4, dim}));
    int half = dim / 2;
    for (int64_t b = 0; b < 4; ++b) {
      for (int i = 0; i < half; ++i) {
        double angle = values[static_cast<size_t>(b)] * std::exp(-std::log(10000.0) * i / half);
        // Angles are float32: up to 1000 radians at 2^-24.
        EXPECT_NEAR(y.data<float>()[b * dim + i], std::cos(angle), 4e-4) << "step " << b << ", " << i;
        EXPECT_NEAR(y.data<float>()[b * dim + half + i], std::sin(angle), 4e-4) << "step " << b << ", " << i;
      }
    }
    EXPECT_EQ(y.data<float>()[0], 1);
    EXPECT_EQ(y.data<float>()[half], 0);
  }
}

TEST(TimestepEmbedding, EndsAnOddDimWithZero) {
  TestCtx t;
  Tensor y = timestep_embedding(*t, steps(t, {7}), 5, 100);
  EXPECT_EQ(y.data<float>()[4], 0);
  EXPECT_NEAR(y.data<float>()[1], std::cos(0.7), 1e-6);
  EXPECT_NEAR(y.data<float>()[2], std::sin(7.0), 1e-6);
}

TEST(TimestepEmbedding, MetaAndRefusals) {
  auto [meta, real] = arena_peaks([](TestCtx& t) { timestep_embedding(*t, steps(t, {1, 2}), 320); });
  EXPECT_EQ(meta, real);
  TestCtx t;
  EXPECT_NE(error_of([&] { timestep_embedding(*t, t.ints({1}), 320); }).find("t i32 [1]"), std::string::npos);
}

}  // namespace
}  // namespace hearth
