#include "runtime/diffuse/sampling/scalar.h"

#include <limits>
#include <numbers>

namespace hearth::diffuse::f32 {
namespace {

/// A power as the vector library makes it: exp(y log x), log and exp carried in two floats each, which double holds.
float vector_pow(float x, float y) {
  if (!(x > 0) || std::isinf(x)) return static_cast<float>(std::pow(static_cast<double>(x), static_cast<double>(y)));
  int e = std::ilogb(x * (1 / 0.75f));
  double m = std::ldexp(static_cast<double>(x), -e), r = (m - 1) / (m + 1), r2 = r * r;
  float z = static_cast<float>(r2);  // log m = 2r + r³ (2/3 + r² t)
  float t = std::fma(0.240320354700088500976562f, z, 0.285112679004669189453125f);
  t = std::fma(t, z, 0.400007992982864379882812f);
  constexpr double kTwoThirds = 0.66666662693023681640625 + 3.69183861259614332084311e-09;
  constexpr double kLn2 = 0.69314718246459960938f + -1.904654323148236017e-09;
  double power = (kLn2 * e + 2 * r + r2 * r * (kTwoThirds + r2 * t)) * y;

  if (power < -104) return 0;
  if (power > 89) return std::numeric_limits<float>::infinity();
  float n = std::nearbyint(static_cast<float>(power) * 1.442695041f);
  double s = power - n * double{0.693145751953125f} - n * double{1.428606765330187045e-6f};
  float u = 0.00136324646882712841033936f, low = static_cast<float>(s);  // (e^s - 1 - s) / s²
  for (float c : {0.00836596917361021041870117f, 0.0416710823774337768554688f, 0.166665524244308471679688f,
                  0.499999850988388061523438f})
    u = std::fma(u, low, c);
  return static_cast<float>(std::ldexp(1 + (s + s * s * u), static_cast<int>(n)));
}

}  // namespace

void pow_each(std::span<float> values, double y) {
  constexpr size_t kGroup = 32;  // two AVX-512 registers
  const size_t whole = values.size() - values.size() % kGroup;
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = i < whole ? vector_pow(values[i], static_cast<float>(y)) : pow(values[i], y);
}

float tan(float x) {
  int64_t quarter = static_cast<int64_t>(std::nearbyint(x * static_cast<float>(2 / std::numbers::pi)));
  bool is_odd = quarter % 2 != 0;
  double t = x - static_cast<double>(quarter) * (std::numbers::pi / 2), s;
  if (is_odd) t = -t;
  s = t * t;
  float u = 0.00446636462584137916564941f, z = static_cast<float>(s);
  for (float c : {-8.3920182078145444393158e-05f, 0.0109639242291450500488281f, 0.0212360303848981857299805f,
                  0.0540687143802642822265625f})
    u = std::fma(u, z, c);
  double p = double{0.133325666189193725585938f} + u * z;
  t *= 1 + (double{0.33333361148834228515625f} + s * p) * s;
  return static_cast<float>(is_odd ? 1 / t : t);
}

float exp(float x) {
  if (std::isnan(x)) return x;
  if (x < -104.0f) return 0;
  if (x > 100.0f) return std::numeric_limits<float>::infinity();
  float n = std::nearbyint(x * 1.442695041f);  // x = n ln 2 + r, ln 2 in two parts
  float r = std::fma(n, -0.693145751953125f, x);
  r = std::fma(n, -1.428606765330187045e-6f, r);
  float p = 0.000198527617612853646278381f;  // (e^r - 1 - r) / r²
  p = std::fma(p, r, 0.00139304355252534151077271f);
  p = std::fma(p, r, 0.00833336077630519866943359f);
  p = std::fma(p, r, 0.0416664853692054748535156f);
  p = std::fma(p, r, 0.166666671633720397949219f);
  p = std::fma(p, r, 0.5f);
  return std::ldexp(1.0f + std::fma(r * r, p, r), static_cast<int>(n));
}

}  // namespace hearth::diffuse::f32
