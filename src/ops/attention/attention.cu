// Attention of one row and head by one block, or by one block per chunk of its context when there are few rows.
//
// The positions a row sees are cut into at most kSplits chunks; where they are cut depends on the row's own position
// and window alone. Inside a chunk groups of lanes each take every G-th position with a running maximum of their own,
// and are combined in order; chunks are folded in ascending order. Whether chunks run in one block or in several, the
// same functions do the same arithmetic (nothing is fused implicitly), so a row's bits do not depend on the other rows,
// on the bucket, or on which pages hold the positions.
#include <string>

#include "core/device/cuda.cuh"
#include "ops/attention/attention_kernels.h"
#include "ops/attention/kv_cell.cuh"

namespace hearth::cuda {
namespace {

constexpr int kThreads = 128, kMaxDim = 256, kDimsPerThread = kMaxDim / kThreads, kLaneDims = 8;
constexpr int kChunkStep = 64;  // positions; a chunk is a multiple of it
constexpr int kUnroll = 8;      // positions a group has in flight
constexpr int kBlocks = 4;      // blocks a multiprocessor has at once: leaves a thread 128 registers
static_assert(kBlocks * kThreads <= 1536, "the threads a multiprocessor of compute capability 12 holds");

struct Args {
  const float* q;
  int64_t q_row, q_head;  // strides in elements
  const void *k, *v;
  const int32_t *pos, *seq, *table;
  float* y;
  float* partials;  // [rows, heads, kSplits, dim + 2]
  int heads, group, kv_heads, dim, lanes, tokens, pages, seqs, max_pages, window;
  float scale, softcap;
};

struct Span {
  int begin, end;
};

struct Context {
  Span all;
  int chunk, n_chunks;
  const int32_t* pages;  // of the row's sequence
};

// Sums over some positions: of weights times values for the thread's dims, of weights, relative to the maximum score.
struct Sums {
  float value[kDimsPerThread] = {};
  float max = -INFINITY, weight = 0;
};

struct Shared {
  float value[kThreads * kLaneDims];  // [groups, lanes * 8]
  float max[kThreads], weight[kThreads], factor[kThreads];
};
static_assert(sizeof(Shared) <= 48 * 1024, "fits the shared memory every architecture gives without asking");

__device__ Context context_of(const Args& a, int64_t row) {
  int pos = min(a.pos[row], a.max_pages * a.tokens - 1);
  int begin = a.window > 0 ? max(0, pos + 1 - a.window) : 0, length = pos + 1 - begin;
  int even = (length + static_cast<int>(kSplits) - 1) / static_cast<int>(kSplits);
  int chunk = (even + kChunkStep - 1) / kChunkStep * kChunkStep;
  int seq = min(max(a.seq[row], 0), a.seqs - 1);
  return {{begin, pos + 1}, chunk, (length + chunk - 1) / chunk, a.table + static_cast<int64_t>(seq) * a.max_pages};
}

__device__ Span chunk_of(const Context& context, int i) {
  int begin = context.all.begin + i * context.chunk;
  return {begin, min(begin + context.chunk, context.all.end)};
}

// Element offset of a position's key or value in the pages.
__device__ int64_t cell_of(const Args& a, const Context& context, int kv_head, int position) {
  int64_t page = min(max(context.pages[position / a.tokens], 0), a.pages - 1);
  return ((page * a.kv_heads + kv_head) * a.tokens + position % a.tokens) * a.dim;
}

// A group's running sums: lane l of the group holds dims [8l, 8l + 8).
struct GroupSums {
  float value[kLaneDims] = {};
  float max = -INFINITY, weight = 0;
};

__device__ float score_of(const Args& a, const float* q, const float* key) {
  float dot = 0;
#pragma unroll
  for (int d = 0; d < kLaneDims; ++d) dot = fmaf(q[d], key[d], dot);
  for (int distance = a.lanes / 2; distance > 0; distance /= 2) dot += __shfl_xor_sync(~0u, dot, distance);
  float score = dot * a.scale;
  return a.softcap > 0 ? a.softcap * tanhf(score / a.softcap) : score;
}

// Folds positions at, at + stride, ... (kUnroll of them, those below `end`) into the group's sums.
template <class Cell>
__device__ void fold_positions(const Args& a, const Context& context, int kv_head, const float* q, int at, int stride,
                               int end, GroupSums& sums) {
  int first_dim = static_cast<int>(threadIdx.x) % a.lanes * kLaneDims;
  bool has_dims = first_dim < a.dim;
  int64_t cell[kUnroll];
  float score[kUnroll], highest = sums.max;
#pragma unroll
  for (int u = 0; u < kUnroll; ++u) {
    int position = at + u * stride;
    cell[u] = position < end ? cell_of(a, context, kv_head, position) + first_dim : -1;
    float key[kLaneDims] = {};
    if (cell[u] >= 0 && has_dims) load_eight(static_cast<const Cell*>(a.k) + cell[u], key);
    score[u] = score_of(a, q, key);
    if (cell[u] < 0) score[u] = -INFINITY;
    highest = fmaxf(highest, score[u]);
  }
  if (highest == -INFINITY) return;
  float shrink = expf(sums.max - highest);
  sums.max = highest;
  sums.weight *= shrink;
#pragma unroll
  for (int d = 0; d < kLaneDims; ++d) sums.value[d] *= shrink;
#pragma unroll
  for (int u = 0; u < kUnroll; ++u) {
    if (cell[u] < 0) break;
    float weight = expf(score[u] - highest), value[kLaneDims] = {};
    if (has_dims) load_eight(static_cast<const Cell*>(a.v) + cell[u], value);
    sums.weight += weight;
#pragma unroll
    for (int d = 0; d < kLaneDims; ++d) sums.value[d] = fmaf(weight, value[d], sums.value[d]);
  }
}

// The groups' sums as one, in order of the groups.
__device__ Sums combine_groups(const Args& a, const GroupSums& own, Shared& shared) {
  int group = static_cast<int>(threadIdx.x) / a.lanes, lane = static_cast<int>(threadIdx.x) % a.lanes;
  int groups = kThreads / a.lanes, width = a.lanes * kLaneDims;
  __syncthreads();  // the previous chunk has been read
#pragma unroll
  for (int d = 0; d < kLaneDims; ++d) shared.value[group * width + lane * kLaneDims + d] = own.value[d];
  if (lane == 0) shared.max[group] = own.max, shared.weight[group] = own.weight;
  __syncthreads();
  Sums sums;
  for (int g = 0; g < groups; ++g) sums.max = fmaxf(sums.max, shared.max[g]);
  if (static_cast<int>(threadIdx.x) < groups) shared.factor[threadIdx.x] = expf(shared.max[threadIdx.x] - sums.max);
  __syncthreads();
  for (int g = 0; g < groups; ++g) {
    sums.weight = fmaf(shared.factor[g], shared.weight[g], sums.weight);
#pragma unroll
    for (int i = 0; i < kDimsPerThread; ++i) {
      int d = static_cast<int>(threadIdx.x) + i * kThreads;
      if (d < a.dim) sums.value[i] = fmaf(shared.factor[g], shared.value[g * width + d], sums.value[i]);
    }
  }
  return sums;
}

template <class Cell>
__device__ Sums attend_chunk(const Args& a, const Context& context, int64_t row, int head, Span span, Shared& shared) {
  int first_dim = static_cast<int>(threadIdx.x) % a.lanes * kLaneDims;
  float q[kLaneDims] = {};
  if (first_dim < a.dim) {
    const float* from = a.q + row * a.q_row + head * a.q_head + first_dim;
#pragma unroll
    for (int d = 0; d < kLaneDims; ++d) q[d] = from[d];
  }
  int group = static_cast<int>(threadIdx.x) / a.lanes, groups = kThreads / a.lanes;
  GroupSums sums;
  // Every group walks the same number of steps: lanes of one warp belong to several groups and shuffle together.
  for (int base = span.begin; base < span.end; base += groups * kUnroll) {
    fold_positions<Cell>(a, context, head / a.group, q, base + group, groups, span.end, sums);
  }
  return combine_groups(a, sums, shared);
}

__device__ void fold_chunk(Sums& total, const Sums& chunk) {
  float highest = fmaxf(total.max, chunk.max);
  float before = expf(total.max - highest), now = expf(chunk.max - highest);
  total.max = highest;
  total.weight = fmaf(chunk.weight, now, total.weight * before);
#pragma unroll
  for (int i = 0; i < kDimsPerThread; ++i) total.value[i] = fmaf(chunk.value[i], now, total.value[i] * before);
}

__device__ void store(const Args& a, int64_t row, int head, const Sums& total) {
  float* y = a.y + (row * a.heads + head) * a.dim;
#pragma unroll
  for (int i = 0; i < kDimsPerThread; ++i) {
    int d = static_cast<int>(threadIdx.x) + i * kThreads;
    if (d < a.dim) y[d] = total.weight > 0 || total.weight != total.weight ? total.value[i] / total.weight : 0;
  }
}

__device__ float* partial_of(const Args& a, int64_t row, int head, int chunk) {
  return a.partials + ((row * a.heads + head) * kSplits + chunk) * (a.dim + 2);
}

template <class Cell>
__global__ void __launch_bounds__(kThreads, kBlocks) attend_row_kernel(const __grid_constant__ Args a) {
  __shared__ Shared shared;
  int64_t row = blockIdx.x;
  int head = static_cast<int>(blockIdx.y);
  Sums total;
  if (a.pos[row] >= 0) {
    Context context = context_of(a, row);
    for (int i = 0; i < context.n_chunks; ++i) {
      fold_chunk(total, attend_chunk<Cell>(a, context, row, head, chunk_of(context, i), shared));
    }
  }
  store(a, row, head, total);
}

template <class Cell>
__global__ void __launch_bounds__(kThreads, kBlocks) attend_split_kernel(const __grid_constant__ Args a) {
  __shared__ Shared shared;
  int64_t row = blockIdx.x;
  int head = static_cast<int>(blockIdx.y), i = static_cast<int>(blockIdx.z);
  if (a.pos[row] < 0) return;
  Context context = context_of(a, row);
  if (i >= context.n_chunks) return;
  Sums sums = attend_chunk<Cell>(a, context, row, head, chunk_of(context, i), shared);
  float* to = partial_of(a, row, head, i);
#pragma unroll
  for (int part = 0; part < kDimsPerThread; ++part) {
    int d = static_cast<int>(threadIdx.x) + part * kThreads;
    if (d < a.dim) to[d] = sums.value[part];
  }
  if (threadIdx.x == 0) to[a.dim] = sums.max, to[a.dim + 1] = sums.weight;
}

__global__ void __launch_bounds__(kThreads) join_splits_kernel(const __grid_constant__ Args a) {
  int64_t row = blockIdx.x;
  int head = static_cast<int>(blockIdx.y);
  Sums total;
  int n_chunks = a.pos[row] < 0 ? 0 : context_of(a, row).n_chunks;
  for (int i = 0; i < n_chunks; ++i) {
    const float* from = partial_of(a, row, head, i);
    Sums chunk;
#pragma unroll
    for (int part = 0; part < kDimsPerThread; ++part) {
      int d = static_cast<int>(threadIdx.x) + part * kThreads;
      if (d < a.dim) chunk.value[part] = from[d];
    }
    chunk.max = from[a.dim], chunk.weight = from[a.dim + 1];
    fold_chunk(total, chunk);
  }
  store(a, row, head, total);
}

// Lanes that share a position: the power of two that covers head_dim with eight dims each.
int lanes_for(int64_t dim) {
  int lanes = 1;
  while (lanes * kLaneDims < dim) lanes *= 2;
  return lanes;
}

Args args_of(const AttentionArgs& args) {
  const Shape &q = args.q.shape, &pages = args.k_pages.shape, &table = args.page_table.shape;
  auto whole = [](int64_t n) { return static_cast<int>(n); };
  return {.q = args.q.as<float>(),
          .q_row = args.q.strides[0],
          .q_head = args.q.strides[1],
          .k = args.k_pages.data,
          .v = args.v_pages.data,
          .pos = args.pos.as<int32_t>(),
          .seq = args.seq.as<int32_t>(),
          .table = args.page_table.as<int32_t>(),
          .y = args.y.as<float>(),
          .partials = reinterpret_cast<float*>(args.scratch.data),
          .heads = whole(q[1]),
          .group = whole(q[1] / pages[1]),
          .kv_heads = whole(pages[1]),
          .dim = whole(q[2]),
          .lanes = lanes_for(q[2]),
          .tokens = whole(pages[2]),
          .pages = whole(pages[0]),
          .seqs = whole(table[0]),
          .max_pages = whole(table[1]),
          .window = args.params.window,
          .scale = args.params.scale,
          .softcap = args.params.softcap};
}

}  // namespace

void attention(Stream stream, const AttentionArgs& args) {
  if (args.q.shape[2] > kMaxDim) {
    throw Error(Code::kUnsupported, "attention: no CUDA kernel for head_dim " + std::to_string(args.q.shape[2]) +
                                        ", at most " + std::to_string(kMaxDim));
  }
  Args a = args_of(args);
  auto rows = static_cast<unsigned>(args.q.shape[0]), heads = static_cast<unsigned>(a.heads);
  dispatch_cell(args.k_pages.dtype, [&]<class Cell>() {
    if (args.q.shape[0] > kSplitRows) {
      launch(stream, "attention", dim3(rows, heads), kThreads, attend_row_kernel<Cell>, a);
      return;
    }
    launch(stream, "attention", dim3(rows, heads, kSplits), kThreads, attend_split_kernel<Cell>, a);
    launch(stream, "attention", dim3(rows, heads), kThreads, join_splits_kernel, a);
  });
}

}  // namespace hearth::cuda
