// Every op and scheme on CUDA: against the CPU on random inputs, one row at a time against all at once, captured and
// replayed against eager, in an arena full of NaNs.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <memory>

#include "ops/attention/attention.h"
#include "ops/linear/linear.h"
#include "ops/linear/random_weight.h"
#include "ops/norm/norm.h"
#include "ops/pointwise/pointwise_kernels.h"
#include "ops/testing/cuda_cases.h"
#include "ops/testing/cuda_ctx.h"

namespace hearth {
namespace {

using Make = std::vector<CudaCase> (*)(TestCtx&);

struct Family {
  const char* name;
  Make make;
};

class CudaOps : public testing::TestWithParam<Family> {
 protected:
  void SetUp() override {
    if (cuda::device_count() == 0) GTEST_SKIP() << cuda::why_none();
    cuda::initialise(0);
    gpu_ = std::make_unique<CudaCtx>();
    cases_ = GetParam().make(host_);
  }
  std::vector<Tensor> on_gpu(const CudaCase& test) {
    std::vector<Tensor> in;
    for (const Tensor& tensor : test.in) in.push_back(gpu_->copy_in(tensor));
    gpu_->poison();
    return in;
  }
  Tensor eager(const CudaCase& test) { return gpu_->copy_out(test.step(**gpu_, on_gpu(test))); }

