#include <fmt/format.h>

#include "ops/attention/attention_kernels.h"
#include "ops/attention/checks.h"

namespace hearth {
namespace {

void check_rope(const Tensor& x, const Tensor& pos, const RopeParams& p) {
  check_heads("rope", "x", x);
  check_index("rope", "pos", pos, Shape{x.dim(0)});
  if (p.rotary_dim < 2 || p.rotary_dim % 2 != 0 || p.rotary_dim > x.dim(2)) {
    refuse("rope", fmt::format("rotary_dim {} for head_dim {}", p.rotary_dim, x.dim(2)),
           "an even rotary_dim of 2 to head_dim");
  }
  if (!(p.base > 0)) refuse("rope", fmt::format("base {}", p.base), "base > 0");
  const Tensor& f = p.freq_factors;
  if (f && (f.dtype() != DType::kF32 || f.shape() != Shape{p.rotary_dim / 2} || !f.is_contiguous())) {
    refuse("rope", "freq_factors " + describe(f), fmt::format("f32 [{}], one divisor per pair", p.rotary_dim / 2));
  }
}

}  // namespace

int64_t rope_scratch_bytes(const Caps& caps, int64_t rows, int rotary_dim) {
  // CPU: the frequencies, then per row the cosines and the signed sines of every rotating dim.
  return caps.target == DeviceKind::kCpu ? 4 * rotary_dim * (1 + 2 * rows) : 0;
}

Tensor rope(Ctx& c, const Tensor& x, const Tensor& pos, const RopeParams& params) {
  check_rope(x, pos, params);
  Tensor y = c.make(DType::kF32, x.shape());
  Tensor scratch = c.scratch(rope_scratch_bytes(c.caps, x.dim(0), params.rotary_dim));
  double n = static_cast<double>(x.numel());
  c.count("rope", 3 * n, 8 * n + static_cast<double>(pos.bytes()));
  View factors = params.freq_factors ? params.freq_factors.view() : View{};
  RopeArgs args{x.view(), y.view(), pos.view(), factors, scratch.view(), params.rotary_dim, params.base,
                params.interleaved, params.position_scale};
  switch (c.device.kind) {
    case DeviceKind::kMeta: break;
    case DeviceKind::kCpu: cpu::rope(c, args); break;
    case DeviceKind::kCuda:
      if constexpr (cuda::kBuilt) cuda::rope(c.stream, args);
      break;
  }
  return y;
}

}  // namespace hearth
