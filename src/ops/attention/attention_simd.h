// Vector kernel of a tile. Include inside a target region, after simd/math.h.
//
// Fixed order, for any tile: a score is one chain of fma over the dims; a page's weights are summed lane by lane of 16
// tokens, then across lanes; a weighted sum takes tokens in ascending order, one fma each, masked tokens not at all.
// Register blocks only choose which chains run side by side.
#pragma once

namespace hearth::cpu {

template <class V, class T>
HEARTH_INLINE typename V::F load_part(const T* p, int64_t n) {
  if (n >= 16) return V::load(p);
  alignas(64) T lanes[16] = {};
  if (n > 0) std::memcpy(lanes, p, static_cast<size_t>(n) * sizeof(T));
  return V::load(lanes);
}

/// One head of a page as float32, [tokens, dim] -> [dim, padded tokens]; the padding is zero.
template <class V, class T>
void transpose_keys(const T* page, int64_t tokens, int64_t dim, float* keys) {
  int64_t padded = TileSpace::padded(tokens);
  for (int64_t t = 0; t < padded; t += 16) {
    for (int64_t d = 0; d < dim; d += 16) {
      typename V::F rows[16];
      if (t + 16 <= tokens && d + 16 <= dim) {
        HEARTH_UNROLL
        for (int i = 0; i < 16; ++i) rows[i] = V::load(page + (t + i) * dim + d);
        V::transpose(rows);
        HEARTH_UNROLL
        for (int i = 0; i < 16; ++i) V::store(keys + (d + i) * padded + t, rows[i]);
        continue;
      }
      for (int i = 0; i < 16; ++i) {
        rows[i] = t + i < tokens ? load_part<V>(page + (t + i) * dim + d, dim - d) : V::set1(0);
      }
      V::transpose(rows);
      for (int i = 0; i < 16 && d + i < dim; ++i) V::store(keys + (d + i) * padded + t, rows[i]);
    }
  }
}

template <class V, class T>
void widen_values(const T* page, int64_t tokens, int64_t dim, float* values) {
  int64_t padded = TileSpace::padded(dim);
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t d = 0; d < padded; d += 16) {
      V::store(values + t * padded + d, load_part<V>(page + t * dim + d, dim - d));
    }
  }
}

/// W vectors of tokens for U units: scores[u][t] = chain over d of fma(q[u][d], keys[d][t]).
template <class V, int U, int W>
HEARTH_INLINE void score_block(const Unit* units, const float* keys, int64_t padded, int64_t dim, float* scores) {
  typename V::F sum[U][W];
  const float* q[U];
  HEARTH_UNROLL
  for (int u = 0; u < U; ++u) {
    q[u] = units[u].q;
    HEARTH_UNROLL
    for (int w = 0; w < W; ++w) sum[u][w] = V::set1(0);
  }
  for (int64_t d = 0; d < dim; ++d) {
    typename V::F k[W];
    HEARTH_UNROLL
    for (int w = 0; w < W; ++w) k[w] = V::load(keys + d * padded + 16 * w);
    HEARTH_UNROLL
    for (int u = 0; u < U; ++u) {
      typename V::F factor = V::set1(q[u][d]);
      HEARTH_UNROLL
      for (int w = 0; w < W; ++w) sum[u][w] = V::fma(factor, k[w], sum[u][w]);
    }
  }
  HEARTH_UNROLL
  for (int u = 0; u < U; ++u) {
    HEARTH_UNROLL
    for (int w = 0; w < W; ++w) V::store(scores + u * padded + 16 * w, sum[u][w]);
  }
}

/// W vectors of dims for U units: sums[u] += weights[u][t] * values[t] for t in [begin, end), ascending.
template <class V, int U, int W, class T>
HEARTH_INLINE void weigh_block(const T* values, int64_t stride, const float* weights, int64_t padded, int64_t begin,
                               int64_t end, float* sums, int64_t dims) {
  typename V::F sum[U][W];
  HEARTH_UNROLL
  for (int u = 0; u < U; ++u) {
    HEARTH_UNROLL
    for (int w = 0; w < W; ++w) sum[u][w] = V::load(sums + u * dims + 16 * w);
  }
  for (int64_t t = begin; t < end; ++t) {
    typename V::F v[W];
    HEARTH_UNROLL
    for (int w = 0; w < W; ++w) v[w] = V::load(values + t * stride + 16 * w);
    HEARTH_UNROLL
    for (int u = 0; u < U; ++u) {
      typename V::F weight = V::set1(weights[u * padded + t]);
      HEARTH_UNROLL
      for (int w = 0; w < W; ++w) sum[u][w] = V::fma(weight, v[w], sum[u][w]);
    }
  }
  HEARTH_UNROLL
  for (int u = 0; u < U; ++u) {
    HEARTH_UNROLL
    for (int w = 0; w < W; ++w) V::store(sums + u * dims + 16 * w, sum[u][w]);
  }
}

