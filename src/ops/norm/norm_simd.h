// Vector kernels of norm. Include inside a target region, after simd/math.h.
#pragma once

namespace hearth::cpu {

// Squares go to four accumulators by vector index, added as (0+1)+(2+3): an order fixed by dim alone.
template <class V>
HEARTH_INLINE float total(const typename V::F (&part)[4]) {
  return V::sum(V::add(V::add(part[0], part[1]), V::add(part[2], part[3])));
}

template <class V>
HEARTH_INLINE void scale_row(const float* x, const float* w, int64_t dim, float mean_square, float eps, float* y) {
  typename V::F factor = V::set1(1.0f / std::sqrt(mean_square + eps));
  int64_t i = 0;
  for (; i + 16 <= dim; i += 16) V::store(y + i, V::mul(V::mul(V::load(x + i), factor), V::load(w + i)));
  int64_t rest = dim - i;
  if (rest > 0) V::store_n(y + i, V::mul(V::mul(V::load_n(x + i, rest), factor), V::load_n(w + i, rest)), rest);
}

template <class V>
void rms_norm_row(const float* x, const float* w, int64_t dim, float eps, float* y) {
  using F = typename V::F;
  F squares[4] = {V::set1(0), V::set1(0), V::set1(0), V::set1(0)};
  int64_t i = 0;
  for (; i + 64 <= dim; i += 64) {
    HEARTH_UNROLL
    for (int j = 0; j < 4; ++j) {
      F v = V::load(x + i + 16 * j);
      squares[j] = V::fma(v, v, squares[j]);
    }
  }
  for (int j = 0; i < dim; ++j, i += 16) {
    F v = V::load_n(x + i, dim - i);
    squares[j] = V::fma(v, v, squares[j]);
  }
  scale_row<V>(x, w, dim, total<V>(squares) / static_cast<float>(dim), eps, y);
}

template <class V>
void add_rms_norm_row(const float* a, const float* b, const float* w, int64_t dim, float eps, float* sum, float* y) {
  using F = typename V::F;
  F squares[4] = {V::set1(0), V::set1(0), V::set1(0), V::set1(0)};
  int64_t i = 0;
  for (; i + 64 <= dim; i += 64) {
    HEARTH_UNROLL
    for (int j = 0; j < 4; ++j) {
      F v = V::add(V::load(a + i + 16 * j), V::load(b + i + 16 * j));
      V::store(sum + i + 16 * j, v);
      squares[j] = V::fma(v, v, squares[j]);
    }
  }
  for (int j = 0; i < dim; ++j, i += 16) {
    F v = V::add(V::load_n(a + i, dim - i), V::load_n(b + i, dim - i));
    V::store_n(sum + i, v, dim - i);
    squares[j] = V::fma(v, v, squares[j]);
  }
  scale_row<V>(sum, w, dim, total<V>(squares) / static_cast<float>(dim), eps, y);
}

template <class V>
constexpr NormKernels norm_kernels() {
  return {rms_norm_row<V>, add_rms_norm_row<V>};
}

}  // namespace hearth::cpu