  TestCtx host_{CpuIsa::kPlain, 2, DeviceKind::kCpu, 1 * GiB};
  std::unique_ptr<CudaCtx> gpu_;
  std::vector<CudaCase> cases_;
};

// Largest error relative to the case's magnitude; NaN counts as infinite.
double error_of_case(const CudaCase& test, const Tensor& got, const Tensor& cpu) {
  double worst = 0;
  for (int64_t i = 0; i < got.numel(); ++i) {
    auto at = static_cast<size_t>(i);
    double wanted = test.wanted.empty() ? cpu.data<float>()[i] : test.wanted[at];
    double magnitude = test.magnitude.empty() ? 1 + std::abs(wanted) : test.magnitude[at];
    double error = std::abs(got.data<float>()[i] - wanted) / magnitude;
    worst = error <= worst ? worst : std::isnan(error) ? INFINITY : error;
  }
  return worst;
}

TEST_P(CudaOps, AgreeWithTheCpu) {
  double worst = 0;
  for (const CudaCase& test : cases_) {
    Tensor got = eager(test), cpu = test.wanted.empty() ? test.step(*host_, test.in) : Tensor();
    if (cpu) {
      ASSERT_EQ(got.shape(), cpu.shape()) << test.what;
    }
    if (test.bound == 0) {
      EXPECT_TRUE(same_bits(got, cpu)) << test.what;
      continue;
    }
    double error = error_of_case(test, got, cpu);
    EXPECT_LE(error, test.bound) << test.what;
    worst = std::max(worst, error / test.bound);
  }
  std::printf("  %s: %zu cases, worst error %.2f of its bound\n", GetParam().name, cases_.size(), worst);
}

TEST_P(CudaOps, ARowsBitsDependOnThatRowAlone) {
  for (const CudaCase& test : cases_) {
    if (test.of_rows.empty()) continue;
    std::vector<Tensor> in = on_gpu(test);
    Tensor whole = gpu_->copy_out(test.step(**gpu_, in));
    int64_t rows = whole.dim(0);
    for (int64_t chunk : {1, 3}) {
      for (int64_t row = 0; row + chunk <= rows; row += chunk) {
        std::vector<Tensor> part = in;
        for (size_t i : test.of_rows) part[i] = in[i].narrow(0, row, chunk);
        Tensor alone = gpu_->copy_out(test.step(**gpu_, part));
        ASSERT_TRUE(same_bits(alone, whole.narrow(0, row, chunk))) << test.what << ": row " << row << " by " << chunk;
      }
    }
  }
}

// A capture in which anything allocated or waited would fail, and kernels that load late would take memory.
TEST_P(CudaOps, ReplaysGiveTheBytesOfTheEagerRun) {
  for (const CudaCase& test : cases_) {
    std::vector<Tensor> in = on_gpu(test);
    int64_t free_bytes = cuda::memory_info(0).free_bytes;
    Tensor wanted = gpu_->copy_out(test.step(**gpu_, in));
    EXPECT_EQ(cuda::memory_info(0).free_bytes, free_bytes) << test.what << ": the eager run took device memory";
    gpu_->poison();
    cuda::Graph::begin_capture(gpu_->stream());
    Tensor y = test.step(**gpu_, in);
    cuda::Graph graph = cuda::Graph::end_capture(gpu_->stream());
    for (int replay = 0; replay < 2; ++replay) {
      gpu_->poison();
      graph.launch(gpu_->stream());
      ASSERT_TRUE(same_bits(gpu_->copy_out(y), wanted)) << test.what;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, CudaOps,
                         testing::Values(Family{"pointwise", pointwise_cases}, Family{"norm", norm_cases},
                                         Family{"index", index_cases}, Family{"rope", rope_cases},
                                         Family{"attention", attention_cases}, Family{"linear", linear_cases}),
                         [](const auto& family) { return family.param.name; });

class CudaAttention : public testing::Test {
 protected:
  void SetUp() override {
    if (cuda::device_count() == 0) GTEST_SKIP() << cuda::why_none();
    cuda::initialise(0);
  }
};

// Where a sequence's pages lie and how wide the table is must not show.
TEST_F(CudaAttention, PagesAndBucketsDoNotShow) {
  constexpr int kLength = 1100, kTokens = 32, kUsed = (kLength + kTokens - 1) / kTokens;
  TestCtx host;
  CudaCtx gpu;
  Tensor k = host.random({kUsed, 2, kTokens, 64}, 1), v = host.random({kUsed, 2, kTokens, 64}, 2);
  Tensor q = gpu.copy_in(host.random({3, 6, 64}, 3)), pos = gpu.copy_in(host.ints({kLength - 1, 400, 255}));
  Tensor seq = gpu.copy_in(host.ints({0, 0, 0}));
  auto attend = [&](int width, int shift, int pages) {
    Tensor moved_k = host.random({pages, 2, kTokens, 64}, 4), moved_v = host.random({pages, 2, kTokens, 64}, 5);
    std::vector<int32_t> table(static_cast<size_t>(width), -1);
    for (int p = 0; p < kUsed; ++p) {
      int to = (p * 5 + shift) % pages;  // 5 and pages have no common factor
      table[static_cast<size_t>(p)] = to;
      auto bytes = static_cast<size_t>(k.narrow(0, 0, 1).bytes());
      std::memcpy(moved_k.narrow(0, to, 1).raw(), k.narrow(0, p, 1).raw(), bytes);
      std::memcpy(moved_v.narrow(0, to, 1).raw(), v.narrow(0, p, 1).raw(), bytes);
    }
    KvPages placed{gpu.copy_in(moved_k), gpu.copy_in(moved_v)};
    return gpu.copy_out(attention(*gpu, q, placed, {pos, seq, gpu.copy_in(host.ints(table, {1, width}))}, {0.125f}));
  };
  Tensor tight = attend(kUsed, 0, 36);
  EXPECT_TRUE(same_bits(attend(kUsed + 90, 3, 61), tight));
}

TEST_F(CudaAttention, RefusesHeadsBeyond256) {
  TestCtx host;
  CudaCtx gpu;
  KvPages pages{gpu.copy_in(host.random({1, 1, 8, 264}, 1)), gpu.copy_in(host.random({1, 1, 8, 264}, 2))};
  Tensor q = gpu.copy_in(host.random({1, 1, 264}, 3)), zero = gpu.copy_in(host.ints({0}));
  Tensor table = gpu.copy_in(host.ints({0}, {1, 1}));
  EXPECT_NE(error_of([&] {
              attention(*gpu, q, pages, {zero, zero, table}, {});
            }).find("head_dim 264, at most 256"),
            std::string::npos);
}

// A kernel that reads what is not there: the wait throws, and the device is lost to this process.
int lose_device() {
  CudaCtx gpu;
  Tensor y = (*gpu).make(DType::kF32, {256});
  View bad = y.view();
  bad.data = reinterpret_cast<std::byte*>(uintptr_t{1} << 46);
  cuda::scale(gpu.stream(), bad, 2, y.view());
  std::string message = error_of([&] { gpu.wait(); });
  bool told = message.find("cudaStreamSynchronize on cuda:0: an illegal memory access") == 0 && cuda::is_lost(0);
  std::_Exit(told ? 0 : 1);  // nothing on a lost device can be released
}

TEST_F(CudaAttention, AnIllegalAccessLosesTheDevice) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(lose_device(), testing::ExitedWithCode(0), "");
  EXPECT_FALSE(cuda::is_lost(0)) << "only the other process lost it";
}

// Microseconds of one step: a graph of it replayed, so that launches cost little.
template <class Step>
double microseconds(CudaCtx& gpu, Step step) {
  constexpr int kInGraph = 20, kReplays = 10;
  step();
  cuda::Graph::begin_capture(gpu.stream());
  for (int i = 0; i < kInGraph; ++i) step();
  cuda::Graph graph = cuda::Graph::end_capture(gpu.stream());
  graph.launch(gpu.stream());
  gpu.wait();
  auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kReplays; ++i) graph.launch(gpu.stream());
  gpu.wait();
  std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
  return took.count() / (kInGraph * kReplays);
}

// Not a test: `ops_test --gtest_also_run_disabled_tests --gtest_filter=*Timing` prints a table.
TEST_F(CudaAttention, DISABLED_Timing) {
  TestCtx host;
  CudaCtx gpu(1 * GiB);
  constexpr int64_t kOut = 4096, kIn = 4096, kCopies = 8;  // with the copies a weight is beyond the second cache
  std::printf("%-28s %10s %10s %10s\n", "linear: out, rows", "us", "GB/s of w", "TFLOP/s");
  for (DType type : {DType::kF16, DType::kQ8_0, DType::kQ6_K, DType::kQ4_K, DType::kIQ4_XS, DType::kIQ2_XXS}) {
    auto file = random_rows(type, kOut, kIn, 1);
    auto size = static_cast<int64_t>(file.size());
    Tensor packed = host.empty(DType::kU8, {kCopies * size});
    for (int64_t i = 0; i < kCopies; ++i) std::memcpy(packed.raw() + i * size, file.data(), file.size());
    Tensor data = gpu.copy_in(packed);
    for (int64_t rows : {1, 4, 8, 32, 512}) {
      int64_t out = rows == 512 ? kOut : kCopies * kOut;
      Weight w{{out, kIn}, type, Layout::kFile, data.narrow(0, 0, out / kOut * size)};
      Tensor x = gpu.copy_in(host.random({rows, kIn}, 2));
      double us = microseconds(gpu, [&] { linear(*gpu, x, w, {}); });
      double flops = 2.0 * static_cast<double>(out * kIn * rows);
      std::printf("%-12s %7ld %7ld %10.1f %10.1f %10.2f\n", std::string(name(type)).c_str(), static_cast<long>(out),
                  static_cast<long>(rows), us, static_cast<double>(w.bytes()) / us / 1e3, flops / us / 1e6);
    }
  }
  Tensor wide = gpu.copy_in(host.random({512, kIn}, 3)), factors = gpu.copy_in(host.random({kIn}, 4));
  std::printf("rms_norm [512, 4096] %.1f us\n", microseconds(gpu, [&] { rms_norm(*gpu, wide, factors, 1e-5f); }));
  constexpr int kPages = 128, kTokens = 32;
  Tensor cells = gpu.copy_in(host.random({kPages, 8, kTokens, 64}, 5)), table;
  std::vector<int32_t> order(kPages);
  for (int i = 0; i < kPages; ++i) order[static_cast<size_t>(i)] = i;
  table = gpu.copy_in(host.ints(order, {1, kPages}));
  Tensor halves = cells.bitcast(DType::kF16, {kPages, 8, kTokens, 128});
  KvPages pages{halves, halves};
  for (int64_t rows : {1, 8, 512}) {
    Tensor q = gpu.copy_in(host.random({rows, 32, 128}, 6));
    Tensor seq = gpu.copy_in(host.ints(std::vector<int32_t>(static_cast<size_t>(rows), 0)));
    for (int32_t length : {256, 4096}) {
      Tensor pos = gpu.copy_in(host.ints(std::vector<int32_t>(static_cast<size_t>(rows), length - 1)));
      double us = microseconds(gpu, [&] { attention(*gpu, q, pages, {pos, seq, table}, {0.088f}); });
      std::printf("attention 32/8 heads of 128, %ld rows of %d: %.1f us\n", static_cast<long>(rows), length, us);
    }
  }
}

}  // namespace
}  // namespace hearth
