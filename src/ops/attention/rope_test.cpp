// rope against float64 trigonometry on float32 angles, and kv_append against scalar rounding.
#include <gtest/gtest.h>

#include "ops/attention/attention.h"
#include "ops/test_ctx.h"

namespace hearth {
namespace {

struct RopeCase {
  const char* what;
  int heads, head_dim, rotary_dim;
  float base;
  bool interleaved, factors;
  float position_scale;
};
const RopeCase kCases[] = {
    {"SmolLM2: NeoX pairs", 9, 64, 64, 100000, false, false, 1},
    {"GGUF llama: neighbouring pairs", 4, 128, 128, 10000, true, false, 1},
    {"Llama 3 scaling by factors", 2, 64, 64, 500000, false, true, 1},
    {"linear scaling", 3, 96, 96, 10000, true, false, 0.25f},
    {"part of a head turns", 2, 80, 32, 10000, false, false, 1},
    {"part of a head turns, neighbours", 2, 80, 20, 10000, true, true, 1},
    {"a pair count that is no multiple of a vector", 1, 72, 72, 1e6f, false, false, 1},
};

// The angle is rounded as float32 code rounds it; from there on everything is float64.
std::vector<double> reference(const Tensor& x, const Tensor& pos, const RopeParams& p) {
  std::vector<double> y(x.numel());
  int64_t heads = x.dim(1), dim = x.dim(2);
  for (int64_t at = 0; at < x.dim(0) * heads; ++at) {
    const float* from = x.data<float>() + at * dim;
    for (int64_t d = 0; d < dim; ++d) y[at * dim + d] = from[d];
    for (int i = 0; i < p.rotary_dim / 2; ++i) {
      float frequency = 1.0f / std::pow(p.base, static_cast<float>(2 * i) / static_cast<float>(p.rotary_dim));
      if (p.freq_factors) frequency /= p.freq_factors.data<float>()[i];
      float angle = static_cast<float>(pos.data<int32_t>()[at / heads]) * p.position_scale * frequency;
      int low = p.interleaved ? 2 * i : i, high = p.interleaved ? 2 * i + 1 : i + p.rotary_dim / 2;
      double c = std::cos(static_cast<double>(angle)), s = std::sin(static_cast<double>(angle));
      y[at * dim + low] = from[low] * c - from[high] * s;
      y[at * dim + high] = from[high] * c + from[low] * s;
    }
  }
  return y;
}

RopeParams params_of(TestCtx& t, const RopeCase& test) {
  RopeParams p{test.rotary_dim, test.base, test.interleaved, {}, test.position_scale};
  if (test.factors) {
    p.freq_factors = t.empty(DType::kF32, {test.rotary_dim / 2});
    for (int i = 0; i < test.rotary_dim / 2; ++i) p.freq_factors.data<float>()[i] = 1 + 0.25f * static_cast<float>(i);
  }
  return p;
}

TEST(Rope, MatchesFloat64) {
  for (CpuIsa isa : cpu_levels()) {
    for (const RopeCase& test : kCases) {
      TestCtx t(isa);
      std::vector<int32_t> positions = {0, 1, 2, 77, 4095, 8191, 131071, 131071, 5};
      for (int i = 0; i < 60; ++i) positions.push_back(i);
      Tensor pos = t.ints(positions), x = t.random({pos.dim(0), test.heads, test.head_dim}, 1);
      RopeParams p = params_of(t, test);
      EXPECT_LT(worst_error(rope(*t, x, pos, p), reference(x, pos, p)), 1e-6) << test.what << " " << isa_name(isa);
    }
  }
}

TEST(Rope, ARowDoesNotDependOnTheOthersAndStridesAreFollowed) {
  for (const RopeCase& test : kCases) {
    TestCtx t;
    RopeParams p = params_of(t, test);
    Tensor pos = t.ints({3, 900, 12, 12, 7}), wide = t.random({5, test.heads + 2, test.head_dim}, 2);
    Tensor x = wide.narrow(1, 1, test.heads), all = rope(*t, x, pos, p);
    for (int64_t row = 0; row < 5; ++row) {
      Tensor one = rope(*t, x.narrow(0, row, 1), pos.narrow(0, row, 1), p);
      EXPECT_TRUE(same_bits(one, all.narrow(0, row, 1))) << test.what;
    }
  }
}

TEST(Rope, MetaTakesTheSameSpace) {
  auto [meta, real] = arena_peaks([](TestCtx& t) {
    Tensor y = rope(*t, t.random({9, 2, 64}, 1), t.ints(std::vector<int32_t>(9)), {.rotary_dim = 64});
  });
  EXPECT_EQ(meta, real);
  EXPECT_GT(meta, 9 * 2 * 64 * 4);
}

TEST(Rope, RefusalsSayWhatWasWrong) {
  TestCtx t;
  Tensor x = t.random({2, 3, 8}, 1), pos = t.ints({0, 1});
  EXPECT_EQ(error_of([&] { rope(*t, x, pos, {.rotary_dim = 7}); }),
            "rope: got rotary_dim 7 for head_dim 8, wanted an even rotary_dim of 2 to head_dim");
  EXPECT_EQ(error_of([&] { rope(*t, x, t.ints({0, 1, 2}), {.rotary_dim = 8}); }),
            "rope: got pos i32 [3], wanted contiguous i32 [2]");
  EXPECT_NE(error_of([&] { rope(*t, x, pos, {.rotary_dim = 8, .freq_factors = t.random({3}, 1)}); })
                .find("freq_factors f32 [3], wanted f32 [4]"), std::string::npos);
}

TEST(KvAppend, RoundsToNearestEvenIntoTheNamedSlots) {
  for (CpuIsa isa : cpu_levels()) {
    for (DType dtype : {DType::kF16, DType::kBF16, DType::kF32}) {
      TestCtx t(isa);
      constexpr int64_t kHeads = 3, kTokens = 4, kDim = 40;
      KvPages pages{t.empty(dtype, {5, kHeads, kTokens, kDim}), t.empty(dtype, {5, kHeads, kTokens, kDim})};
      Tensor k = t.random({3, kHeads, kDim}, 1), v = t.random({3, kHeads, kDim}, 2, 1e-5f);
      const float odd[] = {1.00048828125f, 1.00146484375f, 65504, 65520, 1e30f, -0.0f, INFINITY, NAN, 3e-8f, 1e-40f};
      std::memcpy(k.data<float>(), odd, sizeof odd);
      std::vector<int32_t> slots = {19, 0, 6};
      kv_append(*t, pages, k, v, t.ints(slots));
      for (const auto& [from, to] : {std::pair{k, pages.k}, {v, pages.v}}) {
        for (int64_t i = 0; i < from.numel(); ++i) {
          int64_t slot = slots[i / (kHeads * kDim)], head = i / kDim % kHeads;
          int64_t at = ((slot / kTokens * kHeads + head) * kTokens + slot % kTokens) * kDim + i % kDim;
          float value = from.data<float>()[i];
          if (std::isnan(value)) continue;
          const std::byte* got = to.raw() + row_bytes(dtype, at);
          uint16_t bits = dtype == DType::kF16 ? f32_to_f16(value) : f32_to_bf16(value);
          EXPECT_EQ(std::memcmp(got, dtype == DType::kF32 ? static_cast<const void*>(&value) : &bits,
                                static_cast<size_t>(row_bytes(dtype, 1))), 0)
              << name(dtype) << " " << value << " " << isa_name(isa);
        }
      }
    }
  }
}

TEST(KvAppend, LeavesOtherSlotsAlone) {
  TestCtx t;
  KvPages pages{t.empty(DType::kF32, {2, 1, 4, 8}), t.empty(DType::kF32, {2, 1, 4, 8})};
  for (int64_t i = 0; i < 64; ++i) pages.k.data<float>()[i] = 7;
  kv_append(*t, pages, t.random({1, 1, 8}, 1), t.random({1, 1, 8}, 2), t.ints({5}));
  for (int64_t i = 0; i < 64; ++i) EXPECT_EQ(pages.k.data<float>()[i] == 7, i / 8 != 5) << i;
}

TEST(KvAppend, RefusalsSayWhatWasWrong) {
  TestCtx t;
  KvPages pages{t.empty(DType::kF16, {2, 2, 4, 8}), t.empty(DType::kF16, {2, 2, 4, 8})};
  Tensor k = t.random({1, 2, 8}, 1);
  EXPECT_NE(error_of([&] { kv_append(*t, pages, k, t.random({1, 1, 8}, 1), t.ints({0})); })
                .find("kv_append: got k f32 [1, 2, 8] and v f32 [1, 1, 8], wanted f32 [1, 2, 8]"), std::string::npos);
  EXPECT_NE(error_of([&] { kv_append(*t, pages, k, k, t.ints({8})); }).find("slot lies within the pages"),
            std::string::npos);
  KvPages mixed{pages.k, t.empty(DType::kBF16, {2, 2, 4, 8})};
  EXPECT_NE(error_of([&] { kv_append(*t, mixed, k, k, t.ints({0})); }).find("one dtype"), std::string::npos);
}

}  // namespace
}  // namespace hearth
