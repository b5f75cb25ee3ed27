// Vector kernels of pointwise. Include inside a target region, after simd/math.h.
#pragma once

namespace hearth::cpu {

template <class V>
struct AddOp {
  static HEARTH_INLINE typename V::F of(typename V::F a, typename V::F b) { return V::add(a, b); }
};

template <class V>
struct SwigluOp {
  static HEARTH_INLINE typename V::F of(typename V::F gate, typename V::F up) {
    typename V::F e = exp_of<V>(V::sub(V::set1(-0.0f), gate));
    return V::mul(V::div(gate, V::add(V::set1(1.0f), e)), up);
  }
};

template <class V>
struct GegluOp {
  static HEARTH_INLINE typename V::F of(typename V::F gate, typename V::F up) {
    using F = typename V::F;
    F cube = V::mul(V::mul(gate, gate), gate);
    F inner = V::mul(V::set1(0.797884561f), V::fma(V::set1(0.044715f), cube, gate));  // sqrt(2/pi)
    F gelu = V::mul(V::mul(V::set1(0.5f), gate), V::add(V::set1(1.0f), tanh_of<V>(inner)));
    return V::mul(gelu, up);
  }
};

template <class V>
struct ScaleOp {
  static HEARTH_INLINE typename V::F of(typename V::F x, typename V::F factor) { return V::mul(x, factor); }
};

template <class V>
struct SoftcapOp {
  static HEARTH_INLINE typename V::F of(typename V::F x, typename V::F limit) {
    return V::mul(limit, tanh_of<V>(V::div(x, limit)));
  }
};

template <class V>
struct SiluOp {
  static HEARTH_INLINE typename V::F of(typename V::F x) {
    return V::div(x, V::add(V::set1(1.0f), exp_of<V>(V::sub(V::set1(-0.0f), x))));
  }
};

template <class V>
struct GeluOp {
  static HEARTH_INLINE typename V::F of(typename V::F x) {
    typename V::F erf = erf_of<V>(V::mul(x, V::set1(0.707106769f)));
    return V::mul(V::mul(x, V::set1(0.5f)), V::add(V::set1(1.0f), erf));
  }
};

template <class V>
struct QuickGeluOp {
  static HEARTH_INLINE typename V::F of(typename V::F x) {
    return V::div(x, V::add(V::set1(1.0f), exp_of<V>(V::mul(V::set1(-1.702f), x))));
  }
};

template <class V>
struct ReluOp {
  static HEARTH_INLINE typename V::F of(typename V::F x) { return V::max(V::set1(0.0f), x); }  // NaN stays
};

template <class V>
struct TanhClampOp {
  static HEARTH_INLINE typename V::F of(typename V::F x) {
    return V::mul(V::set1(3.0f), tanh_of<V>(V::div(x, V::set1(3.0f))));
  }
};

template <class V>
struct GegluErfOp {
  static HEARTH_INLINE typename V::F of(typename V::F gate, typename V::F up) {
    return V::mul(GeluOp<V>::of(gate), up);
  }
};

template <class V, class Op>
void two_operands(const float* a, const float* b, int64_t n, float* y) {
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) V::store(y + i, Op::of(V::load(a + i), V::load(b + i)));
  int64_t rest = n - i;
  if (rest > 0) V::store_n(y + i, Op::of(V::load_n(a + i, rest), V::load_n(b + i, rest)), rest);
}

template <class V, class Op>
void one_operand(const float* x, float parameter, int64_t n, float* y) {
  typename V::F p = V::set1(parameter);
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) V::store(y + i, Op::of(V::load(x + i), p));
  int64_t rest = n - i;
  if (rest > 0) V::store_n(y + i, Op::of(V::load_n(x + i, rest), p), rest);
}

template <class V, class Op>
void each(const float* x, int64_t n, float* y) {
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) V::store(y + i, Op::of(V::load(x + i)));
  int64_t rest = n - i;
  if (rest > 0) V::store_n(y + i, Op::of(V::load_n(x + i, rest)), rest);
}

template <class V>
constexpr PointwiseKernels pointwise_kernels() {
  return {two_operands<V, AddOp<V>>,   one_operand<V, ScaleOp<V>>,    two_operands<V, SwigluOp<V>>,
          two_operands<V, GegluOp<V>>, one_operand<V, SoftcapOp<V>>,  each<V, SiluOp<V>>,
          each<V, GeluOp<V>>,          each<V, QuickGeluOp<V>>,       each<V, ReluOp<V>>,
          each<V, TanhClampOp<V>>,     two_operands<V, GegluErfOp<V>>};
}

}  // namespace hearth::cpu
