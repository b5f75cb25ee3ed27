#include "ops/attention/attention.h"

#include <algorithm>

#include <fmt/format.h>

#include "ops/attention/attention_kernels.h"
#include "ops/attention/checks.h"

namespace hearth {
namespace {

void check_attention(const Tensor& q, const KvPages& pages, const AttentionIndex& index, const AttentionParams& p) {
  check_pages("attention", pages);
  check_heads("attention", "q", q);
  if (q.dim(2) != pages.head_dim() || q.dim(1) % pages.kv_heads() != 0 || q.dim(2) % 8 != 0) {
    refuse("attention", fmt::format("q {} for pages {}", describe(q), pages.k.shape().text()),
           fmt::format("q [rows, a multiple of {} heads, {}] with head_dim a multiple of 8", pages.kv_heads(),
                       pages.head_dim()));
  }
  check_index("attention", "pos", index.pos, Shape{q.dim(0)});
  check_index("attention", "seq", index.seq, Shape{q.dim(0)});
  const Tensor& table = index.page_table;
  if (table.rank() != 2 || table.dtype() != DType::kI32 || !table.is_contiguous()) {
    refuse("attention", "page_table " + describe(table), "contiguous i32 [seqs, max_pages]");
  }
  if (p.window < 0 || !(p.softcap >= 0)) {
    refuse("attention", fmt::format("window {} and softcap {}", p.window, p.softcap), "both >= 0 (0: off)");
  }
}

// How many positions the rows see is unknown from shapes; the cost counts the full table, or the window.
void count_cost(const Ctx& c, const Tensor& q, const KvPages& pages, const AttentionIndex& index, int window) {
  double context = static_cast<double>(index.page_table.dim(1) * pages.page_tokens());
  if (window > 0) context = std::min(context, static_cast<double>(window));
  double kv_row = static_cast<double>(row_bytes(pages.k.dtype(), pages.kv_heads() * pages.head_dim()));
  double seqs = static_cast<double>(std::min(index.page_table.dim(0), q.dim(0)));
  c.count("attention", 4 * static_cast<double>(q.numel()) * context,
          2 * seqs * context * kv_row + 2 * static_cast<double>(q.bytes()));
}

}  // namespace

int64_t attention_scratch_bytes(const Caps& caps, const Shape& q, const Shape& pages) {
  if (caps.target == DeviceKind::kCpu) {
    return cpu::attention_scratch_bytes(std::max(1, caps.threads), q[0], pages);
  }
  return q[0] <= kSplitRows ? 4 * q[0] * q[1] * kSplits * (q[2] + 2) : 0;
}

Tensor attention(Ctx& c, const Tensor& q, const KvPages& pages, const AttentionIndex& index,
                 const AttentionParams& params) {
  check_attention(q, pages, index, params);
  Tensor y = c.make(DType::kF32, {q.dim(0), q.dim(1) * q.dim(2)});
  Tensor scratch = c.scratch(attention_scratch_bytes(c.caps, q.shape(), pages.k.shape()));
  count_cost(c, q, pages, index, params.window);
  AttentionArgs args{q.view(), y.view(), pages.k.view(), pages.v.view(), index.pos.view(), index.seq.view(),
                     index.page_table.view(), scratch.view(), params};
  switch (c.device.kind) {
    case DeviceKind::kMeta: break;
    case DeviceKind::kCpu: cpu::attention(c, args); break;
    case DeviceKind::kCuda:
      if constexpr (cuda::kBuilt) cuda::attention(c.stream, args);
      break;
  }
  return y;
}

}  // namespace hearth
