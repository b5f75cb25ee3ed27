// conv2d against a plain sum in double precision on every instruction set, and against the ops it replaces.
#include "ops/conv/conv.h"

#include <gtest/gtest.h>

#include "ops/linear/linear.h"
#include "ops/linear/random_weight.h"
#include "ops/quant/decode.h"
#include "ops/resize/upsample.h"
#include "ops/test_ctx.h"

namespace hearth {
namespace {

struct Case {
  const char* what;
  Shape x, w;
  ConvParams p;
};
const Case kCases[] = {
    {"3 x 3 of one pixel", {1, 1, 1, 1}, {1, 3, 3, 1}, {1, 1, 1, 1, 1}},
    {"3 x 3, odd sizes", {2, 7, 5, 3}, {19, 3, 3, 3}, {1, 1, 1, 1, 1}},
    {"3 x 3 without padding", {1, 9, 8, 16}, {32, 3, 3, 16}, {}},
    {"stride 2", {2, 9, 12, 20}, {33, 3, 3, 20}, {2, 1, 1, 1, 1}},
    {"stride 2 with padding below and right alone", {1, 8, 8, 32}, {16, 3, 3, 32}, {2, 0, 0, 1, 1}},
    {"1 x 1", {3, 5, 4, 24}, {40, 1, 1, 24}, {}},
    {"1 x 1 with stride and padding", {1, 6, 5, 8}, {16, 1, 1, 8}, {2, 1, 1, 0, 0}},
    {"patches of 14 x 14", {1, 28, 28, 3}, {48, 14, 14, 3}, {14}},
    {"a kernel of 2 x 5", {1, 6, 11, 4}, {5, 2, 5, 4}, {1, 0, 2, 1, 2}},
    {"columns cut inside a tap", {1, 6, 6, 200}, {32, 3, 3, 200}, {1, 1, 1, 1, 1}},
    {"more pixels than a block", {1, 23, 24, 5}, {17, 3, 3, 5}, {1, 1, 1, 1, 1}},
    {"of a doubled map", {2, 5, 4, 12}, {16, 3, 3, 12}, {1, 1, 1, 1, 1, 2}},
    {"few outputs: rectangles", {2, 19, 21, 32}, {40, 3, 3, 32}, {1, 1, 1, 1, 1}},
    {"rectangles side by side", {1, 18, 131, 48}, {16, 3, 3, 48}, {1, 1, 1, 1, 1}},
    {"rectangles of stride 2", {1, 40, 38, 32}, {33, 3, 3, 32}, {2, 0, 0, 1, 1}},
    {"rectangles of a doubled map, for three outputs", {2, 9, 12, 32}, {3, 3, 3, 32}, {1, 1, 1, 1, 1, 2}},
    {"rectangles of a kernel of 5 x 2, columns in several chunks", {1, 20, 17, 160}, {35, 5, 2, 160}, {1, 2, 1, 3, 0}},
    {"padding wider than the kernel", {1, 2, 2, 4}, {16, 3, 3, 4}, {1, 4, 3, 2, 5}},
};

std::vector<double> reference(const Tensor& x, const Shape& ws, const std::vector<float>& w, const Tensor& bias,
                              const ConvParams& p, const Shape& out) {
  std::vector<double> y;
  auto at = [&](int64_t b, int64_t row, int64_t column, int64_t i) -> double {
    if (row < 0 || column < 0 || row >= p.upsample * x.dim(1) || column >= p.upsample * x.dim(2)) return 0;
    return x.data<float>()[((b * x.dim(1) + row / p.upsample) * x.dim(2) + column / p.upsample) * x.dim(3) + i];
  };
  for (int64_t pixel = 0; pixel < out[0] * out[1] * out[2]; ++pixel) {
    int64_t ox = pixel % out[2], oy = pixel / out[2] % out[1], b = pixel / (out[1] * out[2]);
    for (int64_t o = 0; o < ws[0]; ++o) {
      double sum = bias.data<float>()[o];
      for (int64_t k = 0; k < ws[1] * ws[2] * ws[3]; ++k) {
        int64_t i = k % ws[3], kx = k / ws[3] % ws[2], ky = k / (ws[3] * ws[2]);
        sum += static_cast<double>(w[static_cast<size_t>(o * ws[1] * ws[2] * ws[3] + k)]) *
               at(b, oy * p.stride + ky - p.top, ox * p.stride + kx - p.left, i);
      }
      y.push_back(sum);
    }
  }
  return y;
}

struct Made {
  Weight weight;
  std::vector<float> values;
};

Made make_weight(TestCtx& t, DType type, Layout layout, Shape shape) {
  int64_t in = shape.numel() / shape[0];
  auto file = random_rows(type, shape[0], in, 7);
  Made made{weight_of(type, layout, shape, file, [&](int64_t bytes) { return t.empty(DType::kU8, {bytes}); }), {}};
  made.values.resize(static_cast<size_t>(shape.numel()));
  quant::decode_row(type, file.data(), made.values.data(), shape.numel());
  return made;
}

TEST(Conv2d, MatchesFloat64) {
  for (CpuIsa isa : cpu_levels()) {
    for (const Case& test : kCases) {
      for (auto [type, layout] : {std::pair{DType::kF32, Layout::kRows16},
                                  {DType::kF32, Layout::kFile},
                                  {DType::kF16, Layout::kRows16},
                                  {DType::kBF16, Layout::kFile}}) {
        TestCtx t(isa);
        Made w = make_weight(t, type, layout, test.w);
        Tensor x = t.random(test.x, 8), bias = t.random({test.w[0]}, 9), y = conv2d(*t, x, w.weight, bias, test.p);
        EXPECT_LT(worst_error(y, reference(x, test.w, w.values, bias, test.p, y.shape())), 1e-5)
            << test.what << " " << name(type) << " " << isa_name(isa);
      }
    }
  }
}

TEST(Conv2d, StatesItsShape) {
  TestCtx t;
  Weight w = make_weight(t, DType::kF32, Layout::kRows16, {16, 3, 3, 8}).weight;
  Tensor x = t.random({2, 9, 12, 8}, 1);
  EXPECT_EQ(conv2d(*t, x, w, {}, {}).shape(), (Shape{2, 7, 10, 16}));
  EXPECT_EQ(conv2d(*t, x, w, {}, {2, 1, 1, 1, 1}).shape(), (Shape{2, 5, 6, 16}));
  EXPECT_EQ(conv2d(*t, x, w, {}, {2, 0, 0, 1, 1}).shape(), (Shape{2, 4, 6, 16}));
  EXPECT_EQ(conv2d(*t, x, w, {}, {1, 1, 1, 1, 1, 2}).shape(), (Shape{2, 18, 24, 16}));
}

TEST(Conv2d, OneByOneIsLinear) {
  TestCtx t;
  Made w = make_weight(t, DType::kF16, Layout::kRows16, {48, 1, 1, 40});
  Weight matrix = w.weight;
  matrix.shape = {48, 40};
  Tensor x = t.random({2, 9, 7, 40}, 1), bias = t.random({48}, 2), y = conv2d(*t, x, w.weight, bias, {});
  EXPECT_TRUE(same_bits(y.reshape({126, 48}), linear(*t, x.reshape({126, 40}), matrix, bias)));
}

TEST(Conv2d, ReadingADoubledMapEqualsDoublingIt) {
  for (CpuIsa isa : cpu_levels()) {
    TestCtx t(isa);
    Weight w = make_weight(t, DType::kF32, Layout::kRows16, {32, 3, 3, 24}).weight;
    Tensor x = t.random({2, 7, 6, 24}, 1), bias = t.random({32}, 2);
    EXPECT_TRUE(same_bits(conv2d(*t, x, w, bias, {1, 1, 1, 1, 1, 2}),
                          conv2d(*t, upsample_nearest2(*t, x), w, bias, {1, 1, 1, 1, 1})))
        << isa_name(isa);
  }
}

TEST(Conv2d, MoreOutputsDoNotChangeTheOthers) {
  TestCtx t;  // few outputs are computed from rectangles of the map, many from packed patches
  Weight many = make_weight(t, DType::kF32, Layout::kFile, {288, 3, 3, 32}).weight, few = many;
  few.shape = {48, 3, 3, 32};
  few.data = many.data.narrow(0, 0, 48 * 9 * 32 * 4);
  Tensor x = t.random({2, 21, 35, 32}, 1), wide = conv2d(*t, x, many, {}, {1, 1, 1, 1, 1}),
         narrow = conv2d(*t, x, few, {}, {1, 1, 1, 1, 1});
  for (int64_t pixel = 0; pixel < 2 * 21 * 35; ++pixel) {
    ASSERT_EQ(std::memcmp(wide.data<float>() + pixel * 288, narrow.data<float>() + pixel * 48, 48 * 4), 0) << pixel;
  }
}

TEST(Conv2d, NeitherThreadsNorOtherEntriesChangeBits) {
  TestCtx two, one(cpu_caps(1).isa, 1);
  Weight w = make_weight(two, DType::kF16, Layout::kRows16, {64, 3, 3, 48}).weight;
  Tensor x = two.random({3, 17, 19, 48}, 1), bias = two.random({64}, 2);
  Tensor y = conv2d(*two, x, w, bias, {1, 1, 1, 1, 1});
  EXPECT_TRUE(same_bits(y, conv2d(*one, x, w, bias, {1, 1, 1, 1, 1})));
  EXPECT_TRUE(same_bits(y.narrow(0, 1, 1), conv2d(*two, x.narrow(0, 1, 1), w, bias, {1, 1, 1, 1, 1})));
}

TEST(Conv2d, MetaStatesTheRealPeakAndShape) {
  Shape shapes[2];
  int at = 0;
  auto [meta, real] = arena_peaks([&](TestCtx& t) {
    Weight w = make_weight(t, DType::kF16, Layout::kRows16, {16, 3, 3, 8}).weight;
    shapes[at++] = conv2d(*t, t.random({1, 33, 31, 8}, 1), w, {}, {2, 1, 1, 1, 1}).shape();
  });
  EXPECT_EQ(meta, real);
  EXPECT_EQ(shapes[0], shapes[1]);
  EXPECT_GE(real, 17 * 16 * 16 * 4);
}

struct Counter : StepObserver {
  OpCost last;
  void on_op(const OpCost& cost) override { last = cost; }
};

TEST(Conv2d, CountsItsCost) {
  TestCtx t;
  Counter counter;
  (*t).observer = &counter;
  Weight w = make_weight(t, DType::kF16, Layout::kRows16, {16, 3, 3, 8}).weight;
  conv2d(*t, t.random({1, 6, 6, 8}, 1), w, {}, {1, 1, 1, 1, 1});
  EXPECT_EQ(counter.last.op, "conv2d");
  EXPECT_EQ(counter.last.flops, 2.0 * 36 * 16 * 72);
  EXPECT_EQ(counter.last.bytes, 36 * 8 * 4 + 16 * 72 * 2 + 36 * 16 * 4);
}

TEST(Conv2d, RefusalsSayWhatWasWrong) {
  TestCtx t;
  Weight w = make_weight(t, DType::kF32, Layout::kRows16, {16, 3, 3, 8}).weight;
  Tensor x = t.random({1, 4, 4, 8}, 1);
  EXPECT_EQ(error_of([&] {
              conv2d(*t, t.random({1, 4, 4, 7}, 1), w, {}, {});
            }),
            "conv2d: got x f32 [1, 4, 4, 7] for a weight [16, 3, 3, 8], wanted contiguous x f32 [B, H, W, 8]");
  EXPECT_EQ(error_of([&] { conv2d(*t, x, w, t.random({15}, 1), {}); }),
            "conv2d: got bias f32 [15], wanted bias f32 [16]");
  EXPECT_NE(error_of([&] {
              conv2d(*t, t.random({1, 2, 4, 8}, 1), w, {}, {});
            }).find("at least 3 x 3"),
            std::string::npos);
  EXPECT_NE(error_of([&] { conv2d(*t, x, w, {}, {0}); }).find("stride 0"), std::string::npos);
  Weight quantised{{16, 3, 3, 32}, DType::kQ8_0, Layout::kFile, t.empty(DType::kU8, {16 * 9 * 34})};
  EXPECT_NE(error_of([&] {
              conv2d(*t, t.random({1, 4, 4, 32}, 1), quantised, {}, {});
            }).find("kernels for: f32"),
            std::string::npos);
}

TEST(Conv2d, RefusesAGpuWhereThePlanIsMade) {
  TestCtx t(cpu_caps(1).isa, 1, DeviceKind::kMeta);
  Weight w = make_weight(t, DType::kF32, Layout::kFile, {16, 3, 3, 8}).weight;
  Caps gpu{.target = DeviceKind::kCuda};
  Ctx c{.device = {DeviceKind::kMeta}, .caps = gpu, .arena = t.arena()};
  EXPECT_EQ(error_of([&] {
              conv2d(c, t.random({1, 4, 4, 8}, 1), w, {}, {});
            }),
            "conv2d: no CUDA kernel exists; there are kernels for: CPU");
}

}  // namespace
}  // namespace hearth