/// Vectors side by side in a block of U units.
template <class V, int U>
inline constexpr int kWidth = U * 4 <= V::kAccumulators + 8 * (V::kAccumulators > 8) ? 4
                              : U * 2 <= V::kAccumulators                            ? 2
                                                                                     : 1;

template <class V, int U>
void score_units(const Unit* units, const float* keys, int64_t padded, int64_t dim, float* scores) {
  constexpr int kW = kWidth<V, U>;
  int64_t t = 0;
  for (; t + 16 * kW <= padded; t += 16 * kW) score_block<V, U, kW>(units, keys + t, padded, dim, scores + t);
  if constexpr (kW > 2) {
    for (; t + 32 <= padded; t += 32) score_block<V, U, 2>(units, keys + t, padded, dim, scores + t);
  }
  for (; t < padded; t += 16) score_block<V, U, 1>(units, keys + t, padded, dim, scores + t);
}

template <class V, int U, class T>
void weigh_units(const T* values, int64_t stride, const float* weights, int64_t padded, int64_t begin, int64_t end,
                 float* sums, int64_t dims) {
  constexpr int kW = kWidth<V, U>;
  int64_t d = 0;
  for (; d + 16 * kW <= dims; d += 16 * kW) {
    weigh_block<V, U, kW>(values + d, stride, weights, padded, begin, end, sums + d, dims);
  }
  if constexpr (kW > 2) {
    for (; d + 32 <= dims; d += 32) {
      weigh_block<V, U, 2>(values + d, stride, weights, padded, begin, end, sums + d, dims);
    }
  }
  for (; d < dims; d += 16) weigh_block<V, U, 1>(values + d, stride, weights, padded, begin, end, sums + d, dims);
}

/// Turns a unit's scores of a page into weights relative to the new running maximum and scales what it summed so far.
template <class V>
void fold_page(Unit& unit, const Tile& tile, int64_t begin, int64_t end, float* scores, float* sums) {
  using F = typename V::F;
  int64_t tokens = TileSpace::padded(tile.page_tokens), dims = TileSpace::padded(tile.head_dim);
  const F nothing = V::set1(-std::numeric_limits<float>::infinity());
  F highest = nothing;
  for (int64_t t = 0; t < tokens; t += 16) {
    F score = V::mul(V::load(scores + t), V::set1(tile.scale));
    if (tile.softcap > 0) {
      F limit = V::set1(tile.softcap);
      score = V::mul(limit, tanh_of<V>(V::div(score, limit)));
    }
    score = V::select(V::range(begin - t, end - t), score, nothing);
    V::store(scores + t, score);
    highest = V::max(highest, score);
  }
  float before = unit.max, now = V::max_of(V::max(highest, V::set1(before)));
  F sum = V::set1(0);
  for (int64_t t = 0; t < tokens; t += 16) {
    F weight = exp_of<V>(V::sub(V::load(scores + t), V::set1(now)));
    V::store(scores + t, weight);
    sum = V::add(sum, weight);
  }
  float page_sum = V::sum(sum);
  if (now != before) {
    F shrink = exp_of<V>(V::sub(V::set1(before), V::set1(now)));
    for (int64_t d = 0; d < dims; d += 16) V::store(sums + d, V::mul(V::load(sums + d), shrink));
    unit.sum = unit.sum * V::first(shrink);
    unit.max = now;
  }
  unit.sum += page_sum;
}

/// The part of a page that a unit attends, as tokens [begin, end); empty when begin >= end.
struct PageRange {
  int64_t begin, end;
};
HEARTH_INLINE PageRange page_range(const Unit& unit, int64_t first, int64_t tokens) {
  int64_t begin = unit.begin - first, end = unit.end - first;
  return {begin < 0 ? 0 : begin, end > tokens ? tokens : end};
}

/// One page for U neighbouring units of a tile.
template <class V, int U, class T>
void fold_units(Unit* units, const Tile& tile, int64_t first, const float* keys, const T* values, int64_t stride,
                float* scores, float* sums) {
  int64_t tokens = TileSpace::padded(tile.page_tokens), dims = TileSpace::padded(tile.head_dim);
  PageRange range[U], common{0, tile.page_tokens};
  bool any = false;
  for (int u = 0; u < U; ++u) {
    range[u] = page_range(units[u], first, tile.page_tokens);
    common = {range[u].begin > common.begin ? range[u].begin : common.begin,
              range[u].end < common.end ? range[u].end : common.end};
    any |= range[u].begin < range[u].end;
  }
  if (!any) return;
  score_units<V, U>(units, keys, tokens, tile.head_dim, scores);
  for (int u = 0; u < U; ++u) {
    if (range[u].begin >= range[u].end) continue;
    fold_page<V>(units[u], tile, range[u].begin, range[u].end, scores + u * tokens, sums + u * dims);
    // Tokens that the other units of the block do not all see: before the common run here, after it below.
    int64_t end = common.begin < common.end ? common.begin : range[u].end;
    weigh_units<V, 1>(values, stride, scores + u * tokens, tokens, range[u].begin, end, sums + u * dims, dims);
  }
  if (common.begin >= common.end) return;
  weigh_units<V, U>(values, stride, scores, tokens, common.begin, common.end, sums, dims);
  for (int u = 0; u < U; ++u) {
    weigh_units<V, 1>(values, stride, scores + u * tokens, tokens, common.end, range[u].end, sums + u * dims, dims);
  }
}

