// The float32 product at sizes that cut it everywhere: row blocks, chunks of columns, pairs of tiles, edges.
#include "ops/gemm/gemm.h"

#include <gtest/gtest.h>

#include "ops/linear/linear.h"
#include "ops/linear/random_weight.h"
#include "ops/quant/decode.h"
#include "ops/test_ctx.h"

namespace hearth {
namespace {

struct Case {
  const char* what;
  int64_t rows, in, out;
};
const Case kCases[] = {
    {"one element", 1, 1, 1},
    {"less than a register block", 5, 7, 3},
    {"an odd number of tiles", 13, 33, 48},
    {"an edge behind a single tile", 26, 40, 21},
    {"an edge behind a pair", 31, 64, 35},
    {"two chunks of columns", 12, 257, 16},
    {"more rows than a block", 241, 30, 32},
    {"several blocks of rows that do not fit all columns", 500, 1100, 20},
    {"a tiny decoder's layer", 700, 32, 32},
    {"many tiles", 24, 48, 1000},
    {"many columns", 3, 11520, 33},
};

Weight make_weight(TestCtx& t, DType type, Layout layout, Shape shape, const std::vector<std::byte>& file) {
  return weight_of(type, layout, shape, file, [&](int64_t bytes) { return t.empty(DType::kU8, {bytes}); });
}

std::vector<double> reference(const Tensor& x, DType type, const std::vector<std::byte>& file, const Tensor& bias) {
  int64_t rows = x.dim(0), in = x.dim(1), out = bias.dim(0);
  std::vector<double> y(static_cast<size_t>(rows * out));
  std::vector<float> w(static_cast<size_t>(in));
  for (int64_t o = 0; o < out; ++o) {
    quant::decode_row(type, file.data() + o * row_bytes(type, in), w.data(), in);
    for (int64_t r = 0; r < rows; ++r) {
      double sum = bias.data<float>()[o];
      for (int64_t i = 0; i < in; ++i)
        sum += static_cast<double>(w[static_cast<size_t>(i)]) * x.data<float>()[r * in + i];
      y[static_cast<size_t>(r * out + o)] = sum;
    }
  }
  return y;
}

TEST(Gemm, MatchesFloat64AtEveryCut) {
  for (const Case& test : kCases) {
    for (DType type : {DType::kF32, DType::kF16, DType::kBF16}) {
      auto file = random_rows(type, test.out, test.in, 7);
      Tensor first;
      for (CpuIsa isa : cpu_levels()) {
        for (Layout layout : {Layout::kFile, Layout::kRows16}) {
          TestCtx t(isa);
          Tensor x = t.random({test.rows, test.in}, 8), bias = t.random({test.out}, 9);
          Tensor y = linear(*t, x, make_weight(t, type, layout, {test.out, test.in}, file), bias);
          EXPECT_LT(worst_error(y, reference(x, type, file, bias)), 2e-5)
              << test.what << " " << name(type) << " " << isa_name(isa);
        }
      }
    }
  }
}

// Of every level but the reference, whose multiplies and adds are not fused.
TEST(Gemm, VectorLevelsGiveTheSameBits) {
  for (const Case& test : kCases) {
    auto file = random_rows(DType::kF32, test.out, test.in, 7);
    std::vector<float> first;
    for (CpuIsa isa : cpu_levels()) {
      if (isa == CpuIsa::kPlain) continue;
      TestCtx t(isa);
      Tensor x = t.random({test.rows, test.in}, 8);
      Tensor y = linear(*t, x, make_weight(t, DType::kF32, Layout::kRows16, {test.out, test.in}, file));
      std::vector<float> got(y.data<float>(), y.data<float>() + y.numel());
      if (first.empty()) first = got;
      EXPECT_EQ(std::memcmp(got.data(), first.data(), 4 * got.size()), 0) << test.what << " " << isa_name(isa);
    }
  }
}

TEST(Gemm, ARowIsTheSameAloneAndAmongHundreds) {
  for (CpuIsa isa : cpu_levels()) {
    if (isa == CpuIsa::kPlain) continue;  // the loop over rows has no blocks
    for (int64_t in : {40, 1100}) {
      TestCtx t(isa), alone(isa, 1);
      Weight w = make_weight(t, DType::kF16, Layout::kRows16, {70, in}, random_rows(DType::kF16, 70, in, 3));
      Tensor x = t.random({500, in}, 4), bias = t.random({70}, 5), y = linear(*t, x, w, bias);
      for (int64_t row : {0, 11, 12, 239, 240, 251, 499}) {
        EXPECT_TRUE(same_bits(linear(*alone, x.narrow(0, row, 1), w, bias), y.narrow(0, row, 1)))
            << "row " << row << " of " << in << " columns, " << isa_name(isa);
      }
    }
  }
}

TEST(Gemm, TakesFloatAndQuantisedProductsOfOneInput) {
  TestCtx t;
  Weight a = make_weight(t, DType::kF16, Layout::kRows16, {32, 64}, random_rows(DType::kF16, 32, 64, 1));
  Weight b = make_weight(t, DType::kQ8_0, Layout::kRows16, {48, 64}, random_rows(DType::kQ8_0, 48, 64, 2));
  Weight d = make_weight(t, DType::kF32, Layout::kFile, {5, 64}, random_rows(DType::kF32, 5, 64, 3));
  const Weight* ws[] = {&a, &b, &d};
  Tensor x = t.random({17, 64}, 4), outs[3];
  linear_each(*t, x, ws, {}, outs);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(same_bits(outs[i], linear(*t, x, *ws[i]))) << i;
}

TEST(Gemm, ScratchDoesNotGrowWithTheProduct) {
  EXPECT_LE(cpu::gemm_scratch_bytes(cpu_caps(1)), 1 * MiB);
  EXPECT_EQ(cpu::gemm_scratch_bytes(cpu_caps(4)), 4 * cpu::gemm_scratch_bytes(cpu_caps(1)));
}

}  // namespace
}  // namespace hearth
