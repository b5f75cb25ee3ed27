// group_norm and layer_norm against float64 on every instruction set; fused equals composed bit for bit.
#include <gtest/gtest.h>

#include "ops/norm/norm.h"
#include "ops/pointwise/pointwise.h"
#include "ops/test_ctx.h"

namespace hearth {
namespace {

// Normalises every run of `each` channels of a batch entry over all pixels.
std::vector<double> reference(const Tensor& x, int64_t pixels, int64_t each, const Tensor& w, const Tensor& b,
                              double eps) {
  int64_t channels = x.dim(-1);
  std::vector<double> y(static_cast<size_t>(x.numel()));
  const float* from = x.data<float>();
  for (int64_t start = 0; start < x.numel(); start += pixels * channels) {
    for (int64_t first = 0; first < channels; first += each) {
      auto visit = [&](auto body) {
        for (int64_t p = 0; p < pixels; ++p) {
          for (int64_t c = first; c < first + each; ++c) body(start + p * channels + c, c);
        }
      };
      double sum = 0, squares = 0, n = static_cast<double>(pixels * each);
      visit([&](int64_t at, int64_t) { sum += from[at]; });
      visit([&](int64_t at, int64_t) { squares += (from[at] - sum / n) * (from[at] - sum / n); });
      double factor = 1 / std::sqrt(squares / n + eps);
      visit([&](int64_t at, int64_t c) {
        double v = (from[at] - sum / n) * factor;
        y[static_cast<size_t>(at)] = v * (w ? w.data<float>()[c] : 1) + (b ? b.data<float>()[c] : 0);
      });
    }
  }
  return y;
}

struct GroupCase {
  const char* what;
  Shape x;
  int groups;
};
const GroupCase kCases[] = {
    {"one pixel", {1, 1, 1, 32}, 4},
    {"odd channels", {2, 5, 7, 21}, 7},
    {"groups across vectors", {1, 9, 6, 60}, 6},
    {"one group", {3, 50, 17}, 1},
    {"a group per channel", {1, 8, 8, 16}, 16},
    {"a UNet's map", {1, 33, 32, 320}, 32},
    {"several blocks of pixels", {2, 70, 71, 64}, 32},
};

TEST(GroupNorm, MatchesFloat64) {
  for (CpuIsa isa : cpu_levels()) {
    for (const GroupCase& test : kCases) {
      TestCtx t(isa);
      int64_t channels = test.x[-1], pixels = test.x.numel() / test.x[0] / channels;
      Tensor x = t.random(test.x, 1, 3), w = t.random({channels}, 2), b = t.random({channels}, 3);
      EXPECT_LT(worst_error(group_norm(*t, x, w, b, test.groups, 1e-5f),
                            reference(x, pixels, channels / test.groups, w, b, 1e-5f)),
                4e-6)
          << test.what << " " << isa_name(isa);
    }
  }
}

TEST(GroupNorm, KeepsTheVarianceOfMapsFarFromZero) {
  for (CpuIsa isa : cpu_levels()) {
    TestCtx t(isa);
    Tensor x = t.random({1, 40, 40, 32}, 1, 0.5f), w = t.random({32}, 2), b = t.random({32}, 3);
    for (int64_t i = 0; i < x.numel(); ++i) x.data<float>()[i] += 200;
    // 200 / 0.5 deviations: an offset of float32 is exact to 200 * 2^-24 / 0.5.
    EXPECT_LT(worst_error(group_norm(*t, x, w, b, 8, 1e-5f), reference(x, 1600, 4, w, b, 1e-5f)), 1e-4)
        << isa_name(isa);
  }
}

TEST(GroupNorm, FusedSiluEqualsComposedBitwise) {
  for (CpuIsa isa : cpu_levels()) {
    TestCtx t(isa);
    Tensor x = t.random({2, 13, 11, 40}, 1, 2), w = t.random({40}, 2), b = t.random({40}, 3);
    EXPECT_TRUE(same_bits(group_norm(*t, x, w, b, 8, 1e-6f, true), silu(*t, group_norm(*t, x, w, b, 8, 1e-6f))))
        << isa_name(isa);
  }
}

TEST(GroupNorm, NeitherThreadsNorOtherEntriesChangeBits) {
  TestCtx two, one(cpu_caps(1).isa, 1);
  Tensor x = two.random({3, 64, 50, 96}, 1), w = two.random({96}, 2), b = two.random({96}, 3);
  Tensor y = group_norm(*two, x, w, b, 32, 1e-5f, true);
  EXPECT_TRUE(same_bits(y, group_norm(*one, x, w, b, 32, 1e-5f, true)));
  EXPECT_TRUE(same_bits(y.narrow(0, 1, 1), group_norm(*two, x.narrow(0, 1, 1), w, b, 32, 1e-5f, true)));
  EXPECT_TRUE(same_bits(y.reshape({3, 3200, 96}), group_norm(*two, x.reshape({3, 3200, 96}), w, b, 32, 1e-5f, true)));
}

TEST(LayerNorm, MatchesFloat64) {
  for (CpuIsa isa : cpu_levels()) {
    for (Shape shape : {Shape{1, 1}, Shape{3, 7}, Shape{5, 64}, Shape{2, 3, 1003}, Shape{300, 768}}) {
      TestCtx t(isa);
      Tensor x = t.random(shape, 1, 3), w = t.random({shape[-1]}, 2), b = t.random({shape[-1]}, 3);
      for (int64_t i = 0; i < x.numel(); ++i) x.data<float>()[i] += 5;
      for (bool has_w : {true, false}) {
        for (bool has_b : {true, false}) {
          Tensor of_w = has_w ? w : Tensor(), of_b = has_b ? b : Tensor();
          EXPECT_LT(worst_error(layer_norm(*t, x, of_w, of_b, 1e-5f), reference(x, 1, shape[-1], of_w, of_b, 1e-5f)),
                    1e-5)
              << shape.text() << " " << isa_name(isa);
        }
      }
    }
  }
}

TEST(LayerNorm, TakesStridedRows) {
  TestCtx t;
  Tensor wide = t.random({6, 96}, 1), w = t.random({40}, 2), x = wide.narrow(1, 16, 40);
  Tensor y = layer_norm(*t, x, w, {}, 1e-5f);
  for (int64_t row = 0; row < 6; ++row) {
    EXPECT_TRUE(same_bits(y.narrow(0, row, 1), layer_norm(*t, x.narrow(0, row, 1), w, {}, 1e-5f)));
  }
}

TEST(GroupNorm, MetaStatesTheRealPeak) {
  auto [meta, real] = arena_peaks([](TestCtx& t) {
    Tensor w = t.random({64}, 2), x = group_norm(*t, t.random({1, 70, 70, 64}, 1), w, w, 32, 1e-5f);
    layer_norm(*t, x, w, w, 1e-5f);
  });
  EXPECT_EQ(meta, real);
}

TEST(GroupNorm, RefusalsSayWhatWasWrong) {
  TestCtx t;
  Tensor x = t.random({1, 4, 4, 32}, 1), w = t.random({32}, 2);
  EXPECT_EQ(error_of([&] { group_norm(*t, x, w, w, 5, 1e-5f); }),
            "group_norm: got 5 groups for x f32 [1, 4, 4, 32], wanted groups that divide the channels");
  EXPECT_EQ(error_of([&] { group_norm(*t, x, w, t.random({31}, 3), 4, 1e-5f); }),
            "group_norm: got b f32 [31], wanted b f32 [32]");
  EXPECT_NE(error_of([&] {
              group_norm(*t, t.random({4, 32}, 1), w, w, 4, 1e-5f);
            }).find("[B, N, C]"),
            std::string::npos);
  EXPECT_EQ(error_of([&] { layer_norm(*t, x, t.random({31}, 3), {}, 1e-5f); }),
            "layer_norm: got w f32 [31], wanted w f32 [32]");
}

}  // namespace
}  // namespace hearth
