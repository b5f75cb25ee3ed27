// Vector kernel of full attention. Include inside a target region, after gemm_simd.h: scores and weighted sums are
// gemm's register blocks.
//
// Fixed order: a score is one chain of fma over the dims; a block's weights are summed lane by lane of 16 keys, then
// across lanes; a weighted sum takes keys in ascending order. Scores are in powers of two: the queries carry log2(e).
#pragma once

namespace hearth::cpu {

HEARTH_INLINE int64_t padded16(int64_t n) { return (n + 15) / 16 * 16; }

/// 2^x for x <= 0, at least 2^-126.
template <class V>
HEARTH_INLINE typename V::F exp2_below_zero(typename V::F x) {
  using F = typename V::F;
  x = V::max(V::set1(-126.0f), x);  // NaN stays
  F n = V::round(x), r = V::sub(x, n);
  F p = V::fma(V::set1(0.000154762791f), r, V::set1(0.00134002347f));  // (2^r - 1) / r
  p = V::fma(p, r, V::set1(0.00961800385f));
  p = V::fma(p, r, V::set1(0.055503279f));
  p = V::fma(p, r, V::set1(0.240226507f));
  p = V::fma(p, r, V::set1(0.693147182f));
  return V::mul(V::fma(p, r, V::set1(1.0f)), V::pow2(n));
}

template <class V>
struct FullBlock {
  using F = typename V::F;
  const FullAttentionTask& task;
  int64_t dims, keys;                         // padded head_dim, keys of a block
  float *q, *k_tiles, *v_tiles, *scores, *sums;
  float *max, *total, *shrink;                // of each query

  FullBlock(const FullAttentionTask& t, float* space)
      : task(t), dims(padded16(t.head_dim)), keys(full_key_block(t.head_dim)) {
    int64_t queries = full_query_block(t.head_dim);
    q = space;                                // [queries][dims + 16]
    k_tiles = q + queries * (dims + 16);      // [keys / 16][head_dim][16]
    v_tiles = k_tiles + keys * dims;          // [dims / 16][keys][16]
    scores = v_tiles + keys * dims;           // [kFullRows][keys + 16]
    sums = scores + kFullRows * (keys + 16);  // [queries][dims + 16]
    max = sums + queries * (dims + 16);
    total = max + queries;
    shrink = total + queries;
  }
  int64_t score_stride() const { return keys + 16; }
  int64_t dim_stride() const { return dims + 16; }

  void load_queries() {
    F scale = V::set1(task.scale * 1.44269504f);
    for (int64_t i = 0; i < task.n; ++i) {
      const float* from = task.q + (task.first + i) * task.q_stride;
      for (int64_t d = 0; d < dims; d += 16) {
        V::store(q + i * dim_stride() + d, V::mul(V::load_n(from + d, task.head_dim - d), scale));
      }
    }
    for (int64_t i = 0; i < task.n; i += 16) {
      V::store(max + i, V::set1(-std::numeric_limits<float>::infinity()));
      V::store(total + i, V::set1(0));
    }
  }

  void load_keys(int64_t first, int64_t n) {
    for (int64_t t = 0; t < n; t += 16) {
      for (int64_t d = 0; d < task.head_dim; d += 16) {
        const float* from = task.k + (first + t) * task.k_stride + d;
        float* to = k_tiles + t * task.head_dim + d * 16;
        F r[16];
        if (t + 16 <= n && d + 16 <= task.head_dim) {
          HEARTH_UNROLL
          for (int i = 0; i < 16; ++i) r[i] = V::load(from + i * task.k_stride);
          V::transpose(r);
          HEARTH_UNROLL
          for (int i = 0; i < 16; ++i) V::store(to + i * 16, r[i]);
          continue;
        }
        for (int i = 0; i < 16; ++i) {
          r[i] = t + i < n ? V::load_n(from + i * task.k_stride, task.head_dim - d) : V::set1(0);
        }
        V::transpose(r);
        for (int i = 0; i < 16 && d + i < task.head_dim; ++i) V::store(to + i * 16, r[i]);
      }
    }
  }

  void load_values(int64_t first, int64_t n) {
    for (int64_t t = 0; t < n; ++t) {
      const float* from = task.v + (first + t) * task.v_stride;
      int64_t d = 0;
      for (; d + 16 <= task.head_dim; d += 16) V::store(v_tiles + d * keys + t * 16, V::load(from + d));
      if (d < dims) V::store(v_tiles + d * keys + t * 16, V::load_n(from + d, task.head_dim - d));
    }
  }

  struct Rows {
    int64_t begin, end;  // queries of the task
    int64_t n() const { return end - begin; }
  };

  // y [n, 16 * n_tiles] (+)= x [n, columns] times tiles that lie `tile` floats apart.
  void multiply(int64_t n_rows, const float* x, int64_t x_stride, const float* tiles, int64_t tile, int64_t columns,
                int64_t n_tiles, float* y, int64_t y_stride, bool adds) {
    constexpr int64_t kColumns = 256;  // two tiles of it fill half of a first-level cache
    for (int64_t begin = 0; begin < columns; begin += kColumns) {
      int64_t n = columns - begin < kColumns ? columns - begin : kColumns;
      for (int64_t t = 0; t < n_tiles; t += 2) {
        const float* w = tiles + t * tile + begin * 16;
        multiply_block<V>({x + begin,
                           x_stride,
                           {w, w + tile},
                           t + 2 <= n_tiles ? 2 : 1,
                           n,
                           n_rows,
                           y + t * 16,
                           y_stride,
                           adds || begin > 0,
                           nullptr,
                           {},
                           0});
      }
    }
  }

