#include "ops/random/normal_block.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <numbers>

namespace hearth {
namespace {

constexpr float kTwoPi = 2.0f * std::numbers::pi_v<float>;

float sign_flipped(float x, bool is_negative) { return is_negative ? -x : x; }

}  // namespace

float log_polynomial(float x) {
  x = std::max(x, 0x1p-126f);
  uint32_t bits = std::bit_cast<uint32_t>(x);
  float e = static_cast<float>(static_cast<int32_t>(bits >> 23) - 126);
  x = std::bit_cast<float>((bits & 0x007FFFFFu) | 0x3F000000u);  // mantissa in [0.5, 1)
  if (x < 0.707106781f) {
    e -= 1.0f;
    x = (x - 1.0f) + x;
  } else {
    x = x - 1.0f;
  }
  float z = x * x;
  float y = 7.0376836292e-2f;
  for (float c : {-1.1514610310e-1f, 1.1676998740e-1f, -1.2420140846e-1f, 1.4249322787e-1f, -1.6668057665e-1f,
                  2.0000714765e-1f, -2.4999993993e-1f, 3.3333331174e-1f})
    y = std::fma(y, x, c);
  y = std::fma(y * x, z, e * -2.12194440e-4f);
  y = std::fma(-z, 0.5f, y);
  return std::fma(e, 0.693359375f, x + y);
}

void sin_cos_polynomial(float x, float& sin, float& cos) {
  bool is_negative = std::signbit(x);
  x = std::fabs(x);
  int32_t octant = static_cast<int32_t>(x * 1.27323954473516f);
  octant = (octant + 1) & ~1;  // the nearer multiple of a quarter turn
  float y = static_cast<float>(octant);
  x = std::fma(y, -0.78515625f, x);
  x = std::fma(y, -2.4187564849853515625e-4f, x);
  x = std::fma(y, -3.77489497744594108e-8f, x);
  float z = x * x;
  float c = 2.443315711809948e-5f;
  c = std::fma(c, z, -1.388731625493765e-3f);
  c = std::fma(c, z, 4.166664568298827e-2f);
  c = std::fma(c * z, z, -(z * 0.5f)) + 1.0f;
  float s = -1.9515295891e-4f;
  s = std::fma(s, z, 8.3321608736e-3f);
  s = std::fma(s, z, -1.6666654611e-1f);
  s = std::fma(s * z, x, x);
  bool is_swapped = octant & 2;
  sin = sign_flipped(is_swapped ? c : s, is_negative != ((octant & 4) != 0));
  cos = sign_flipped(is_swapped ? s : c, ((octant - 2) & 4) == 0);
}

void normal_block_polynomial(std::span<float> values) {
  for (size_t block = 0; block < values.size(); block += kNormalBlock) {
    for (size_t j = block; j < block + 8; ++j) {
      float radius = std::sqrt(-2.0f * log_polynomial(1.0f - values[j]));
      float sin = 0, cos = 0;
      sin_cos_polynomial(kTwoPi * values[j + 8], sin, cos);
      values[j] = radius * cos;
      values[j + 8] = radius * sin;
    }
  }
}

void normal_block_libm(std::span<float> values) {
  for (size_t block = 0; block < values.size(); block += kNormalBlock) {
    for (size_t j = block; j < block + 8; ++j) {
      float radius = std::sqrt(-2.0f * std::log(1.0f - values[j]));
      float theta = static_cast<float>(2.0 * std::numbers::pi * values[j + 8]);
      values[j] = radius * std::cos(theta);
      values[j + 8] = radius * std::sin(theta);
    }
  }
}

NormalBlockFn normal_block(NormalFlavour flavour) {
  if (flavour == NormalFlavour::kLibm) return normal_block_libm;
  NormalBlockFn fast = normal_block_avx2();
  return fast ? fast : normal_block_polynomial;
}

}  // namespace hearth
