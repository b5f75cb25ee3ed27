// linear() by scheme and number of rows, beside what this machine's memory and multipliers can do at most.
//   bench_ops_linear [threads] [scheme...]
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "ops/linear/linear.h"
#include "ops/linear/random_weight.h"
#include "ops/test_ctx.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace hearth {
namespace {

constexpr int64_t kIn = 2048;
constexpr int64_t kManyOut = 32768;  // weights far larger than any cache: what one token of a large model sees
constexpr int64_t kFewOut = 2048;    // weights that many rows reuse

double now() {
  using Clock = std::chrono::steady_clock;
  return std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
}

/// Best of several runs, in seconds; at least 0.3 s in all.
template <class Body>
double best_seconds(Body body) {
  double best = 1e9, start = now();
  for (int i = 0; i < 3 || now() - start < 0.3; ++i) {
    double begin = now();
    body();
    best = std::min(best, now() - begin);
  }
  return best;
}

/// Bytes a second that all threads read from memory.
double read_bandwidth(TestCtx& t) {
  constexpr int64_t kWords = (256 << 20) / 8;
  std::vector<uint64_t> words(kWords, 1);
  std::atomic<uint64_t> sink{0};
  double seconds = best_seconds([&] {
    (*t).parallel_for(kWords, kWords / 64, [&](int64_t begin, int64_t end) {
      uint64_t lanes[8] = {};
      for (int64_t i = begin; i + 8 <= end; i += 8) {
        for (int j = 0; j < 8; ++j) lanes[j] += words[static_cast<size_t>(i + j)];
      }
      for (uint64_t lane : lanes) sink += lane;
    });
  });
  return sink == 0 ? 0 : kWords * 8 / seconds;
}

#if defined(__x86_64__)
__attribute__((target("avx512f,avx512bw,avx512vnni"))) int multiply_bytes(int64_t n) {
  __m512i sums[12] = {}, a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(5);
  for (int64_t i = 0; i < n; ++i) {
    asm volatile("" : "+v"(a));  // or the compiler multiplies by n
#pragma GCC unroll 12
    for (auto& sum : sums) sum = _mm512_dpbusd_epi32(sum, a, b);
  }
  for (int i = 1; i < 12; ++i) sums[0] = _mm512_add_epi32(sums[0], sums[i]);
  return _mm512_reduce_add_epi32(sums[0]);
}
#endif

/// Operations a second (a multiply-add is two) of the byte dot product on all threads; 0 when unknown.
double byte_peak(TestCtx& t) {
#if defined(__x86_64__)
  if ((*t).caps.isa != CpuIsa::kAvx512Vnni) return 0;
  constexpr int64_t kRounds = 2'000'000;
  std::atomic<int> sink{0};
  int threads = t.pool().threads();
  double seconds = best_seconds([&] {
    (*t).parallel_for(threads, 1, [&](int64_t, int64_t) { sink += multiply_bytes(kRounds); });
  });
  return 2.0 * 64 * 12 * kRounds * threads / seconds;
#else
  return 0;
#endif
}

Weight tiled_weight(TestCtx& t, DType type, int64_t out) {
  auto tile = random_rows(type, 64, kIn, 1);
  Shape shape{out, kIn};
  Layout layout = pick_layout((*t).caps, type, shape);
  Weight w{shape, type, layout, t.empty(DType::kU8, {packed_bytes(type, layout, shape)})};
  for (int64_t row = 0; row < out; row += 64) pack_rows(type, layout, shape, row, 64, tile.data(), w.data.raw());
  return w;
}

void measure(TestCtx& t, DType type, double bandwidth, double peak) {
  for (int64_t rows : {1, 4, 32, 512}) {
    int64_t out = rows <= 4 ? kManyOut : kFewOut;
    Weight w = tiled_weight(t, type, out);
    Tensor x = t.random({rows, kIn}, 2);
    ThreadPool::Hold hold(t.pool());
    double seconds = best_seconds([&] { linear(*t, x, w); });
    double gbs = static_cast<double>(w.bytes()) / seconds * 1e-9;
    double gops = 2.0 * static_cast<double>(rows * out * kIn) / seconds * 1e-9;
    std::printf("| %s | %lld | %.3f | %.1f | %.0f%% | %.0f | %.0f%% |\n", std::string(name(type)).c_str(),
                static_cast<long long>(rows), seconds * 1e3, gbs, bandwidth > 0 ? 1e11 * gbs / bandwidth : 0, gops,
                peak > 0 ? 1e11 * gops / peak : 0);
    std::fflush(stdout);
  }
}

int run(int argc, char** argv) {
  int threads = argc > 1 ? std::atoi(argv[1]) : 2;
  TestCtx t(cpu_caps(1).isa, threads, DeviceKind::kCpu, 64 * MiB);
  double bandwidth = read_bandwidth(t), peak = byte_peak(t);
  std::printf("%s, %d threads; reads %.1f GB/s, byte products %.0f GOP/s; weights [%lld or %lld, %lld]\n\n",
              std::string(isa_name((*t).caps.isa)).c_str(), threads, bandwidth * 1e-9, peak * 1e-9,
              static_cast<long long>(kManyOut), static_cast<long long>(kFewOut), static_cast<long long>(kIn));
  std::printf("| scheme | rows | ms | weights GB/s | of reads | GOP/s | of byte products |\n");
  std::printf("|---|---|---|---|---|---|---|\n");
  for (int i = 0; i < static_cast<int>(DType::kCount); ++i) {
    auto type = static_cast<DType>(i);
    bool is_float = type == DType::kF32 || type == DType::kF16 || type == DType::kBF16 || type == DType::kF8E4M3;
    bool asked = argc <= 2;
    for (int a = 2; a < argc; ++a) asked |= name(type) == argv[a];
    if (asked && (is_float || info(type).is_block)) measure(t, type, bandwidth, peak);
  }
  return 0;
}

}  // namespace
}  // namespace hearth

int main(int argc, char** argv) { return hearth::run(argc, argv); }
