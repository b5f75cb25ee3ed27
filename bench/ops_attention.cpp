// Attention and the small ops around it on this CPU: time, GB/s and GFLOP/s beside what one pass over memory and a
// bare multiply-add loop reach here. Usage: bench_ops_attention [threads]
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <numeric>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <fmt/format.h>

#include "ops/attention/attention.h"
#include "ops/norm/norm.h"
#include "ops/pointwise/pointwise.h"
#include "ops/test_ctx.h"

namespace hearth {
namespace {

double now_us() {
  auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double, std::micro>(now).count();
}

/// Best time of a call in microseconds, over about a fifth of a second.
template <class Body>
double best_us(Body body) {
  double best = 1e30, stop = now_us() + 200e3;
  for (int i = 0; i < 5 || now_us() < stop; ++i) {
    double start = now_us();
    body();
    best = std::min(best, now_us() - start);
  }
  return best;
}

#if defined(__x86_64__)
// Sixteen independent chains of multiply-adds: what one core can do.
__attribute__((target("avx512f"))) double peak_gflops() {
  constexpr int kRounds = 200000, kChains = 16;
  __m512 sum[kChains];
  for (__m512& s : sum) s = _mm512_set1_ps(1);
  __m512 factor = _mm512_set1_ps(0.5f);
  double us = best_us([&]() __attribute__((target("avx512f"))) {
    for (int i = 0; i < kRounds; ++i) {
#pragma GCC unroll 16
      for (int j = 0; j < kChains; ++j) sum[j] = _mm512_fmadd_ps(sum[j], factor, factor);
    }
  });
  volatile float used = _mm512_cvtss_f32(sum[3]);
  static_cast<void>(used);
  return 32.0 * kRounds * kChains / us / 1e3;
}
#endif

struct AttentionBench {
  const char* model;
  int heads, kv_heads, head_dim, page_tokens;
};

struct Setup {
  KvPages pages;
  AttentionIndex index;
  Tensor q;
};

// `rows` last positions of each of `seqs` sequences of `context` positions, in shuffled pages.
Setup make_setup(TestCtx& t, const AttentionBench& b, int seqs, int context, int rows) {
  int per_seq = (context + b.page_tokens - 1) / b.page_tokens;
  std::vector<int32_t> table(seqs * per_seq), pos, seq;
  std::iota(table.begin(), table.end(), 0);
  std::shuffle(table.begin(), table.end(), std::mt19937(1));
  for (int s = 0; s < seqs; ++s) {
    for (int r = context - rows; r < context; ++r) pos.push_back(r), seq.push_back(s);
  }
  Shape shape{seqs * per_seq, b.kv_heads, b.page_tokens, b.head_dim};
  Setup out{{t.empty(DType::kF16, shape), t.empty(DType::kF16, shape)},
            {t.ints(pos), t.ints(seq), t.ints(table, {seqs, per_seq})},
            t.random({seqs * rows, b.heads, b.head_dim}, 2)};
  uint16_t* bits[] = {reinterpret_cast<uint16_t*>(out.pages.k.raw()), reinterpret_cast<uint16_t*>(out.pages.v.raw())};
  std::mt19937 random(3);
  for (int64_t i = 0; i < out.pages.k.numel(); ++i) {
    for (uint16_t* plane : bits) plane[i] = static_cast<uint16_t>(0x3000 + random() % 0x800 + (random() & 0x8000));
  }
  return out;
}

void bench_attention(TestCtx& t, const AttentionBench& b, int seqs, int context, int rows) {
  Setup s = make_setup(t, b, seqs, context, rows);
  AttentionParams params{.scale = 0.125f};
  double us = best_us([&] { attention(*t, s.q, s.pages, s.index, params); });
  double positions = 0;
  for (int64_t i = 0; i < s.index.pos.numel(); ++i) positions += s.index.pos.data<int32_t>()[i] + 1;
  double flops = 4 * positions * b.heads * b.head_dim;
  double bytes = 2.0 * static_cast<double>(s.pages.k.bytes());
  fmt::print("{:<10} seqs {:>2} context {:>5} rows {:>4}  {:>9.1f} us  {:>6.1f} GB/s of K and V  {:>7.1f} GFLOP/s\n",
             b.model, seqs, context, rows, us, bytes / us / 1e3, flops / us / 1e3);
}

void bench_memory(TestCtx& t) {
  Tensor big = t.random({48 << 20}, 1);
  double us = best_us([&] {
    std::atomic<int64_t> sink{0};
    (*t).parallel_for(big.numel(), 1 << 18, [&](int64_t begin, int64_t end) {
      int64_t sum[8] = {};
      const int64_t* words = reinterpret_cast<const int64_t*>(big.data<float>() + begin);
      for (int64_t i = 0; i < (end - begin) / 2; i += 8) {
        for (int j = 0; j < 8; ++j) sum[j] ^= words[i + j];
      }
      sink += std::accumulate(sum, sum + 8, int64_t{0});
    });
  });
  fmt::print("one pass over memory: {:.1f} GB/s\n", static_cast<double>(big.bytes()) / us / 1e3);
}

template <class Body>
void bench_small(const char* what, double elements, Body body) {
  double us = best_us(body);
  fmt::print("{:<32} {:>9.2f} us  {:>6.3f} ns an element\n", what, us, us * 1e3 / elements);
}

void bench_small_ops(TestCtx& t, int64_t rows) {
  constexpr int64_t kDim = 576, kFfn = 1536;
  double n = static_cast<double>(rows);
  Tensor x = t.random({rows, kDim}, 1), w = t.random({kDim}, 2), gate = t.random({rows, kFfn}, 3);
  Tensor q = t.random({rows, 9, 64}, 4), k = t.random({rows, 3, 64}, 5);
  std::vector<int32_t> positions(rows);
  std::iota(positions.begin(), positions.end(), 0);
  Tensor pos = t.ints(positions);
  KvPages pages{t.empty(DType::kF16, {64, 3, 32, 64}), t.empty(DType::kF16, {64, 3, 32, 64})};
  fmt::print("{} rows of SmolLM2-135M\n", rows);
  bench_small("  add [576]", n * kDim, [&] { add(*t, x, x); });
  bench_small("  rms_norm [576]", n * kDim, [&] { rms_norm(*t, x, w, 1e-5f); });
  bench_small("  add_rms_norm [576]", n * kDim, [&] { add_rms_norm(*t, x, x, w, 1e-5f); });
  bench_small("  swiglu [1536]", n * kFfn, [&] { swiglu(*t, gate, gate); });
  bench_small("  geglu [1536]", n * kFfn, [&] { geglu(*t, gate, gate); });
  bench_small("  softcap [1536]", n * kFfn, [&] { softcap(*t, gate, 30); });
  bench_small("  rope [9, 64]", n * kDim, [&] { rope(*t, q, pos, {.rotary_dim = 64}); });
  bench_small("  kv_append [3, 64]", n * 384, [&] { kv_append(*t, pages, k, k, pos); });
}

void run(int threads) {
  TestCtx t(cpu_caps(threads).isa, threads);
  ThreadPool::Hold hold(t.pool());
  fmt::print("{} thread(s), {}\n", threads, isa_name(cpu_caps(threads).isa));
  bench_memory(t);
#if defined(__x86_64__)
  if (cpu_caps(1).isa == CpuIsa::kAvx512Vnni) fmt::print("multiply-adds of one core: {:.0f} GFLOP/s\n", peak_gflops());
#endif
  const AttentionBench models[] = {{"SmolLM2", 9, 3, 64, 32}, {"Qwen3", 16, 8, 128, 32}, {"Llama3", 32, 8, 128, 32},
                                   {"Qwen2.5", 14, 2, 64, 32}};
  for (const AttentionBench& b : models) {
    for (int context : {128, 1024, 8192}) bench_attention(t, b, 1, context, 1);
    bench_attention(t, b, 8, 1024, 1);
    bench_attention(t, b, 1, 128, 128);
    bench_attention(t, b, 1, 512, 512);
    bench_attention(t, b, 1, 4096, 512);
  }
  bench_small_ops(t, 1);
  bench_small_ops(t, 512);
}

}  // namespace
}  // namespace hearth

int main(int argc, char** argv) {
  hearth::run(argc > 1 ? std::atoi(argv[1]) : 2);
  return 0;
}
