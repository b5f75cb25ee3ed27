#include "ops/norm/norm.h"

#include <fmt/format.h>

#include "ops/cpu_only.h"
#include "ops/norm/norm_kernels.h"

namespace hearth {
namespace {

[[noreturn]] void refuse(std::string_view op, std::string got, std::string_view wanted) {
  throw Error(Code::kInvalidArgument, fmt::format("{}: got {}, wanted {}", op, got, wanted));
}

std::string describe(const Tensor& t) { return fmt::format("{} {}", name(t.dtype()), t.shape().text()); }

void check_rows(std::string_view op, const Tensor& x) {
  if (x.dtype() != DType::kF32 || x.rank() < 1 || x.strides()[x.rank() - 1] != 1) {
    refuse(op, fmt::format("x {} (last stride {})", describe(x), x.rank() ? x.strides()[x.rank() - 1] : 0),
           "x f32 [..., dim] with a contiguous last dimension");
  }
}

void check_weight(std::string_view op, const Tensor& x, const Tensor& w) {
  check_rows(op, x);
  if (w.dtype() != DType::kF32 || w.shape() != Shape{x.dim(-1)} || !w.is_contiguous()) {
    refuse(op, "w " + describe(w), fmt::format("w f32 [{}], one factor per element of a row of x", x.dim(-1)));
  }
}

void check_vector(std::string_view op, std::string_view what, const Tensor& v, int64_t n) {
  if (v.dtype() == DType::kF32 && v.shape() == Shape{n} && v.is_contiguous()) return;
  refuse(op, fmt::format("{} {}", what, describe(v)), fmt::format("{} f32 [{}]", what, n));
}

void check_groups(const Tensor& x, int groups) {
  if (x.dtype() != DType::kF32 || x.rank() < 3 || x.rank() > 4 || !x.is_contiguous()) {
    refuse("group_norm", "x " + describe(x), "contiguous f32 [B, H, W, C] or [B, N, C]");
  }
  if (groups < 1 || x.dim(-1) % groups != 0) {
    refuse("group_norm", fmt::format("{} groups for x {}", groups, describe(x)), "groups that divide the channels");
  }
}

}  // namespace

Tensor rms_norm(Ctx& c, const Tensor& x, const Tensor& w, float eps) {
  check_weight("rms_norm", x, w);
  Tensor y = c.make(DType::kF32, x.shape());
  double n = static_cast<double>(x.numel());
  c.count("rms_norm", 4 * n, 8 * n + static_cast<double>(w.bytes()));
  switch (c.device.kind) {
    case DeviceKind::kMeta: break;
    case DeviceKind::kCpu: cpu::rms_norm(c, x.view(), w.view(), eps, y.view()); break;
    case DeviceKind::kCuda:
      if constexpr (cuda::kBuilt) cuda::rms_norm(c.stream, x.view(), w.view(), eps, y.view());
      break;
  }
  return y;
}

AddNorm add_rms_norm(Ctx& c, const Tensor& a, const Tensor& b, const Tensor& w, float eps) {
  check_weight("add_rms_norm", a, w);
  if (b.dtype() != DType::kF32 || b.shape() != a.shape() || !a.is_contiguous() || !b.is_contiguous()) {
    refuse("add_rms_norm", fmt::format("a {} and b {}", describe(a), describe(b)),
           "two contiguous f32 tensors of equal shape");
  }
  AddNorm out{c.make(DType::kF32, a.shape()), c.make(DType::kF32, a.shape())};
  double n = static_cast<double>(a.numel());
  c.count("add_rms_norm", 5 * n, 16 * n + static_cast<double>(w.bytes()));
  switch (c.device.kind) {
    case DeviceKind::kMeta: break;
    case DeviceKind::kCpu:
      cpu::add_rms_norm(c, a.view(), b.view(), w.view(), eps, out.sum.view(), out.normed.view());
      break;
    case DeviceKind::kCuda:
      if constexpr (cuda::kBuilt) {
        cuda::add_rms_norm(c.stream, a.view(), b.view(), w.view(), eps, out.sum.view(), out.normed.view());
      }
      break;
  }
  return out;
}

Tensor layer_norm(Ctx& c, const Tensor& x, const Tensor& w, const Tensor& b, float eps) {
  require_cpu(c, "layer_norm");
  check_rows("layer_norm", x);
  if (w) check_vector("layer_norm", "w", w, x.dim(-1));
  if (b) check_vector("layer_norm", "b", b, x.dim(-1));
  Tensor y = c.make(DType::kF32, x.shape());
  double n = static_cast<double>(x.numel());
  c.count("layer_norm", 8 * n, 8 * n + static_cast<double>((w ? w.bytes() : 0) + (b ? b.bytes() : 0)));
  if (!c.is_meta()) cpu::layer_norm(c, x.view(), w ? w.view() : View(), b ? b.view() : View(), eps, y.view());
  return y;
}

Tensor group_norm(Ctx& c, const Tensor& x, const Tensor& w, const Tensor& b, int groups, float eps, bool silu) {
  require_cpu(c, "group_norm");
  check_groups(x, groups);
  int64_t batch = x.dim(0), channels = x.dim(-1);
  check_vector("group_norm", "w", w, channels);
  check_vector("group_norm", "b", b, channels);
  int64_t pixels = x.rank() == 4 ? x.dim(1) * x.dim(2) : x.dim(1);
  Tensor y = c.make(DType::kF32, x.shape());
  Tensor scratch = c.scratch(cpu::group_norm_scratch_bytes(batch, pixels, channels));
  double n = static_cast<double>(x.numel());
  c.count("group_norm", (silu ? 24 : 6) * n, 12 * n + static_cast<double>(w.bytes() + b.bytes()));
  if (c.is_meta() || x.numel() == 0) return y;
  Shape flat{batch, pixels, channels};
  cpu::group_norm(
      c, {x.reshape(flat).view(), y.reshape(flat).view(), w.view(), b.view(), groups, eps, silu, scratch.view()});
  return y;
}

}  // namespace hearth
