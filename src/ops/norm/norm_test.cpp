// rms_norm and add_rms_norm against float64 on every instruction set; fused equals composed bit for bit.
#include "ops/norm/norm.h"

#include <gtest/gtest.h>

#include "ops/pointwise/pointwise.h"
#include "ops/test_ctx.h"

namespace hearth {
namespace {

struct NormCase {
  const char* what;
  Shape shape;
};
const NormCase kCases[] = {
    {"one row of SmolLM2", {1, 576}},
    {"a head norm", {7, 3, 64}},
    {"a dim below one vector", {5, 9}},
    {"a dim of one", {2, 1}},
    {"a tail behind full vectors", {3, 1003}},
    {"rows enough for several threads", {300, 896}},
    {"no rows", {0, 64}},
};

std::vector<double> reference(const Tensor& x, const Tensor& w, double eps) {
  std::vector<double> y(x.numel());
  int64_t dim = x.dim(-1);
  for (int64_t row = 0; row * dim < x.numel(); ++row) {
    const float* from = x.data<float>() + row * dim;
    double squares = 0;
    for (int64_t i = 0; i < dim; ++i) squares += static_cast<double>(from[i]) * from[i];
    double factor = 1 / std::sqrt(squares / static_cast<double>(dim) + eps);
    for (int64_t i = 0; i < dim; ++i) y[row * dim + i] = from[i] * factor * w.data<float>()[i];
  }
  return y;
}

TEST(RmsNorm, MatchesFloat64) {
  for (CpuIsa isa : cpu_levels()) {
    for (const NormCase& test : kCases) {
      TestCtx t(isa);
      Tensor x = t.random(test.shape, 1, 3), w = t.random({test.shape[-1]}, 2);
      EXPECT_LT(worst_error(rms_norm(*t, x, w, 1e-5f), reference(x, w, 1e-5f)), 2e-6)
          << test.what << " " << isa_name(isa);
    }
  }
}

TEST(RmsNorm, FusedEqualsComposedBitwise) {
  for (CpuIsa isa : cpu_levels()) {
    for (const NormCase& test : kCases) {
      TestCtx t(isa);
      Tensor a = t.random(test.shape, 3), b = t.random(test.shape, 4), w = t.random({test.shape[-1]}, 5);
      AddNorm fused = add_rms_norm(*t, a, b, w, 1e-6f);
      Tensor sum = add(*t, a, b);
      EXPECT_TRUE(same_bits(fused.sum, sum)) << test.what << " " << isa_name(isa);
      EXPECT_TRUE(same_bits(fused.normed, rms_norm(*t, sum, w, 1e-6f))) << test.what << " " << isa_name(isa);
    }
  }
}

TEST(RmsNorm, ARowDoesNotDependOnTheOthers) {
  TestCtx t;
  Tensor x = t.random({300, 577}, 6), w = t.random({577}, 7);
  Tensor all = rms_norm(*t, x, w, 1e-5f);
  for (int64_t row : {0, 17, 299}) {
    Tensor one = rms_norm(*t, x.narrow(0, row, 1), w, 1e-5f);
    EXPECT_TRUE(same_bits(one, all.narrow(0, row, 1)));
  }
}

TEST(RmsNorm, TakesStridedRows) {
  TestCtx t;
  Tensor wide = t.random({5, 4, 96}, 8), w = t.random({64}, 9);
  Tensor x = wide.narrow(2, 16, 64).narrow(1, 1, 2), y = rms_norm(*t, x, w, 1e-5f);
  for (int64_t row = 0; row < 5; ++row) {
    for (int64_t head = 0; head < 2; ++head) {
      Tensor one = rms_norm(*t, x.narrow(0, row, 1).narrow(1, head, 1), w, 1e-5f);
      EXPECT_TRUE(same_bits(one, y.narrow(0, row, 1).narrow(1, head, 1)));
    }
  }
}

TEST(RmsNorm, MetaTakesTheSameSpace) {
  auto [meta, real] = arena_peaks([](TestCtx& t) {
    Tensor a = t.random({9, 100}, 1), w = t.random({100}, 2);
    AddNorm out = add_rms_norm(*t, a, a, w, 1e-5f);
    Tensor y = rms_norm(*t, out.sum, w, 1e-5f);
  });
  EXPECT_EQ(meta, real);
  EXPECT_GT(meta, 0);
}

TEST(RmsNorm, RefusalsSayWhatWasWrong) {
  TestCtx t;
  Tensor x = t.random({2, 8}, 1), w = t.random({8}, 2);
  EXPECT_EQ(error_of([&] { rms_norm(*t, x, t.random({7}, 3), 1e-5f); }),
            "rms_norm: got w f32 [7], wanted w f32 [8], one factor per element of a row of x");
  EXPECT_NE(error_of([&] { rms_norm(*t, t.ints({1, 2}), w, 1e-5f); }).find("rms_norm: got x i32 [2]"),
            std::string::npos);
  EXPECT_NE(error_of([&] { add_rms_norm(*t, x, t.random({3, 8}, 3), w, 1e-5f); })
                .find("add_rms_norm: got a f32 [2, 8] and b f32 [3, 8]"), std::string::npos);
}

}  // namespace
}  // namespace hearth
