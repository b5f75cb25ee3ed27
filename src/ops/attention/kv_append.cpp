#include <fmt/format.h>

#include "ops/attention/attention_kernels.h"
#include "ops/attention/checks.h"

namespace hearth {

void kv_append(Ctx& c, const KvPages& pages, const Tensor& k, const Tensor& v, const Tensor& slots) {
  check_pages("kv_append", pages);
  check_heads("kv_append", "k", k);
  check_heads("kv_append", "v", v);
  Shape wanted{k.dim(0), pages.kv_heads(), pages.head_dim()};
  if (k.shape() != wanted || v.shape() != wanted) {
    refuse("kv_append", fmt::format("k {} and v {}", describe(k), describe(v)),
           fmt::format("f32 {} for pages {}", wanted.text(), pages.k.shape().text()));
  }
  check_index("kv_append", "slots", slots, Shape{k.dim(0)});
  double n = static_cast<double>(k.numel());
  c.count("kv_append", 0, 2 * n * (4 + static_cast<double>(row_bytes(pages.k.dtype(), 1))));
  KvAppendArgs args{pages.k.view(), pages.v.view(), k.view(), v.view(), slots.view()};
  switch (c.device.kind) {
    case DeviceKind::kMeta: break;
    case DeviceKind::kCpu: cpu::kv_append(c, args); break;
    case DeviceKind::kCuda:
      if constexpr (cuda::kBuilt) cuda::kv_append(c.stream, args);
      break;
  }
}

}  // namespace hearth
