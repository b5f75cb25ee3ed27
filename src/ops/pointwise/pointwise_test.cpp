// Pointwise ops against float64 on every instruction set; an element's bits do not depend on its place.
#include "ops/pointwise/pointwise.h"

#include <gtest/gtest.h>

#include "ops/test_ctx.h"

namespace hearth {
namespace {

double silu_of(double x) { return x / (1 + std::exp(-x)); }
double gelu_erf(double x) { return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0))); }
double gelu_tanh(double x) { return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }

struct PointwiseCase {
  const char* what;
  Tensor (*op)(Ctx& c, const Tensor& a, const Tensor& b);
  double (*wanted)(double a, double b);
};
const PointwiseCase kCases[] = {
    {"add", [](Ctx& c, const Tensor& a, const Tensor& b) { return add(c, a, b); },
     [](double a, double b) { return a + b; }},
    {"scale by -0.3", [](Ctx& c, const Tensor& a, const Tensor&) { return scale(c, a, -0.3f); },
     [](double a, double) { return a * static_cast<double>(-0.3f); }},
    {"swiglu", [](Ctx& c, const Tensor& a, const Tensor& b) { return swiglu(c, a, b); },
     [](double a, double b) { return silu_of(a) * b; }},
    {"geglu", [](Ctx& c, const Tensor& a, const Tensor& b) { return geglu(c, a, b); },
     [](double a, double b) { return gelu_tanh(a) * b; }},
    {"softcap at 5", [](Ctx& c, const Tensor& a, const Tensor&) { return softcap(c, a, 5); },
     [](double a, double) { return 5 * std::tanh(a / 5); }},
    {"silu", [](Ctx& c, const Tensor& a, const Tensor&) { return silu(c, a); },
     [](double a, double) { return silu_of(a); }},
    {"gelu", [](Ctx& c, const Tensor& a, const Tensor&) { return gelu(c, a); },
     [](double a, double) { return gelu_erf(a); }},
    {"quick_gelu", [](Ctx& c, const Tensor& a, const Tensor&) { return quick_gelu(c, a); },
     [](double a, double) { return a / (1 + std::exp(-1.702 * a)); }},
    {"relu", [](Ctx& c, const Tensor& a, const Tensor&) { return relu(c, a); },
     [](double a, double) { return std::max(a, 0.0); }},
    {"tanh_clamp", [](Ctx& c, const Tensor& a, const Tensor&) { return tanh_clamp(c, a); },
     [](double a, double) { return 3 * std::tanh(a / 3); }},
    {"geglu_erf", [](Ctx& c, const Tensor& a, const Tensor& b) { return geglu_erf(c, a, b); },
     [](double a, double b) { return gelu_erf(a) * b; }},
};

TEST(Pointwise, MatchesFloat64) {
  for (CpuIsa isa : cpu_levels()) {
    for (const PointwiseCase& test : kCases) {
      for (Shape shape : {Shape{1}, Shape{3, 37}, Shape{16}, Shape{130, 1536}, Shape{0, 5}}) {
        TestCtx t(isa);
        Tensor a = t.random(shape, 1, 6), b = t.random(shape, 2, 2);
        std::vector<double> wanted(a.numel());
        for (int64_t i = 0; i < a.numel(); ++i) wanted[i] = test.wanted(a.data<float>()[i], b.data<float>()[i]);
        EXPECT_LT(worst_error(test.op(*t, a, b), wanted), 1e-6)
            << test.what << " " << shape.text() << " " << isa_name(isa);
      }
    }
  }
}

TEST(Pointwise, BitsDoNotDependOnPlaceOrThreads) {
  for (const PointwiseCase& test : kCases) {
    TestCtx t, single(cpu_caps(1).isa, 1);
    Tensor a = t.random({70001}, 3, 4), b = t.random({70001}, 4, 4);
    Tensor whole = test.op(*t, a, b);
    EXPECT_TRUE(same_bits(whole, test.op(*single, a, b))) << test.what;
    for (int64_t at : {0, 5, 8191, 8193, 70000}) {
      EXPECT_TRUE(same_bits(test.op(*t, a.narrow(0, at, 1), b.narrow(0, at, 1)), whole.narrow(0, at, 1))) << test.what;
    }
  }
}

