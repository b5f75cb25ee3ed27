#include <algorithm>

#include "ops/attention/attention_kernels.h"
#include "ops/attention/attention_tile.h"
#include "ops/simd/level.h"

namespace hearth::cpu {
namespace {

// Rows a thread takes at a time, by elements: about 3 us of work.
constexpr int64_t kGrainElements = 16384;

void check_slots(const KvAppendArgs& args) {
  int64_t slots = args.k_pages.shape[0] * args.k_pages.shape[2];
  for (int64_t row = 0; row < args.slots.shape[0]; ++row) {
    int32_t slot = args.slots.as<int32_t>()[row];
    check(slot >= 0 && slot < slots, "kv_append: a slot lies within the pages");
  }
}

}  // namespace

void kv_append(const Ctx& c, const KvAppendArgs& args) {
  check_slots(args);
  const AttentionKernels& kernels = *level(c.caps.isa).attention;
  DType dtype = args.k_pages.dtype;
  int64_t heads = args.k_pages.shape[1], tokens = args.k_pages.shape[2], dim = args.k_pages.shape[3];
  int64_t grain = std::max<int64_t>(1, kGrainElements / std::max<int64_t>(1, heads * dim));
  c.parallel_for(args.slots.shape[0], grain, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      int64_t slot = args.slots.as<int32_t>()[row];
      for (int64_t head = 0; head < heads; ++head) {
        int64_t at = row_bytes(dtype, ((slot / tokens * heads + head) * tokens + slot % tokens) * dim);
        const View &k = args.k, &v = args.v;
        kernels.round(k.as<float>() + row * k.strides[0] + head * k.strides[1], dim, dtype, args.k_pages.data + at);
        kernels.round(v.as<float>() + row * v.strides[0] + head * v.strides[1], dim, dtype, args.v_pages.data + at);
      }
    }
  });
}

}  // namespace hearth::cpu