  // How many of a block's n keys query i sees.
  int64_t seen(int64_t i, int64_t first, int64_t n) const {
    int64_t up_to = task.first + i + 1 - first;
    return !task.causal || up_to > n ? n : up_to < 0 ? 0 : up_to;
  }

  /// The new running maxima; shrink becomes what the sums so far are to be multiplied with.
  void raise_maxima(Rows rows, int64_t first, int64_t n) {
    const F nothing = V::set1(-std::numeric_limits<float>::infinity());
    for (int64_t i = rows.begin; i < rows.end; ++i) {
      const float* row = scores + (i - rows.begin) * score_stride();
      F highest[2] = {V::set1(max[i]), nothing};
      int64_t t = 0, end = seen(i, first, n);
      for (; t + 32 <= end; t += 32) {
        highest[0] = V::max(highest[0], V::load(row + t));
        highest[1] = V::max(highest[1], V::load(row + t + 16));
      }
      for (; t < end; t += 16) {
        highest[0] = V::max(highest[0], V::select(V::range(0, end - t), V::load(row + t), nothing));
      }
      shrink[i] = max[i];
      max[i] = V::max_of(V::max(highest[0], highest[1]));
    }
    for (int64_t i = rows.begin; i < rows.end; i += 16) {
      F factor = exp2_below_zero<V>(V::sub(V::load(shrink + i), V::load(max + i)));
      V::store(shrink + i, factor);
      V::store(total + i, V::mul(V::load(total + i), factor));
    }
  }

  /// Scores become weights relative to the maxima; keys that a query does not see weigh nothing.
  void weigh(Rows rows, int64_t first, int64_t n) {
    for (int64_t i = rows.begin; i < rows.end; ++i) {
      float* row = scores + (i - rows.begin) * score_stride();
      F at = V::set1(max[i]), sum[2] = {V::set1(0), V::set1(0)};
      int64_t t = 0, end = seen(i, first, n);
      for (; t + 32 <= end; t += 32) {
        F a = exp2_below_zero<V>(V::sub(V::load(row + t), at)),
          b = exp2_below_zero<V>(V::sub(V::load(row + t + 16), at));
        V::store(row + t, a), V::store(row + t + 16, b);
        sum[0] = V::add(sum[0], a), sum[1] = V::add(sum[1], b);
      }
      for (; t < end; t += 16) {
        F a = V::select(V::range(0, end - t), exp2_below_zero<V>(V::sub(V::load(row + t), at)), V::set1(0));
        V::store(row + t, a);
        sum[0] = V::add(sum[0], a);
      }
      for (; t < n; t += 16) V::store(row + t, V::set1(0));
      total[i] += V::sum(V::add(sum[0], sum[1]));
    }
  }

  void shrink_sums(Rows rows) {
    for (int64_t i = rows.begin; i < rows.end; ++i) {
      if (shrink[i] == 1.0f) continue;
      float* of = sums + i * dim_stride();
      F factor = V::set1(shrink[i]);
      for (int64_t d = 0; d < dims; d += 16) V::store(of + d, V::mul(V::load(of + d), factor));
    }
  }

  // Scores of a few rows at a time stay in the first cache level.
  void fold_rows(Rows rows, int64_t first, int64_t n) {
    multiply(rows.n(), q + rows.begin * dim_stride(), dim_stride(), k_tiles, 16 * task.head_dim, task.head_dim,
             padded16(n) / 16, scores, score_stride(), false);
    raise_maxima(rows, first, n);
    weigh(rows, first, n);
    if (first > 0) shrink_sums(rows);
    multiply(rows.n(), scores, score_stride(), v_tiles, 16 * keys, n, dims / 16, sums + rows.begin * dim_stride(),
             dim_stride(), first > 0);
  }

  void fold_keys(int64_t first, int64_t n) {
    load_keys(first, n);
    load_values(first, n);
    for (int64_t i = 0; i < task.n; i += kFullRows) {
      fold_rows({i, i + kFullRows < task.n ? i + kFullRows : task.n}, first, n);
    }
  }

  void store() {
    for (int64_t i = 0; i < task.n; ++i) {
      F scale = V::set1(1.0f / total[i]);
      float* to = task.y + (task.first + i) * task.y_stride;
      for (int64_t d = 0; d < task.head_dim; d += 16) {
        V::store_n(to + d, V::mul(V::load(sums + i * dim_stride() + d), scale), task.head_dim - d);
      }
    }
  }
};

template <class V>
void attend_fully(const FullAttentionTask& task, float* space) {
  FullBlock<V> block(task, space);
  block.load_queries();
  int64_t end = task.causal && task.first + task.n < task.keys ? task.first + task.n : task.keys;
  for (int64_t first = 0; first < end; first += block.keys) {
    block.fold_keys(first, end - first < block.keys ? end - first : block.keys);
  }
  block.store();
}

template <class V>
constexpr FullAttentionKernels full_attention_kernels() {
  return {attend_fully<V>};
}

}  // namespace hearth::cpu
