// exp, tanh, erf, sin and cos of every vector level: error bounds against float64, equal bits in every lane and level.
#include <gtest/gtest.h>

#include <cmath>

#include "ops/simd/level.h"
#include "ops/test_ctx.h"

namespace hearth {
namespace {

double ulps(float got, double wanted) {
  float near = static_cast<float>(wanted);
  if (got == near || (std::isnan(got) && std::isnan(near))) return 0;
  double spacing = std::nextafter(std::abs(near), INFINITY) - static_cast<double>(std::abs(near));
  return std::abs(got - wanted) / spacing;
}

std::vector<float> sweep(float lo, float hi, int n) {
  std::vector<float> x(n);
  for (int i = 0; i < n; ++i) x[i] = lo + (hi - lo) * (static_cast<float>(i) / static_cast<float>(n - 1));
  return x;
}

double worst_ulps(const std::vector<float>& x, const std::vector<float>& y, double (*f)(double)) {
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i) worst = std::max(worst, ulps(y[i], f(static_cast<double>(x[i]))));
  return worst;
}

TEST(VectorMath, ExpWithinTwoUlpsOverItsWholeRange) {
  for (CpuIsa isa : cpu_levels()) {
    for (auto [lo, hi] : {std::pair{-87.0f, 88.7f}, {-1.0f, 1.0f}, {-1e-3f, 1e-3f}}) {
      std::vector<float> x = sweep(lo, hi, 300007), y(x.size());
      cpu::level(isa).math->exp(x.data(), static_cast<int64_t>(x.size()), y.data());
      EXPECT_LT(worst_ulps(x, y, std::exp), 2.0) << isa_name(isa) << " on " << lo << ".." << hi;
    }
  }
}

TEST(VectorMath, ExpAtTheEndsOfTheRange) {
  for (CpuIsa isa : cpu_levels()) {
    std::vector<float> x = {0, -0.0f, INFINITY, -INFINITY, NAN, 200, -200, -95}, y(x.size());
    cpu::level(isa).math->exp(x.data(), 8, y.data());
    EXPECT_EQ(y[0], 1) << isa_name(isa);
    EXPECT_EQ(y[1], 1);
    EXPECT_EQ(y[2], INFINITY);
    EXPECT_EQ(y[3], 0);
    EXPECT_TRUE(std::isnan(y[4]));
    EXPECT_EQ(y[5], INFINITY);
    EXPECT_EQ(y[6], 0);
    EXPECT_NEAR(y[7] / std::exp(-95.0), 1, 1e-3) << "subnormal results keep their magnitude";
  }
}

TEST(VectorMath, TanhWithinTwoUlps) {
  for (CpuIsa isa : cpu_levels()) {
    for (auto [lo, hi] : {std::pair{-12.0f, 12.0f}, {-0.7f, 0.7f}, {-1e-4f, 1e-4f}, {-1000.0f, 1000.0f}}) {
      std::vector<float> x = sweep(lo, hi, 300007), y(x.size());
      cpu::level(isa).math->tanh(x.data(), static_cast<int64_t>(x.size()), y.data());
      EXPECT_LT(worst_ulps(x, y, std::tanh), 2.0) << isa_name(isa) << " on " << lo << ".." << hi;
    }
  }
}

TEST(VectorMath, ErfWithinTwoUlps) {
  for (CpuIsa isa : cpu_levels()) {
    for (auto [lo, hi] : {std::pair{-5.0f, 5.0f}, {-0.9f, 0.9f}, {-1e-4f, 1e-4f}, {-100.0f, 100.0f}}) {
      std::vector<float> x = sweep(lo, hi, 300007), y(x.size());
      cpu::level(isa).math->erf(x.data(), static_cast<int64_t>(x.size()), y.data());
      EXPECT_LT(worst_ulps(x, y, std::erf), 2.0) << isa_name(isa) << " on " << lo << ".." << hi;
    }
  }
}

TEST(VectorMath, SinCosWithinTwoUlpsUpToAMillionRadians) {
  for (CpuIsa isa : cpu_levels()) {
    for (float reach : {1.0f, 10.0f, 4096.0f, 131072.0f, 1048576.0f}) {
      std::vector<float> x = sweep(-reach, reach, 300007), s(x.size()), c(x.size());
      cpu::level(isa).math->sin_cos(x.data(), static_cast<int64_t>(x.size()), s.data(), c.data());
      EXPECT_LT(worst_ulps(x, s, std::sin), 2.0) << isa_name(isa) << " sin to " << reach;
      EXPECT_LT(worst_ulps(x, c, std::cos), 2.0) << isa_name(isa) << " cos to " << reach;
    }
  }
}

TEST(VectorMath, BitsDependOnNeitherLaneNorLevel) {
  std::vector<float> x = sweep(-20, 20, 37);
  std::vector<float> first;
  for (CpuIsa isa : cpu_levels()) {
    if (isa == CpuIsa::kPlain) continue;
    std::vector<float> whole(x.size()), alone(x.size()), tanh(x.size());
    cpu::level(isa).math->exp(x.data(), 37, whole.data());
    for (int i = 0; i < 37; ++i) cpu::level(isa).math->exp(&x[i], 1, &alone[i]);
    EXPECT_EQ(std::memcmp(whole.data(), alone.data(), 4 * 37), 0) << isa_name(isa);
    cpu::level(isa).math->tanh(x.data(), 37, tanh.data());
    whole.insert(whole.end(), tanh.begin(), tanh.end());
    if (first.empty()) first = whole;
    EXPECT_EQ(std::memcmp(whole.data(), first.data(), 4 * whole.size()), 0) << isa_name(isa);
  }
}

}  // namespace
}  // namespace hearth
