#include "ops/pointwise/pointwise.h"

#include <fmt/format.h>

#include "ops/pointwise/pointwise_kernels.h"

namespace hearth {
namespace {

void check_operand(std::string_view op, std::string_view operand, const Tensor& t) {
  if (t.dtype() == DType::kF32 && t.is_contiguous()) return;
  throw Error(Code::kInvalidArgument,
              fmt::format("{}: got {} {} {}{}, wanted a contiguous f32 tensor", op, operand, name(t.dtype()),
                          t.shape().text(), t.is_contiguous() ? "" : " with gaps between rows"));
}

void check_pair(std::string_view op, const Tensor& a, const Tensor& b) {
  check_operand(op, "first operand", a);
  check_operand(op, "second operand", b);
  if (a.shape() == b.shape()) return;
  throw Error(Code::kInvalidArgument,
              fmt::format("{}: got {} and {}, wanted equal shapes", op, a.shape().text(), b.shape().text()));
}

// Runs the device's version of an op of one or two operands; both forms end in make, count, switch.
template <class Cpu, class Cuda>
Tensor run(Ctx& c, std::string_view op, const Shape& shape, double flops_each, int operands, Cpu on_cpu, Cuda on_cuda) {
  Tensor y = c.make(DType::kF32, shape);
  double n = static_cast<double>(shape.numel());
  c.count(op, flops_each * n, 4 * n * (operands + 1));
  switch (c.device.kind) {
    case DeviceKind::kMeta: break;
    case DeviceKind::kCpu: on_cpu(y.view()); break;
    case DeviceKind::kCuda: on_cuda(y.view()); break;
  }
  return y;
}

}  // namespace

Tensor add(Ctx& c, const Tensor& a, const Tensor& b) {
  check_pair("add", a, b);
  return run(c, "add", a.shape(), 1, 2, [&](const View& y) { cpu::add(c, a.view(), b.view(), y); },
             [&](const View& y) { if constexpr (cuda::kBuilt) cuda::add(c.stream, a.view(), b.view(), y); });
}

Tensor scale(Ctx& c, const Tensor& x, float factor) {
  check_operand("scale", "x", x);
  return run(c, "scale", x.shape(), 1, 1, [&](const View& y) { cpu::scale(c, x.view(), factor, y); },
             [&](const View& y) { if constexpr (cuda::kBuilt) cuda::scale(c.stream, x.view(), factor, y); });
}

// Flops of an exponential or a hyperbolic tangent: what the CPU polynomials spend.
constexpr double kExpFlops = 16, kTanhFlops = 24;

Tensor swiglu(Ctx& c, const Tensor& gate, const Tensor& up) {
  check_pair("swiglu", gate, up);
  return run(c, "swiglu", gate.shape(), kExpFlops + 3, 2,
             [&](const View& y) { cpu::swiglu(c, gate.view(), up.view(), y); },
             [&](const View& y) { if constexpr (cuda::kBuilt) cuda::swiglu(c.stream, gate.view(), up.view(), y); });
}

Tensor geglu(Ctx& c, const Tensor& gate, const Tensor& up) {
  check_pair("geglu", gate, up);
  return run(c, "geglu", gate.shape(), kTanhFlops + 8, 2,
             [&](const View& y) { cpu::geglu(c, gate.view(), up.view(), y); },
             [&](const View& y) { if constexpr (cuda::kBuilt) cuda::geglu(c.stream, gate.view(), up.view(), y); });
}

Tensor softcap(Ctx& c, const Tensor& x, float limit) {
  check_operand("softcap", "x", x);
  if (!(limit > 0)) throw Error(Code::kInvalidArgument, fmt::format("softcap: got limit {}, wanted > 0", limit));
  return run(c, "softcap", x.shape(), kTanhFlops + 2, 1, [&](const View& y) { cpu::softcap(c, x.view(), limit, y); },
             [&](const View& y) { if constexpr (cuda::kBuilt) cuda::softcap(c.stream, x.view(), limit, y); });
}

}  // namespace hearth
