// full_attention against float64 on every instruction set, and what its blocks must not change.
#include "ops/attention/full_attention.h"

#include <gtest/gtest.h>

#include "ops/test_ctx.h"

namespace hearth {
namespace {

std::vector<double> reference(const Tensor& q, const Tensor& k, const Tensor& v, double scale, bool causal) {
  int64_t n = q.dim(1), m = k.dim(1), heads = q.dim(2), dim = q.dim(3);
  std::vector<double> y(static_cast<size_t>(q.numel())), weights(static_cast<size_t>(m));
  for (int64_t i = 0; i < q.dim(0) * n * heads; ++i) {
    int64_t b = i / (n * heads), at = i / heads % n, h = i % heads, seen = causal ? at + 1 : m;
    auto key = [&](const Tensor& of, int64_t t) { return of.data<float>() + ((b * m + t) * heads + h) * dim; };
    double highest = -INFINITY, total = 0;
    for (int64_t t = 0; t < seen; ++t) {
      double dot = 0;
      for (int64_t d = 0; d < dim; ++d) dot += static_cast<double>(q.data<float>()[i * dim + d]) * key(k, t)[d];
      weights[static_cast<size_t>(t)] = dot * scale;
      highest = std::max(highest, dot * scale);
    }
    for (int64_t t = 0; t < seen; ++t) {
      double weight = std::exp(weights[static_cast<size_t>(t)] - highest);
      total += weight;
      for (int64_t d = 0; d < dim; ++d) y[static_cast<size_t>(i * dim + d)] += weight * key(v, t)[d];
    }
    for (int64_t d = 0; d < dim; ++d) y[static_cast<size_t>(i * dim + d)] /= total;
  }
  return y;
}

struct Case {
  const char* what;
  int64_t batch, n, m, heads, dim;
  bool causal;
};
const Case kCases[] = {
    {"one key", 1, 1, 1, 1, 8, false},
    {"an odd head", 2, 9, 13, 3, 5, false},
    {"CLIP's text", 2, 77, 77, 3, 64, true},
    {"words for a picture", 1, 100, 77, 2, 40, false},
    {"several blocks of keys", 1, 50, 300, 2, 80, false},
    {"several blocks of queries", 1, 450, 33, 1, 32, false},
    {"causal over blocks", 1, 401, 401, 1, 48, true},
    {"the wide head of a VAE", 1, 150, 150, 1, 512, false},
    {"more dims than a chunk", 1, 20, 70, 1, 300, false},
};

TEST(FullAttention, MatchesFloat64) {
  for (CpuIsa isa : cpu_levels()) {
    for (const Case& test : kCases) {
      TestCtx t(isa);
      Tensor q = t.random({test.batch, test.n, test.heads, test.dim}, 1, 2);
      Tensor k = t.random({test.batch, test.m, test.heads, test.dim}, 2, 2), v = t.random(k.shape(), 3);
      float scale = 1 / std::sqrt(static_cast<float>(test.dim));
      Tensor y = full_attention(*t, q, k, v, {scale, test.causal});
      ASSERT_EQ(y.shape(), (Shape{test.batch, test.n, test.heads * test.dim}));
      EXPECT_LT(worst_error(y, reference(q, k, v, static_cast<double>(scale), test.causal)), 1e-5)
          << test.what << " " << isa_name(isa);
    }
  }
}

TEST(FullAttention, HoldsLargeScores) {
  for (CpuIsa isa : cpu_levels()) {
    TestCtx t(isa);
    Tensor q = t.random({1, 20, 1, 16}, 1, 60), k = t.random({1, 200, 1, 16}, 2, 60), v = t.random(k.shape(), 3);
    // Scores of thousands are exact to 2^-12: weights, and what they weigh, to as much.
    EXPECT_LT(worst_error(full_attention(*t, q, k, v, {0.25f}), reference(q, k, v, 0.25, false)), 2e-3)
        << isa_name(isa);
  }
}

TEST(FullAttention, AQueryDoesNotDependOnTheOthers) {
  for (CpuIsa isa : cpu_levels()) {
    TestCtx t(isa), one(isa, 1);
    Tensor q = t.random({2, 230, 2, 40}, 1), k = t.random({2, 230, 2, 40}, 2), v = t.random(k.shape(), 3);
    Tensor y = full_attention(*t, q, k, v, {0.2f});
    EXPECT_TRUE(same_bits(y, full_attention(*one, q, k, v, {0.2f})));
    for (int64_t at : {0, 47, 191, 229}) {
      Tensor alone =
          full_attention(*t, q.narrow(0, 1, 1).narrow(1, at, 1), k.narrow(0, 1, 1), v.narrow(0, 1, 1), {0.2f});
      EXPECT_TRUE(same_bits(alone, y.narrow(0, 1, 1).narrow(1, at, 1))) << at << " " << isa_name(isa);
    }
  }
}

TEST(FullAttention, ACausalQueryDoesNotSeeWhatFollows) {
  for (CpuIsa isa : cpu_levels()) {
    TestCtx t(isa);
    Tensor q = t.random({1, 200, 1, 24}, 1), k = t.random({1, 200, 1, 24}, 2), v = t.random(k.shape(), 3);
    Tensor y = full_attention(*t, q, k, v, {0.2f, true});
    for (int64_t n : {1, 17, 48, 129}) {
      Tensor start = full_attention(*t, q.narrow(1, 0, n), k.narrow(1, 0, n), v.narrow(1, 0, n), {0.2f, true});
      EXPECT_TRUE(same_bits(start, y.narrow(1, 0, n))) << n << " " << isa_name(isa);
    }
  }
}

TEST(FullAttention, ReadsPartsOfOneProjection) {
  TestCtx t;
  Tensor qkv = t.random({1, 60, 6, 32}, 1);
  Tensor parts[3], copies[3];
  for (int i = 0; i < 3; ++i) {
    parts[i] = qkv.narrow(2, 2 * i, 2);
    copies[i] = t.empty(DType::kF32, {1, 60, 2, 32});
    for (int64_t row = 0; row < 60; ++row) {
      std::memcpy(copies[i].data<float>() + row * 64, qkv.data<float>() + row * 192 + i * 64, 256);
    }
  }
  EXPECT_TRUE(same_bits(full_attention(*t, parts[0], parts[1], parts[2], {0.2f}),
                        full_attention(*t, copies[0], copies[1], copies[2], {0.2f})));
}

TEST(FullAttention, NaNShows) {
  for (CpuIsa isa : cpu_levels()) {
    TestCtx t(isa);
    Tensor q = t.random({1, 3, 1, 16}, 1), k = t.random({1, 40, 1, 16}, 2), v = t.random(k.shape(), 3);
    k.data<float>()[20 * 16] = NAN;
    EXPECT_TRUE(std::isnan(full_attention(*t, q, k, v, {0.2f}).data<float>()[0])) << isa_name(isa);
  }
}

TEST(FullAttention, ScratchDoesNotGrowWithTheContext) {
  auto peak = [](int64_t n) {
    TestCtx t(cpu_caps(1).isa, 1, DeviceKind::kMeta);
    Tensor q = t.random({1, n, 1, 512}, 1), y = full_attention(*t, q, q, q, {0.04f});
    return t.arena().peak_bytes() - y.bytes();
  };
  EXPECT_EQ(peak(16384), peak(64));
  EXPECT_LE(peak(64), 2 * MiB);
}

TEST(FullAttention, MetaStatesTheRealPeak) {
  auto [meta, real] = arena_peaks([](TestCtx& t) {
    Tensor q = t.random({1, 30, 2, 40}, 1), y = full_attention(*t, q, q, q, {0.2f, true});
  });
  EXPECT_EQ(meta, real);
}

TEST(FullAttention, RefusalsSayWhatWasWrong) {
  TestCtx t;
  Tensor q = t.random({1, 4, 2, 8}, 1), k = t.random({1, 5, 2, 8}, 2);
  EXPECT_EQ(error_of([&] {
              full_attention(*t, q, k, k, {1, true});
            }),
            "full_attention: got q f32 [1, 4, 2, 8], k f32 [1, 5, 2, 8], v f32 [1, 5, 2, 8], wanted as many keys as "
            "queries, as attention is causal");
  EXPECT_NE(error_of([&] { full_attention(*t, q, k, q, {}); }).find("wanted q f32 [B, N, heads, hd]"),
            std::string::npos);
  EXPECT_NE(error_of([&] { full_attention(*t, q, k.narrow(1, 0, 0), k.narrow(1, 0, 0), {}); }).find("one key"),
            std::string::npos);
}

TEST(FullAttention, ExactIsFloat64RoundedOnce) {
  for (const Case& test : kCases) {
    TestCtx t;
    Tensor q = t.random({test.batch, test.n, test.heads, test.dim}, 1, 2);
    Tensor k = t.random({test.batch, test.m, test.heads, test.dim}, 2, 2), v = t.random(k.shape(), 3);
    const float scale = 1 / std::sqrt(static_cast<float>(test.dim));
    const Tensor tiled = full_attention(*t, q, k, v, {scale, test.causal});
    (*t).attention = AttentionKind::kExact;
    const Tensor exact = full_attention(*t, q, k, v, {scale, test.causal});
    const std::vector<double> want = reference(q, k, v, static_cast<double>(scale), test.causal);
    EXPECT_LT(worst_error(exact, want), 1e-7) << test.what;
    if (test.m > 1) {
      EXPECT_GT(worst_error(tiled, want), worst_error(exact, want)) << test.what << ": not the same code";
    }
  }
}

TEST(FullAttention, NamesWhatADeviceHas) {
  EXPECT_EQ(*attention_kind(DeviceKind::kCpu, "auto"), AttentionKind::kAuto);
  EXPECT_EQ(*attention_kind(DeviceKind::kCpu, "exact"), AttentionKind::kExact);
  const Result<AttentionKind> none = attention_kind(DeviceKind::kCpu, "sage");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code(), Code::kUnsupported);
  EXPECT_EQ(none.error().message(), "no attention 'sage' on the CPU; wanted one of auto, tiled, exact");
}

}  // namespace
}  // namespace hearth
