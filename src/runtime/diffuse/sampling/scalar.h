// Functions of one float32 number as torch computes them on a CPU, the same bits on every machine. exp(), tan() and
// pow_each() follow the vector library's polynomials to the last bit: noise levels come from them, and a Brownian tree
// rounds times to 1e-6, where one bit decides which numbers are drawn. The others are rounded once from double, at most
// the last bit away. Arithmetic between them stays in float32.
#pragma once
#include <cmath>
#include <cstdint>
#include <span>

namespace hearth::diffuse::f32 {

float exp(float x);
float tan(float x);
inline float log(float x) { return static_cast<float>(std::log(static_cast<double>(x))); }
inline float expm1(float x) { return static_cast<float>(std::expm1(static_cast<double>(x))); }
inline float pow(float x, double y) { return static_cast<float>(std::pow(static_cast<double>(x), y)); }
/// Powers of a list of numbers of at least 0. Whole vectors go another way than what is left over.
void pow_each(std::span<float> values, double y);
inline float sin(float x) { return static_cast<float>(std::sin(static_cast<double>(x))); }
inline float cos(float x) { return static_cast<float>(std::cos(static_cast<double>(x))); }
inline float atan(float x) { return static_cast<float>(std::atan(static_cast<double>(x))); }
inline float sqrt(float x) { return std::sqrt(x); }
inline float square(float x) { return x * x; }
/// Between a and b, from the nearer end.
inline float lerp(float a, float b, float w) {
  return std::fabs(w) < 0.5f ? std::fma(w, b - a, a) : std::fma(w - 1.0f, b - a, b);
}

/// Number i of n evenly spaced from start to end, counted from the nearer end.
inline float linspace(float start, float end, int64_t n, int64_t i) {
  if (n == 1) return start;
  float step = (end - start) / static_cast<float>(n - 1);
  return i < n / 2 ? std::fma(step, static_cast<float>(i), start) : std::fma(-step, static_cast<float>(n - i - 1), end);
}

}  // namespace hearth::diffuse::f32
