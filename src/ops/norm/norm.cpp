#include "ops/norm/norm.h"

#include <fmt/format.h>

#include "ops/norm/norm_kernels.h"

namespace hearth {
namespace {

[[noreturn]] void refuse(std::string_view op, std::string got, std::string_view wanted) {
  throw Error(Code::kInvalidArgument, fmt::format("{}: got {}, wanted {}", op, got, wanted));
}

std::string describe(const Tensor& t) { return fmt::format("{} {}", name(t.dtype()), t.shape().text()); }

void check_weight(std::string_view op, const Tensor& x, const Tensor& w) {
  if (x.dtype() != DType::kF32 || x.rank() < 1 || x.strides()[x.rank() - 1] != 1) {
    refuse(op, fmt::format("x {} (last stride {})", describe(x), x.rank() ? x.strides()[x.rank() - 1] : 0),
           "x f32 [..., dim] with a contiguous last dimension");
  }
  if (w.dtype() != DType::kF32 || w.shape() != Shape{x.dim(-1)} || !w.is_contiguous()) {
    refuse(op, "w " + describe(w), fmt::format("w f32 [{}], one factor per element of a row of x", x.dim(-1)));
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

}  // namespace hearth
