#include "ops/pointwise/pointwise.h"

#include <algorithm>

#include <fmt/format.h>

#include "ops/cpu_only.h"
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
  return run(
      c, "add", a.shape(), 1, 2, [&](const View& y) { cpu::add(c, a.view(), b.view(), y); },
      [&](const View& y) {
        if constexpr (cuda::kBuilt) cuda::add(c.stream, a.view(), b.view(), y);
      });
}

Tensor scale(Ctx& c, const Tensor& x, float factor) {
  check_operand("scale", "x", x);
  return run(
      c, "scale", x.shape(), 1, 1, [&](const View& y) { cpu::scale(c, x.view(), factor, y); },
      [&](const View& y) {
        if constexpr (cuda::kBuilt) cuda::scale(c.stream, x.view(), factor, y);
      });
}

// Flops of an exponential or a hyperbolic tangent: what the CPU polynomials spend.
constexpr double kExpFlops = 16, kTanhFlops = 24;

Tensor swiglu(Ctx& c, const Tensor& gate, const Tensor& up) {
  check_pair("swiglu", gate, up);
  return run(
      c, "swiglu", gate.shape(), kExpFlops + 3, 2, [&](const View& y) { cpu::swiglu(c, gate.view(), up.view(), y); },
      [&](const View& y) {
        if constexpr (cuda::kBuilt) cuda::swiglu(c.stream, gate.view(), up.view(), y);
      });
}

Tensor geglu(Ctx& c, const Tensor& gate, const Tensor& up) {
  check_pair("geglu", gate, up);
  return run(
      c, "geglu", gate.shape(), kTanhFlops + 8, 2, [&](const View& y) { cpu::geglu(c, gate.view(), up.view(), y); },
      [&](const View& y) {
        if constexpr (cuda::kBuilt) cuda::geglu(c.stream, gate.view(), up.view(), y);
      });
}

Tensor softcap(Ctx& c, const Tensor& x, float limit) {
  check_operand("softcap", "x", x);
  if (!(limit > 0)) throw Error(Code::kInvalidArgument, fmt::format("softcap: got limit {}, wanted > 0", limit));
  return run(
      c, "softcap", x.shape(), kTanhFlops + 2, 1, [&](const View& y) { cpu::softcap(c, x.view(), limit, y); },
      [&](const View& y) {
        if constexpr (cuda::kBuilt) cuda::softcap(c.stream, x.view(), limit, y);
      });
}

// Flops of an error function: two polynomials and an exponential.
constexpr double kErfFlops = 40;

namespace {

void count(Ctx& c, std::string_view op, const Tensor& y, double flops_each, double bytes_read) {
  c.count(op, flops_each * static_cast<double>(y.numel()), bytes_read + static_cast<double>(y.bytes()));
}

Tensor run_unary(Ctx& c, std::string_view op, const Tensor& x, double flops_each,
                 cpu::UnaryKernel cpu::PointwiseKernels::*kernel) {
  require_cpu(c, op);
  check_operand(op, "x", x);
  Tensor y = c.make(DType::kF32, x.shape());
  count(c, op, y, flops_each, static_cast<double>(x.bytes()));
  if (!c.is_meta()) cpu::unary(c, kernel, x.view(), y.view());
  return y;
}

bool has_rows(const Tensor& t) {
  return t.dtype() == DType::kF32 && t.rank() >= 1 &&
         (t.dim(-1) <= 1 || t.strides()[static_cast<size_t>(t.rank() - 1)] == 1);
}

}  // namespace

Tensor silu(Ctx& c, const Tensor& x) { return run_unary(c, "silu", x, kExpFlops + 2, &cpu::PointwiseKernels::silu); }

Tensor gelu(Ctx& c, const Tensor& x) { return run_unary(c, "gelu", x, kErfFlops + 4, &cpu::PointwiseKernels::gelu); }

Tensor quick_gelu(Ctx& c, const Tensor& x) {
  return run_unary(c, "quick_gelu", x, kExpFlops + 3, &cpu::PointwiseKernels::quick_gelu);
}

Tensor relu(Ctx& c, const Tensor& x) { return run_unary(c, "relu", x, 1, &cpu::PointwiseKernels::relu); }

Tensor tanh_clamp(Ctx& c, const Tensor& x) {
  return run_unary(c, "tanh_clamp", x, kTanhFlops + 2, &cpu::PointwiseKernels::tanh_clamp);
}

Tensor geglu_erf(Ctx& c, const Tensor& gate, const Tensor& up) {
  require_cpu(c, "geglu_erf");
  if (!has_rows(gate) || !has_rows(up) || gate.shape() != up.shape()) {
    throw Error(
        Code::kInvalidArgument,
        fmt::format("geglu_erf: got gate {} {} and up {} {}, wanted f32 tensors of equal shape with contiguous rows",
                    name(gate.dtype()), gate.shape().text(), name(up.dtype()), up.shape().text()));
  }
  Tensor y = c.make(DType::kF32, gate.shape());
  count(c, "geglu_erf", y, kErfFlops + 5, 2.0 * static_cast<double>(y.bytes()));
  if (!c.is_meta()) cpu::geglu_erf(c, gate.view(), up.view(), y.view());
  return y;
}

Tensor add_row(Ctx& c, const Tensor& x, const Tensor& b) {
  require_cpu(c, "add_row");
  check_operand("add_row", "x", x);
  check_operand("add_row", "b", b);
  if (x.rank() < 2 || b.shape() != Shape{x.dim(0), x.dim(-1)}) {
    throw Error(Code::kInvalidArgument, fmt::format("add_row: got x {} and b {}, wanted x [B, ..., C] and b [B, C]",
                                                    x.shape().text(), b.shape().text()));
  }
  int64_t batch = x.dim(0), channels = x.dim(-1), between = x.numel() / std::max<int64_t>(1, batch * channels);
  Tensor y = c.make(DType::kF32, x.shape());
  count(c, "add_row", y, 1, static_cast<double>(x.bytes() + b.bytes()));
  Shape flat{batch, between, channels};
  if (!c.is_meta()) cpu::add_row(c, x.reshape(flat).view(), b.view(), y.reshape(flat).view());
  return y;
}

void add_into(Ctx& c, const Tensor& x, const Tensor& y) {
  require_cpu(c, "add_into");
  check_pair("add_into", x, y);
  count(c, "add_into", y, 1, static_cast<double>(x.bytes() + y.bytes()));
  if (!c.is_meta()) cpu::add(c, x.view(), y.view(), y.view());
}

}  // namespace hearth