TEST(Pointwise, LargeInputsSaturate) {
  for (CpuIsa isa : cpu_levels()) {
    TestCtx t(isa);
    Tensor x = t.empty(DType::kF32, {4}), one = t.empty(DType::kF32, {4});
    for (int i = 0; i < 4; ++i) x.data<float>()[i] = std::vector<float>{1e4f, -1e4f, 100, -100}[i];
    for (int i = 0; i < 4; ++i) one.data<float>()[i] = 1;
    Tensor s = swiglu(*t, x, one), g = geglu(*t, x, one), capped = softcap(*t, x, 30);
    EXPECT_EQ(s.data<float>()[0], 1e4f) << isa_name(isa);
    EXPECT_EQ(s.data<float>()[1], 0);
    EXPECT_EQ(g.data<float>()[2], 100);
    EXPECT_EQ(g.data<float>()[3], 0);
    EXPECT_EQ(capped.data<float>()[0], 30);
    EXPECT_EQ(capped.data<float>()[1], -30);
  }
}

TEST(Pointwise, GegluErfReadsTheHalvesOfOneProjection) {
  TestCtx t;
  Tensor wide = t.random({2, 9, 70}, 1, 3), y = geglu_erf(*t, wide.narrow(2, 35, 35), wide.narrow(2, 0, 35));
  ASSERT_EQ(y.shape(), (Shape{2, 9, 35}));
  for (int64_t row = 0; row < 18; ++row) {
    Tensor one = wide.reshape({18, 70}).narrow(0, row, 1);
    EXPECT_TRUE(
        same_bits(y.reshape({18, 35}).narrow(0, row, 1), geglu_erf(*t, one.narrow(1, 35, 35), one.narrow(1, 0, 35))));
  }
}

TEST(Pointwise, AddRowAddsItToEveryPixel) {
  for (CpuIsa isa : cpu_levels()) {
    TestCtx t(isa);
    for (Shape shape : {Shape{2, 5, 7, 19}, Shape{3, 40, 32}, Shape{2, 16}, Shape{1, 200, 320}}) {
      Tensor x = t.random(shape, 1), b = t.random({shape[0], shape[-1]}, 2), y = add_row(*t, x, b);
      ASSERT_EQ(y.shape(), shape);
      int64_t entry = shape.numel() / shape[0];
      for (int64_t i = 0; i < y.numel(); ++i) {
        float wanted = x.data<float>()[i] + b.data<float>()[i / entry * shape[-1] + i % shape[-1]];
        ASSERT_EQ(y.data<float>()[i], wanted) << shape.text() << " element " << i << " " << isa_name(isa);
      }
    }
  }
}

TEST(Pointwise, AddIntoEqualsAdd) {
  TestCtx t;
  Tensor x = t.random({33, 1001}, 1), y = t.random({33, 1001}, 2), wanted = add(*t, x, y);
  add_into(*t, x, y);
  EXPECT_TRUE(same_bits(y, wanted));
}

TEST(Pointwise, NaNStays) {
  for (CpuIsa isa : cpu_levels()) {
    TestCtx t(isa);
    Tensor x = t.random({3}, 1);
    x.data<float>()[1] = NAN;
    for (auto op : {silu, gelu, quick_gelu, relu, tanh_clamp}) {
      EXPECT_TRUE(std::isnan(op(*t, x).data<float>()[1])) << isa_name(isa);
      EXPECT_FALSE(std::isnan(op(*t, x).data<float>()[2])) << isa_name(isa);
    }
  }
}

TEST(Pointwise, MetaTakesTheSameSpaceAndCounts) {
  for (const PointwiseCase& test : kCases) {
    auto [meta, real] = arena_peaks([&](TestCtx& t) {
      Tensor a = t.random({9, 100}, 1);
      Tensor y = test.op(*t, a, a);
    });
    EXPECT_EQ(meta, real) << test.what;
    EXPECT_GE(meta, 3600) << test.what;
  }
}

TEST(Pointwise, RefusalsSayWhatWasWrong) {
  TestCtx t;
  Tensor a = t.random({2, 8}, 1);
  EXPECT_EQ(error_of([&] {
              swiglu(*t, a, t.random({2, 9}, 2));
            }),
            "swiglu: got [2, 8] and [2, 9], wanted equal shapes");
  EXPECT_EQ(error_of([&] { scale(*t, t.ints({1}), 2); }), "scale: got x i32 [1], wanted a contiguous f32 tensor");
  EXPECT_NE(error_of([&] {
              add(*t, a, t.random({2, 9}, 2).narrow(1, 0, 8));
            }).find("with gaps between rows"),
            std::string::npos);
  EXPECT_EQ(error_of([&] { softcap(*t, a, 0); }), "softcap: got limit 0, wanted > 0");
  EXPECT_EQ(error_of([&] {
              add_row(*t, a, t.random({3, 8}, 1));
            }),
            "add_row: got x [2, 8] and b [3, 8], wanted x [B, ..., C] and b [B, C]");
  EXPECT_NE(error_of([&] { geglu_erf(*t, a, t.random({2, 9}, 2)); }).find("up f32 [2, 9]"), std::string::npos);
}

}  // namespace
}  // namespace hearth
