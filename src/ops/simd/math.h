// exp, tanh, erf, sin and cos of sixteen lanes. Include inside a target region. Every lane runs the same operations, so
// a value's bits depend on neither its lane nor its place in a tensor; tails use the same code on masked loads.
// Errors against float64, measured over the whole range by simd/math_test.cpp: below 2 ulp; sin and cos for |x| up to
// 2^20. Coefficients: minimax fits of the remainders named beside them.
#pragma once

namespace hearth::cpu {

template <class V>
HEARTH_INLINE typename V::F exp_of(typename V::F x) {
  using F = typename V::F;
  x = V::max(V::set1(-105.0f), V::min(V::set1(89.0f), x));  // beyond: 0 and infinity; NaN stays
  F n = V::round(V::mul(x, V::set1(1.44269504f)));
  F r = V::fma(n, V::set1(-0.693147182f), x);  // x - n ln 2 in two parts
  r = V::fma(n, V::set1(1.90465421e-9f), r);
  F p = V::fma(V::set1(0.00138144521f), r, V::set1(0.00836878177f));  // (e^r - 1 - r) / r²
  p = V::fma(p, r, V::set1(0.0416683927f));
  p = V::fma(p, r, V::set1(0.166665196f));
  p = V::fma(p, r, V::set1(0.49999994f));
  F e = V::add(V::fma(V::mul(r, r), p, r), V::set1(1.0f));
  F half = V::round(V::mul(n, V::set1(0.5f)));  // two factors: 2^n alone may leave the range
  return V::mul(V::mul(e, V::pow2(half)), V::pow2(V::sub(n, half)));
}

template <class V>
HEARTH_INLINE typename V::F tanh_of(typename V::F x) {
  using F = typename V::F;
  F z = V::mul(x, x);
  F p = V::fma(V::set1(-0.00571697019f), z, V::set1(0.0206505135f));  // (tanh x - x) / x³ in x²
  p = V::fma(p, z, V::set1(-0.0537434742f));
  p = V::fma(p, z, V::set1(0.133314908f));
  p = V::fma(p, z, V::set1(-0.333332837f));
  F near_zero = V::fma(V::mul(x, z), p, x);
  F magnitude = V::abs(x);
  F e = exp_of<V>(V::add(magnitude, magnitude));
  F far = V::sub(V::set1(1.0f), V::div(V::set1(2.0f), V::add(e, V::set1(1.0f))));
  return V::select(V::less(magnitude, V::set1(0.625f)), near_zero, V::sign_from(far, x));
}

/// erf by its odd series below 0.875, by 1 - e^p(|x|) above; from 4.1 on it is 1.
template <class V>
HEARTH_INLINE typename V::F erf_of(typename V::F x) {
  using F = typename V::F;
  F z = V::mul(x, x);
  F p = V::fma(V::set1(-0.000622242282f), z, V::set1(0.00503587211f));  // erf(x) / x - 1 in x²
  p = V::fma(p, z, V::set1(-0.0267939549f));
  p = V::fma(p, z, V::set1(0.112825245f));
  p = V::fma(p, z, V::set1(-0.376125574f));
  p = V::fma(p, z, V::set1(0.128379151f));
  F near_zero = V::fma(x, p, x);
  F t = V::min(V::abs(x), V::set1(4.1f));
  F q = V::fma(V::set1(0.000202527444f), t, V::set1(-0.00310717989f));  // ln(1 - erf(t))
  q = V::fma(q, t, V::set1(0.0224789772f));
  q = V::fma(q, t, V::set1(-0.104448035f));
  q = V::fma(q, t, V::set1(-0.636601686f));
  q = V::fma(q, t, V::set1(-1.1280154f));
  q = V::fma(q, t, V::set1(-0.00011470286f));
  F far = V::sub(V::set1(1.0f), exp_of<V>(q));
  return V::select(V::less(V::abs(x), V::set1(0.875f)), near_zero, V::sign_from(far, x));
}

/// Lanes where the whole number n is odd.
template <class V>
HEARTH_INLINE typename V::M is_odd(typename V::F n) {
  typename V::F half = V::mul(n, V::set1(0.5f));
  return V::less(V::set1(0.25f), V::abs(V::sub(half, V::round(half))));
}

template <class V>
HEARTH_INLINE typename V::F negate_if(typename V::M m, typename V::F x) {
  return V::select(m, V::sub(V::set1(-0.0f), x), x);
}

template <class V>
HEARTH_INLINE void sin_cos_of(typename V::F x, typename V::F& sin, typename V::F& cos) {
  using F = typename V::F;
  F n = V::round(V::mul(x, V::set1(0.636619747f)));  // quarter turns
  F r = V::fma(n, V::set1(-1.57079637f), x);  // x - n pi/2 in three parts; the first is exact
  r = V::fma(n, V::set1(4.37113883e-8f), r);
  r = V::fma(n, V::set1(1.71512489e-15f), r);
  F z = V::mul(r, r);
  F s = V::fma(V::set1(-0.000194797787f), z, V::set1(0.00833189394f));  // (sin r - r) / r³ in r²
  s = V::fma(s, z, V::set1(-0.166666508f));
  s = V::fma(V::mul(r, z), s, r);
  F c = V::fma(V::set1(2.43963514e-5f), z, V::set1(-0.00138869928f));  // (cos r - 1 + r²/2) / r⁴ in r²
  c = V::fma(c, z, V::set1(0.0416666381f));
  c = V::fma(V::mul(z, z), c, V::fma(z, V::set1(-0.5f), V::set1(1.0f)));
  F pair = V::round(V::fma(n, V::set1(0.5f), V::set1(-0.25f)));  // floor(n / 2)
  F next_pair = V::round(V::fma(n, V::set1(0.5f), V::set1(0.25f)));  // floor((n + 1) / 2)
  typename V::M swapped = is_odd<V>(n);
  sin = negate_if<V>(is_odd<V>(pair), V::select(swapped, c, s));
  cos = negate_if<V>(is_odd<V>(next_pair), V::select(swapped, s, c));
}

template <class V>
void exp_run(const float* x, int64_t n, float* y) {
  for (int64_t i = 0; i < n; i += 16) V::store_n(y + i, exp_of<V>(V::load_n(x + i, n - i)), n - i);
}

template <class V>
void tanh_run(const float* x, int64_t n, float* y) {
  for (int64_t i = 0; i < n; i += 16) V::store_n(y + i, tanh_of<V>(V::load_n(x + i, n - i)), n - i);
}

template <class V>
void sin_cos_run(const float* x, int64_t n, float* sin, float* cos) {
  for (int64_t i = 0; i < n; i += 16) {
    typename V::F s, c;
    sin_cos_of<V>(V::load_n(x + i, n - i), s, c);
    V::store_n(sin + i, s, n - i), V::store_n(cos + i, c, n - i);
  }
}

template <class V>
void erf_run(const float* x, int64_t n, float* y) {
  for (int64_t i = 0; i < n; i += 16) V::store_n(y + i, erf_of<V>(V::load_n(x + i, n - i)), n - i);
}

template <class V>
constexpr MathKernels math_kernels() {
  return {exp_run<V>, tanh_run<V>, sin_cos_run<V>, erf_run<V>};
}

}  // namespace hearth::cpu
