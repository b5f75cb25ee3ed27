// Vector kernel of gemm. Include inside a target region, after simd/math.h. A register block keeps R rows x T tiles of
// sums; which rows and tiles share a block changes no chain of additions.
#pragma once

namespace hearth::cpu {

/// One column: R values of x, each broadcast, times T vectors of weights. Three rows share a pointer: the second and
/// third are reached by a scaled index, so that all addresses fit the registers.
template <class V, int R, int T>
HEARTH_INLINE void multiply_column(const float* const (&x)[(R + 2) / 3], int64_t stride, int at, const float* w0,
                                   const float* w1, typename V::F (&sum)[R][T]) {
  typename V::F first = V::load(w0 + 16 * at), second = T == 2 ? V::load(w1 + 16 * at) : first;
  HEARTH_UNROLL
  for (int r = 0; r < R; ++r) {
    typename V::F of_x = V::set1(x[r / 3][r % 3 * stride + at]);
    sum[r][0] = V::fma(first, of_x, sum[r][0]);
    if constexpr (T == 2) sum[r][T - 1] = V::fma(second, of_x, sum[r][T - 1]);
  }
}

template <class V, int R, int T>
HEARTH_INLINE void multiply_rows(const GemmBlock& b, int64_t row, int tile) {
  float* y = b.y + row * b.y_stride + 16 * tile;
  typename V::F sum[R][T];
  HEARTH_UNROLL
  for (int r = 0; r < R; ++r) {
    HEARTH_UNROLL
    for (int t = 0; t < T; ++t) sum[r][t] = b.adds ? V::load(y + r * b.y_stride + 16 * t) : V::set1(0);
  }
  const float* x[(R + 2) / 3];
  for (int j = 0; j < (R + 2) / 3; ++j) x[j] = b.x + (row + 3 * j) * b.x_stride;
  const float *w0 = b.w[tile], *w1 = b.w[T == 2 ? 1 : tile];
  const int64_t stride = b.x_stride;
  auto step = [&](int columns) __attribute__((always_inline)) {
    HEARTH_UNROLL
    for (auto& from : x) {
      from += columns;
      asm("" : "+r"(from));  // or the compiler makes a pointer for every row again
    }
    w0 += 16 * columns;
    w1 += 16 * columns;
  };
  int64_t i = b.columns;
  for (; i >= 4; i -= 4) {
    HEARTH_UNROLL
    for (int at = 0; at < 4; ++at) multiply_column<V, R, T>(x, stride, at, w0, w1, sum);
    step(4);
  }
  for (; i > 0; --i) {
    multiply_column<V, R, T>(x, stride, 0, w0, w1, sum);
    step(1);
  }
  HEARTH_UNROLL
  for (int r = 0; r < R; ++r) {
    HEARTH_UNROLL
    for (int t = 0; t < T; ++t) {
      if (b.bias) sum[r][t] = V::add(sum[r][t], V::load(b.bias + 16 * (tile + t)));
      V::store(y + r * b.y_stride + 16 * t, sum[r][t]);
    }
  }
}

// noinline: each width is a loop of its own with all its sums in registers.
template <class V, int R, int T>
__attribute__((noinline)) void multiply_group(const GemmBlock& b, int64_t row, int tile) {
  multiply_rows<V, R, T>(b, row, tile);
}

// A share of what comes next with every register block, so that memory is busy all along.
template <int kRows>
HEARTH_INLINE void fetch_ahead(const GemmBlock& b, int64_t row) {
  int64_t begin = b.ahead_bytes * row / b.rows & -64, end = b.ahead_bytes * (row + kRows) / b.rows;
  for (int64_t i = begin; i < end; i += 64) {
    __builtin_prefetch(b.ahead[0] + i, 0, 2);
    __builtin_prefetch(b.ahead[1] + i, 0, 2);
  }
}

template <class V, int T>
void multiply_tiles(const GemmBlock& b, int tile) {
  int64_t row = 0;
  // 16 rows are better two blocks of 8 than one of 12 and one of 4, whose few sums wait for each other.
  auto is_whole = [&] { return row + V::kGemmRows <= b.rows && (V::kGemmRows <= 8 || b.rows - row != 16); };
  for (; is_whole(); row += V::kGemmRows) {
    if (tile == 0 && b.ahead_bytes > 0) fetch_ahead<V::kGemmRows>(b, row);
    multiply_group<V, V::kGemmRows, T>(b, row, tile);
  }
  if constexpr (V::kGemmRows > 8) {
    for (; row + 8 <= b.rows; row += 8) multiply_group<V, 8, T>(b, row, tile);
  }
  if (row + 4 <= b.rows) multiply_group<V, 4, T>(b, row, tile), row += 4;
  if (row + 2 <= b.rows) multiply_group<V, 2, T>(b, row, tile), row += 2;
  if (row < b.rows) multiply_group<V, 1, T>(b, row, tile);
}

template <class V>
void multiply_block(const GemmBlock& b) {
  if constexpr (V::kGemmTiles == 2) {
    if (b.tiles == 2) return multiply_tiles<V, 2>(b, 0);
  }
  for (int tile = 0; tile < b.tiles; ++tile) multiply_tiles<V, 1>(b, tile);
}

template <class V>
constexpr GemmKernels gemm_kernels() {
  return {multiply_block<V>};
}

}  // namespace hearth::cpu
