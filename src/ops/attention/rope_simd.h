// Vector kernels of rope and kv_append. Include inside a target region, after simd/math.h.
#pragma once

namespace hearth::cpu {

template <class V>
void rope_angles(float position, const float* frequency, int rotary_dim, bool interleaved, float* cos, float* sin) {
  int half = rotary_dim / 2;
  for (int i = 0; i < half; i += 16) {
    int n = half - i < 16 ? half - i : 16;
    typename V::F s, c;
    sin_cos_of<V>(V::mul(V::set1(position), V::load_n(frequency + i, n)), s, c);
    typename V::F minus = V::sub(V::set1(-0.0f), s);
    if (!interleaved) {
      V::store_n(cos + i, c, n), V::store_n(cos + half + i, c, n);
      V::store_n(sin + i, minus, n), V::store_n(sin + half + i, s, n);
      continue;
    }
    float sines[16], cosines[16];
    V::store(sines, s), V::store(cosines, c);
    for (int j = 0; j < n; ++j) {
      int at = 2 * (i + j);
      cos[at] = cos[at + 1] = cosines[j];
      sin[at] = -sines[j], sin[at + 1] = sines[j];
    }
  }
}

/// y = x cos + partner sin over n dims; `partner` may be any distance from x.
template <class V>
HEARTH_INLINE void rotate_run(const float* x, const float* partner, const float* cos, const float* sin, int n,
                              float* y) {
  int i = 0;
  for (; i + 16 <= n; i += 16) {
    V::store(y + i, V::add(V::mul(V::load(x + i), V::load(cos + i)), V::mul(V::load(partner + i), V::load(sin + i))));
  }
  if (int rest = n - i; rest > 0) {
    typename V::F turned = V::add(V::mul(V::load_n(x + i, rest), V::load_n(cos + i, rest)),
                                  V::mul(V::load_n(partner + i, rest), V::load_n(sin + i, rest)));
    V::store_n(y + i, turned, rest);
  }
}

template <class V>
void rope_rotate(const float* x, const float* cos, const float* sin, int rotary_dim, bool interleaved, float* y) {
  int half = rotary_dim / 2;
  if (!interleaved) {
    rotate_run<V>(x, x + half, cos, sin, half, y);
    rotate_run<V>(x + half, x, cos + half, sin + half, half, y + half);
    return;
  }
  for (int i = 0; i < rotary_dim; i += 16) {
    int n = rotary_dim - i < 16 ? rotary_dim - i : 16;
    typename V::F v = V::load_n(x + i, n);
    typename V::F turned = V::add(V::mul(v, V::load_n(cos + i, n)), V::mul(V::swap_pairs(v), V::load_n(sin + i, n)));
    V::store_n(y + i, turned, n);
  }
}

template <class V>
void round_run(const float* from, int64_t n, DType dtype, void* to) {
  int64_t i = 0;
  if (dtype == DType::kF32) {
    std::memcpy(to, from, 4 * static_cast<size_t>(n));
  } else if (dtype == DType::kF16) {
    Half* out = static_cast<Half*>(to);
    for (; i + 16 <= n; i += 16) V::store_half(out + i, V::load(from + i));
    for (; i < n; ++i) out[i].bits = f32_to_f16(from[i]);
  } else {
    BFloat16* out = static_cast<BFloat16*>(to);
    for (; i + 16 <= n; i += 16) V::store_bf16(out + i, V::load(from + i));
    for (; i < n; ++i) out[i].bits = f32_to_bf16(from[i]);
  }
}

}  // namespace hearth::cpu
