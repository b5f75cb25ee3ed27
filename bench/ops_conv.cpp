// The float32 ops of diffusion models beside the multiply-adds this machine can do at most: linear, convolution,
// attention and group norm at the shapes of Stable Diffusion's UNet, VAE and small decoders.
//   bench_ops_conv [threads] [linear|conv|attention|norm...]
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>

#include "ops/attention/full_attention.h"
#include "ops/conv/conv.h"
#include "ops/linear/linear.h"
#include "ops/linear/random_weight.h"
#include "ops/norm/norm.h"
#include "ops/test_ctx.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace hearth {
namespace {

/// One thread is timed by the processor it used, so that other programs of the machine do not count.
bool one_thread = false;
double now() {
  timespec time;
  clock_gettime(one_thread ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// Best of several runs, in seconds.
template <class Body>
double best_seconds(Body body) {
  double best = 1e9, start = now();
  for (int i = 0; i < 5 || now() - start < 0.5; ++i) {
    double begin = now();
    body();
    best = std::min(best, now() - begin);
  }
  return best;
}

#if defined(__x86_64__)
// Independent sums, more than latency times throughput of any CPU there is; each its own value, or they become one.
__attribute__((target("avx512f"))) float multiply_add_512(int64_t n) {
  __m512 sums[24], a = _mm512_set1_ps(0.5f), b = _mm512_set1_ps(1.25f);
  asm volatile("" : "+v"(a), "+v"(b));
  for (int i = 0; i < 24; ++i) sums[i] = _mm512_set1_ps(static_cast<float>(i));
  for (int64_t i = 0; i < n; ++i) {
#pragma GCC unroll 24
    for (auto& sum : sums) sum = _mm512_fmadd_ps(a, b, sum);
  }
  for (int i = 1; i < 24; ++i) sums[0] = _mm512_add_ps(sums[0], sums[i]);
  return _mm512_reduce_add_ps(sums[0]);
}
__attribute__((target("avx2,fma"))) float multiply_add_256(int64_t n) {
  __m256 sums[12], a = _mm256_set1_ps(0.5f), b = _mm256_set1_ps(1.25f);
  asm volatile("" : "+x"(a), "+x"(b));
  for (int i = 0; i < 12; ++i) sums[i] = _mm256_set1_ps(static_cast<float>(i));
  for (int64_t i = 0; i < n; ++i) {
#pragma GCC unroll 12
    for (auto& sum : sums) sum = _mm256_fmadd_ps(a, b, sum);
  }
  for (int i = 1; i < 12; ++i) sums[0] = _mm256_add_ps(sums[0], sums[i]);
  return _mm256_cvtss_f32(sums[0]);
}
#endif

/// Operations a second (a multiply-add is two) of float32 multiply-adds on all threads; 0 when unknown.
double float_peak(TestCtx& t) {
#if defined(__x86_64__)
  bool wide = (*t).caps.isa == CpuIsa::kAvx512Vnni;
  if (!wide && (*t).caps.isa != CpuIsa::kAvx2) return 0;
  constexpr int64_t kRounds = 2'000'000;
  std::atomic<float> sink{0};
  int threads = t.pool().threads();
  double seconds = best_seconds([&] {
    (*t).parallel_for(threads, 1,
                      [&](int64_t, int64_t) { sink = wide ? multiply_add_512(kRounds) : multiply_add_256(kRounds); });
  });
  return 2.0 * (wide ? 16 * 24 : 8 * 12) * kRounds * threads / seconds;
#else
  return 0;
#endif
}

class Bench {
 public:
  Bench(TestCtx& t, double peak) : t_(t), peak_(peak) {}

  void linear(int64_t rows, int64_t in, int64_t out, DType scheme = DType::kF32) {
    Weight w = weight(scheme, {out, in});
    Tensor x = t_.random({rows, in}, 2), bias = t_.random({out}, 3);
    report("linear " + std::string(name(scheme)) + " " + std::to_string(rows) + " x " + std::to_string(in) + " -> " +
               std::to_string(out),
           2.0 * static_cast<double>(rows * in * out), [&] { hearth::linear(*t_, x, w, bias); });
  }

  void conv(int64_t size, int64_t in, int64_t out, int64_t kernel = 3, int stride = 1, DType scheme = DType::kF16) {
    Weight w = weight(scheme, {out, kernel, kernel, in});
    int pad = static_cast<int>(kernel / 2);
    Tensor x = t_.random({1, size, size, in}, 2), bias = t_.random({out}, 3);
    ConvParams p{stride, pad, pad, pad, pad};
    int64_t made = (size + 2 * pad - kernel) / stride + 1;
    report("conv " + std::to_string(kernel) + "x" + std::to_string(kernel) + (stride > 1 ? " stride 2" : "") + " " +
               std::to_string(size) + "² x " + std::to_string(in) + " -> " + std::to_string(out),
           2.0 * static_cast<double>(made * made * kernel * kernel * in * out), [&] { conv2d(*t_, x, w, bias, p); });
  }

  void attention(int64_t queries, int64_t keys, int64_t heads, int64_t dim) {
    Tensor q = t_.random({1, queries, heads, dim}, 1), k = t_.random({1, keys, heads, dim}, 2),
           v = t_.random({1, keys, heads, dim}, 3);
    report("attention " + std::to_string(queries) + " x " + std::to_string(keys) + ", " + std::to_string(heads) +
               " heads of " + std::to_string(dim),
           4.0 * static_cast<double>(queries * keys * heads * dim), [&] { full_attention(*t_, q, k, v, {0.125f}); });
  }

  void norm(int64_t size, int64_t channels) {
    Tensor x = t_.random({1, size, size, channels}, 1), w = t_.random({channels}, 2), b = t_.random({channels}, 3);
    double seconds = time([&] { group_norm(*t_, x, w, b, 32, 1e-5f, true); });
    std::printf("| group_norm+silu %lld² x %lld | %.3f | %.1f GB/s of reading twice and writing | |\n",
                static_cast<long long>(size), static_cast<long long>(channels), seconds * 1e3,
                3e-9 * static_cast<double>(x.bytes()) / seconds);
  }

 private:
  Weight weight(DType scheme, Shape shape) {
    Layout layout = pick_layout((*t_).caps, scheme, shape);
    int64_t in = shape.numel() / shape[0], tile = std::min<int64_t>(64, shape[0]);
    auto rows = random_rows(scheme, tile, in, 1);
    Weight w{shape, scheme, layout, t_.empty(DType::kU8, {packed_bytes(scheme, layout, shape)})};
    for (int64_t row = 0; row < shape[0]; row += tile) {
      pack_rows(scheme, layout, shape, row, std::min(tile, shape[0] - row), rows.data(), w.data.raw());
    }
    return w;
  }

  template <class Body>
  double time(Body body) {
    ThreadPool::Hold hold(t_.pool());
    return best_seconds(body);
  }

  template <class Body>
  void report(const std::string& what, double flops, Body body) {
    double seconds = time(body);
    std::printf("| %s | %.3f | %.0f | %.0f%% |\n", what.c_str(), seconds * 1e3, flops / seconds * 1e-9,
                peak_ > 0 ? 100 * flops / seconds / peak_ : 0);
    std::fflush(stdout);
  }

  TestCtx& t_;
  double peak_;
};

void run_linear(Bench& b) {
  for (int64_t rows : {64, 256, 1024, 4096}) b.linear(rows, 1280, 1280);
  b.linear(1024, 1280, 10240), b.linear(1024, 5120, 1280), b.linear(4096, 640, 640), b.linear(4096, 320, 320);
  b.linear(4096, 320, 2560), b.linear(4096, 1280, 320), b.linear(16384, 320, 320), b.linear(256, 11520, 1280);
  b.linear(77, 768, 3072), b.linear(16384, 32, 32), b.linear(16384, 64, 64), b.linear(16384, 128, 128);
  b.linear(77, 2048, 1280, DType::kF16), b.linear(1024, 1280, 10240, DType::kF16);
  b.linear(4096, 640, 640, DType::kF16);
}

void run_conv(Bench& b) {
  b.conv(64, 320, 320), b.conv(32, 640, 640), b.conv(16, 1280, 1280), b.conv(8, 1280, 1280);
  b.conv(32, 1920, 640), b.conv(16, 2560, 1280), b.conv(64, 640, 320), b.conv(64, 320, 320, 3, 2);
  b.conv(64, 640, 320, 1), b.conv(64, 4, 320), b.conv(64, 320, 4);
  b.conv(64, 512, 512), b.conv(128, 512, 512), b.conv(256, 256, 256), b.conv(512, 128, 128), b.conv(512, 128, 3);
  b.conv(256, 64, 64), b.conv(128, 32, 32);
}

void run_attention(Bench& b) {
  b.attention(4096, 4096, 8, 40), b.attention(1024, 1024, 8, 80), b.attention(256, 256, 8, 160);
  b.attention(4096, 77, 8, 40), b.attention(4096, 4096, 10, 64), b.attention(1024, 1024, 20, 64);
  b.attention(4096, 4096, 1, 512), b.attention(77, 77, 12, 64);
}

void run_norm(Bench& b) { b.norm(64, 320), b.norm(32, 640), b.norm(512, 128), b.norm(256, 256); }

int run(int argc, char** argv) {
  int threads = argc > 1 ? std::atoi(argv[1]) : 2;
  one_thread = threads == 1;
  TestCtx t(cpu_caps(1).isa, threads, DeviceKind::kCpu, 768 * MiB);
  double peak = float_peak(t);
  std::printf("%s, %d threads; float32 multiply-adds %.0f GFLOP/s\n\n", std::string(isa_name((*t).caps.isa)).c_str(),
              threads, peak * 1e-9);
  std::printf("| op | ms | GFLOP/s | of multiply-adds |\n|---|---|---|---|\n");
  Bench bench(t, peak);
  auto asked = [&](std::string_view what) {
    bool any = argc <= 2;
    for (int i = 2; i < argc; ++i) any |= what == argv[i];
    return any;
  };
  if (asked("linear")) run_linear(bench);
  if (asked("conv")) run_conv(bench);
  if (asked("attention")) run_attention(bench);
  if (asked("norm")) run_norm(bench);
  return 0;
}

}  // namespace
}  // namespace hearth

int main(int argc, char** argv) { return hearth::run(argc, argv); }
