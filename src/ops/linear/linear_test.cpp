// linear(): every scheme in every layout and at every instruction set against a sum in double precision, the invariance
// of results to the number of rows, and the costs that Meta states.
#include "ops/linear/linear.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "ops/linear/random_weight.h"
#include "ops/linear/row_codes.h"
#include "ops/quant/decode.h"
#include "ops/test_ctx.h"

namespace hearth {
namespace {

const std::vector<DType>& schemes() {
  static const std::vector<DType> all = [] {
    std::vector<DType> types = {DType::kF32, DType::kF16, DType::kBF16, DType::kF8E4M3, DType::kF8E5M2};
    for (int i = static_cast<int>(DType::kQ4_0); i < static_cast<int>(DType::kCount); ++i) {
      types.push_back(static_cast<DType>(i));
    }
    return types;
  }();
  return all;
}

bool has_rows16(DType type) {
  return pick_layout(cpu_caps(1), type, {256, 256}) == Layout::kRows16;
}

Weight random_weight(TestCtx& t, DType type, Layout layout, Shape shape, unsigned seed) {
  return weight_of(type, layout, shape, random_rows(type, shape[0], shape[1], seed),
                   [&](int64_t bytes) { return t.empty(DType::kU8, {bytes}); });
}

// x as the integer kernels read it: rounded to int8 in blocks of 32.
std::vector<double> rounded(const float* x, int64_t n) {
  std::vector<double> out(static_cast<size_t>(n));
  for (int64_t b = 0; b < n; b += 32) {
    float largest = 0;
    for (int64_t i = b; i < b + 32; ++i) largest = std::max(largest, std::fabs(x[i]));
    float inverse = largest > 0 ? 127.0f / largest : 0.0f;
    for (int64_t i = b; i < b + 32; ++i) {
      out[static_cast<size_t>(i)] = std::nearbyint(x[i] * inverse) * static_cast<double>(largest * (1.0f / 127.0f));
    }
  }
  return out;
}

struct Sums {
  double exact = 0;      // of x as it is
  double of_rounded = 0;  // of x as the kernel reads it
  double scale = 0;      // what rounding errors are relative to
  double spread = 0;     // root of the sum of squares of w times a rounding step of x
};

Sums sums(const std::vector<float>& w, const float* x, bool rounds) {
  auto n = static_cast<int64_t>(w.size());
  std::vector<double> q = rounds ? rounded(x, n) : std::vector<double>(x, x + n);
  double largest_w = 0, total_x = 0, squares = 0, step = 0;
  Sums of;
  for (int64_t i = 0; i < n; ++i) {
    auto at = static_cast<size_t>(i);
    of.exact += static_cast<double>(w[at]) * x[i];
    of.of_rounded += static_cast<double>(w[at]) * q[at];
    largest_w = std::max(largest_w, std::abs(static_cast<double>(w[at])));
    total_x += std::abs(x[i]);
    step = std::max(step, std::abs(static_cast<double>(x[i])) / 127);
    squares += static_cast<double>(w[at]) * w[at];
  }
  of.scale = largest_w * total_x;
  of.spread = std::sqrt(squares / 12) * step;
  return of;
}

// Worst errors of linear() against both sums: relative to the terms, and in standard deviations of the rounding of x.
struct Errors {
  double tight = 0, deviations = 0;
};

Errors errors_of(CpuIsa isa, DType type, Layout layout, Shape shape, int64_t n_rows, bool with_bias = false) {
  TestCtx t(isa);
  auto file = random_rows(type, shape[0], shape[1], 7);
  Weight w = weight_of(type, layout, shape, file, [&](int64_t bytes) { return t.empty(DType::kU8, {bytes}); });
  Tensor x = t.random({n_rows, shape[1]}, 11), bias = with_bias ? t.random({shape[0]}, 13) : Tensor();
  Tensor y = linear(*t, x, w, bias);
  EXPECT_EQ(y.shape(), (Shape{n_rows, shape[0]}));
  Errors worst;
  std::vector<float> row(static_cast<size_t>(shape[1]));
  for (int64_t o = 0; o < shape[0]; ++o) {
    quant::decode_row(type, file.data() + o * row_bytes(type, shape[1]), row.data(), shape[1]);
    for (int64_t r = 0; r < n_rows; ++r) {
      bool rounds = info(type).is_block;
      Sums want = sums(row, x.data<float>() + r * shape[1], rounds);
      double b = with_bias ? bias.data<float>()[o] : 0;
      double got = y.data<float>()[r * shape[0] + o];
      auto larger = [](double a, double b) { return b <= a ? a : b; };  // NaN counts
      worst.tight = larger(worst.tight, std::abs(got - want.of_rounded - b) / (want.scale + std::abs(b)));
      if (rounds) worst.deviations = larger(worst.deviations, std::abs(got - want.exact - b) / want.spread);
    }
  }
  return worst;
}

std::string label(CpuIsa isa, DType type, Layout layout) {
  return std::string(isa_name(isa)) + " " + std::string(name(type)) +
         (layout == Layout::kFile ? " as in the file" : " rows16");
}

template <class Body>
void for_each_kernel(Body body) {
  for (CpuIsa isa : cpu_levels()) {
    for (DType type : schemes()) {
      for (Layout layout : {Layout::kFile, Layout::kRows16}) {
        if (layout == Layout::kRows16 && !has_rows16(type)) continue;
        SCOPED_TRACE(label(isa, type, layout));
        body(isa, type, layout);
      }
    }
  }
}

TEST(Linear, EqualsADoubleSumOfDecodedWeights) {
  for_each_kernel([](CpuIsa isa, DType type, Layout layout) {
    for (int64_t n_rows : {1, 3, 9}) {
      Errors worst = errors_of(isa, type, layout, {64, 768}, n_rows);
      EXPECT_LT(worst.tight, 2e-7) << n_rows << " rows";
      EXPECT_LT(worst.deviations, 5) << n_rows << " rows";
    }
  });
}

TEST(Linear, TakesOneBlockAndOddOutputs) {
  for_each_kernel([](CpuIsa isa, DType type, Layout layout) {
    int64_t block = info(type).block_elements;
    for (int64_t out : {1, 15, 16, 17, 37}) {
      EXPECT_LT(errors_of(isa, type, layout, {out, block}, 2, true).tight, 5e-7) << out << " outputs of one block";
    }
    int64_t odd = block < 256 ? 256 + 3 * block : 512;
    EXPECT_LT(errors_of(isa, type, layout, {21, odd}, 5, true).tight, 5e-7) << odd << " inputs";
  });
}

TEST(Linear, TakesNoRows) {
  TestCtx t;
  Weight w = random_weight(t, DType::kQ8_0, Layout::kRows16, {32, 64}, 3);
  EXPECT_EQ(linear(*t, t.random({2, 64}, 5).narrow(0, 1, 0), w).shape(), (Shape{0, 32}));
}

TEST(Linear, ReadsStridedRows) {
  TestCtx t;
  Weight w = random_weight(t, DType::kQ4_1, Layout::kRows16, {32, 64}, 3);
  Tensor wide = t.random({6, 96}, 5), narrow = t.empty(DType::kF32, {6, 64});
  for (int64_t r = 0; r < 6; ++r) std::memcpy(narrow.data<float>() + r * 64, wide.data<float>() + r * 96 + 32, 256);
  EXPECT_TRUE(same_bits(linear(*t, wide.narrow(1, 32, 64), w), linear(*t, narrow, w)));
}

TEST(Linear, HandlesZeroAndTinyInputs) {
  for (CpuIsa isa : cpu_levels()) {
    TestCtx t(isa);
    Weight w = random_weight(t, DType::kQ4_K, Layout::kRows16, {16, 256}, 3);
    Tensor x = t.random({2, 256}, 5, 1e-30f);
    std::memset(x.raw(), 0, 1024);
    Tensor y = linear(*t, x, w);
    for (int i = 0; i < 16; ++i) EXPECT_EQ(y.data<float>()[i], 0.0f);
    for (int i = 16; i < 32; ++i) EXPECT_LT(std::abs(y.data<float>()[i]), 1e-26f);
  }
}

// Each row's result is the same bits alone, in any batch and at any place of it.
void expect_invariant(CpuIsa isa, DType type, Layout layout, Shape shape, const std::vector<int64_t>& counts) {
  TestCtx t(isa), one_thread(isa, 1);
  Weight w = random_weight(t, type, layout, shape, 17);
  int64_t most = *std::max_element(counts.begin(), counts.end()), in = shape[1], out = shape[0];
  Tensor x = t.random({most, in}, 19), alone = t.empty(DType::kF32, {most, out});
  for (int64_t r = 0; r < most; ++r) {
    Tensor y = linear(*one_thread, x.narrow(0, r, 1), w);
    std::memcpy(alone.data<float>() + r * out, y.raw(), static_cast<size_t>(y.bytes()));
  }
  for (int64_t n : counts) {
    Tensor shuffled = t.empty(DType::kF32, {n, in}), wanted = t.empty(DType::kF32, {n, out});
    std::vector<int64_t> order(static_cast<size_t>(most));
    for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int64_t>(i);
    std::shuffle(order.begin(), order.end(), std::mt19937(static_cast<unsigned>(n)));
    for (int64_t r = 0; r < n; ++r) {
      int64_t from = order[static_cast<size_t>(r)];
      std::memcpy(shuffled.data<float>() + r * in, x.data<float>() + from * in, static_cast<size_t>(4 * in));
      std::memcpy(wanted.data<float>() + r * out, alone.data<float>() + from * out, static_cast<size_t>(4 * out));
    }
    EXPECT_TRUE(same_bits(linear(*t, shuffled, w), wanted)) << n << " rows";
  }
}

TEST(Linear, GivesARowTheSameBitsInAnyBatch) {
  for_each_kernel([](CpuIsa isa, DType type, Layout layout) {
    expect_invariant(isa, type, layout, {40, 512}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 17, 23});
  });
}

TEST(Linear, GivesARowTheSameBitsInLargeBatches) {
  std::vector<int64_t> counts = {128, 300};
  for (int64_t n = 1; n <= 40; ++n) counts.push_back(n);
  for (CpuIsa isa : cpu_levels()) {
    if (isa == CpuIsa::kPlain) continue;  // the loop over rows has no blocks
    for (DType type : {DType::kQ4_1, DType::kQ6_K, DType::kQ8_0, DType::kQ2_K, DType::kIQ4_XS, DType::kF16}) {
      SCOPED_TRACE(label(isa, type, Layout::kFile));
      expect_invariant(isa, type, has_rows16(type) ? Layout::kRows16 : Layout::kFile, {48, 1024}, counts);
    }
  }
}

TEST(Linear, LayoutsAgreeBitForBit) {
  for (CpuIsa isa : cpu_levels()) {
    for (DType type : schemes()) {
      if (!has_rows16(type)) continue;
      TestCtx t(isa);
      auto file = random_rows(type, 48, 512, 23);
      auto allocate = [&](int64_t bytes) { return t.empty(DType::kU8, {bytes}); };
      Tensor x = t.random({10, 512}, 29);
      EXPECT_TRUE(same_bits(linear(*t, x, weight_of(type, Layout::kFile, {48, 512}, file, allocate)),
                            linear(*t, x, weight_of(type, Layout::kRows16, {48, 512}, file, allocate))))
          << label(isa, type, Layout::kRows16);
    }
  }
}

TEST(LinearEach, EqualsLinear) {
  for (CpuIsa isa : cpu_levels()) {
    TestCtx t(isa);
    std::vector<Weight> weights = {random_weight(t, DType::kQ4_1, Layout::kRows16, {64, 256}, 1),
                                   random_weight(t, DType::kF16, Layout::kRows16, {32, 256}, 2),
                                   random_weight(t, DType::kIQ3_S, Layout::kFile, {24, 256}, 3),
                                   random_weight(t, DType::kQ6_K, Layout::kRows16, {16, 256}, 4)};
    std::vector<const Weight*> ws;
    for (int i = 0; i < 11; ++i) ws.push_back(&weights[static_cast<size_t>(i) % weights.size()]);
    std::vector<Tensor> biases(ws.size()), outs(ws.size());
    for (size_t i = 0; i < ws.size(); i += 2) biases[i] = t.random({ws[i]->out()}, static_cast<unsigned>(i));
    for (int64_t n : {1, 5, 33}) {
      Tensor x = t.random({n, 256}, 31);
      linear_each(*t, x, ws, biases, outs);
      for (size_t i = 0; i < ws.size(); ++i) EXPECT_TRUE(same_bits(outs[i], linear(*t, x, *ws[i], biases[i]))) << i;
    }
  }
}

TEST(Linear, MetaStatesTheRealPeak) {
  for (DType type : {DType::kQ4_1, DType::kF16}) {
    auto [meta, real] = arena_peaks([&](TestCtx& t) {
      Weight w = random_weight(t, type, Layout::kRows16, {64, 512}, 5);
      linear(*t, t.random({13, 512}, 6), w);
    });
    EXPECT_EQ(meta, real);
    EXPECT_GE(real, 13 * 64 * 4);
  }
}

struct Counter : StepObserver {
  OpCost last;
  void on_op(const OpCost& cost) override { last = cost; }
};

TEST(Linear, CountsItsCost) {
  TestCtx t;
  Counter counter;
  (*t).observer = &counter;
  Weight w = random_weight(t, DType::kQ8_0, Layout::kRows16, {32, 64}, 5);
  linear(*t, t.random({3, 64}, 6), w);
  EXPECT_EQ(counter.last.op, "linear");
  EXPECT_EQ(counter.last.flops, 2.0 * 3 * 32 * 64);
  EXPECT_EQ(counter.last.bytes, 3 * 64 * 4 + 32 * 68 + 3 * 32 * 4);
}

TEST(Linear, RefusesWhatItCannotDo) {
  TestCtx t;
  Weight w = random_weight(t, DType::kQ8_0, Layout::kFile, {32, 64}, 5);
  EXPECT_NE(error_of([&] { linear(*t, t.random({3, 65}, 6), w); }).find("[3, 65]"), std::string::npos);
  EXPECT_NE(error_of([&] { linear(*t, t.random({3, 64}, 6), w, t.random({31}, 1)); }).find("bias"), std::string::npos);
  Weight integers{{4, 4}, DType::kI32, Layout::kFile, t.empty(DType::kU8, {64})};
  std::string message = error_of([&] { linear(*t, t.random({1, 4}, 6), integers); });
  EXPECT_NE(message.find("i32"), std::string::npos) << message;
  EXPECT_NE(message.find("q4_k"), std::string::npos) << "lists what exists: " << message;
}

}  // namespace
}  // namespace hearth
