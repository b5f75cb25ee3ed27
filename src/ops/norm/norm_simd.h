// Vector kernels of norm. Include inside a target region, after simd/math.h and pointwise_simd.h.
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
void layer_norm_row(const float* x, const float* w, const float* b, int64_t dim, float eps, float* y) {
  using F = typename V::F;
  F sums[4] = {V::set1(0), V::set1(0), V::set1(0), V::set1(0)}, squares[4] = {sums[0], sums[0], sums[0], sums[0]};
  for (int64_t i = 0; i < dim; i += 16) sums[i / 16 % 4] = V::add(sums[i / 16 % 4], V::load_n(x + i, dim - i));
  F mean = V::set1(total<V>(sums) / static_cast<float>(dim));
  for (int64_t i = 0; i < dim; i += 16) {
    F d = V::select(V::range(0, dim - i), V::sub(V::load_n(x + i, dim - i), mean), V::set1(0));
    squares[i / 16 % 4] = V::fma(d, d, squares[i / 16 % 4]);
  }
  F factor = V::set1(1.0f / std::sqrt(total<V>(squares) / static_cast<float>(dim) + eps));
  for (int64_t i = 0; i < dim; i += 16) {
    F v = V::mul(V::sub(V::load_n(x + i, dim - i), mean), factor);
    if (w) v = V::mul(v, V::load_n(w + i, dim - i));
    if (b) v = V::add(v, V::load_n(b + i, dim - i));
    V::store_n(y + i, v, dim - i);
  }
}

// Four pixels at a time: a channel's sums are loaded and stored once for all of them, in the order of single pixels.
template <class V>
void channel_sums(const float* x, int64_t pixels, int64_t channels, const float* shift, float* sums) {
  using F = typename V::F;
  float* squares = sums + channels;
  for (int64_t i = 0; i < 2 * channels; ++i) sums[i] = 0;
  for (int64_t p = 0; p < pixels; p += 4) {
    int64_t n = pixels - p < 4 ? pixels - p : 4;
    const float* from = x + p * channels;
    for (int64_t i = 0; i < channels; i += 16) {
      int64_t rest = channels - i;
      F at = V::load_n(shift + i, rest), sum = V::load_n(sums + i, rest), square = V::load_n(squares + i, rest);
      for (int64_t j = 0; j < n; ++j) {
        F d = V::sub(V::load_n(from + j * channels + i, rest), at);
        sum = V::add(sum, d);
        square = V::fma(d, d, square);
      }
      V::store_n(sums + i, sum, rest);
      V::store_n(squares + i, square, rest);
    }
  }
}

template <class V, bool kSilu>
void scale_pixels(const float* x, int64_t pixels, int64_t channels, const float* factor, const float* offset,
                  float* y) {
  for (int64_t p = 0; p < pixels; ++p, x += channels, y += channels) {
    for (int64_t i = 0; i < channels; i += 16) {
      int64_t rest = channels - i;
      typename V::F v = V::fma(V::load_n(x + i, rest), V::load_n(factor + i, rest), V::load_n(offset + i, rest));
      if constexpr (kSilu) v = SiluOp<V>::of(v);
      V::store_n(y + i, v, rest);
    }
  }
}

template <class V>
void scale_channels(const float* x, int64_t pixels, int64_t channels, const float* factor, const float* offset,
                    bool silu, float* y) {
  if (silu) return scale_pixels<V, true>(x, pixels, channels, factor, offset, y);
  scale_pixels<V, false>(x, pixels, channels, factor, offset, y);
}

template <class V>
constexpr NormKernels norm_kernels() {
  return {rms_norm_row<V>, add_rms_norm_row<V>, layer_norm_row<V>, channel_sums<V>, scale_channels<V>};
}

}  // namespace hearth::cpu