template <class V, class T>
void fold_tile(const Tile& tile, int64_t first, const float* keys, const T* values, int64_t stride,
               const TileSpace& space) {
  int64_t tokens = TileSpace::padded(tile.page_tokens), dims = TileSpace::padded(tile.head_dim);
  for (int u = 0, n; u < tile.n; u += n) {
    Unit* units = tile.units + u;
    float *scores = space.scores + u * tokens, *sums = space.sums + u * dims;
    n = tile.n - u < V::kBlock ? tile.n - u : V::kBlock;
    if (n == 5 || n == 7) --n;  // widths that are not worth a kernel of their own
    switch (n) {
      case 8:
        if constexpr (V::kBlock >= 8) fold_units<V, 8>(units, tile, first, keys, values, stride, scores, sums);
        break;
      case 6:
        if constexpr (V::kBlock >= 6) fold_units<V, 6>(units, tile, first, keys, values, stride, scores, sums);
        break;
      case 1: fold_units<V, 1>(units, tile, first, keys, values, stride, scores, sums); break;
      case 2: fold_units<V, 2>(units, tile, first, keys, values, stride, scores, sums); break;
      case 3: fold_units<V, 3>(units, tile, first, keys, values, stride, scores, sums); break;
      default: fold_units<V, 4>(units, tile, first, keys, values, stride, scores, sums); break;
    }
  }
}

/// Brings the next page into the second-level cache while this one is computed: pages are scattered, so no hardware
/// stream finds it.
HEARTH_INLINE void prefetch_page(const std::byte* k, const std::byte* v, int64_t bytes) {
  for (int64_t i = 0; i < bytes; i += 64) {
    __builtin_prefetch(k + i, 0, 2);
    __builtin_prefetch(v + i, 0, 2);
  }
}

template <class V, class T>
void attend_pages(const Tile& tile, const TileSpace& space) {
  int64_t dims = TileSpace::padded(tile.head_dim), bytes = tile.page_tokens * tile.head_dim * sizeof(T);
  int64_t begin = tile.units[0].begin, end = tile.units[0].end;
  for (int u = 1; u < tile.n; ++u) {
    begin = tile.units[u].begin < begin ? tile.units[u].begin : begin;
    end = tile.units[u].end > end ? tile.units[u].end : end;
  }
  // A page of values is converted once where several register blocks read it; one block reads it in place.
  bool in_place = tile.n <= V::kBlock && dims == tile.head_dim;
  for (int64_t page = begin / tile.page_tokens; page * tile.page_tokens < end; ++page) {
    int64_t at = tile.table[page] * tile.page_bytes, first = page * tile.page_tokens;
    if (first + tile.page_tokens < end) {
      int64_t next = tile.table[page + 1] * tile.page_bytes;
      prefetch_page(tile.k + next, tile.v + next, bytes);
    }
    const T* values = reinterpret_cast<const T*>(tile.v + at);
    transpose_keys<V>(reinterpret_cast<const T*>(tile.k + at), tile.page_tokens, tile.head_dim, space.keys);
    if (in_place) {
      fold_tile<V>(tile, first, space.keys, values, tile.head_dim, space);
    } else {
      widen_values<V>(values, tile.page_tokens, tile.head_dim, space.values);
      fold_tile<V>(tile, first, space.keys, static_cast<const float*>(space.values), dims, space);
    }
  }
}

template <class V>
void attend_tile(const Tile& tile, const TileSpace& space) {
  int64_t dims = TileSpace::padded(tile.head_dim);
  for (int64_t i = 0; i < tile.n * dims; i += 16) V::store(space.sums + i, V::set1(0));
  switch (tile.dtype) {
    case DType::kF16: attend_pages<V, Half>(tile, space); break;
    case DType::kBF16: attend_pages<V, BFloat16>(tile, space); break;
    default: attend_pages<V, float>(tile, space); break;
  }
  for (int u = 0; u < tile.n; ++u) {
    typename V::F scale = V::set1(1.0f / tile.units[u].sum);
    for (int64_t d = 0; d < tile.head_dim; d += 16) {
      V::store_n(tile.units[u].y + d, V::mul(V::load(space.sums + u * dims + d), scale), tile.head_dim - d);
    }
  }
}

template <class V>
constexpr AttentionKernels attention_kernels() {
  return {attend_tile<V>, rope_angles<V>, rope_rotate<V>, round_run<V>};
}

}  // namespace hearth::cpu
