#include "ops/linear/linear.h"

#include <algorithm>
#include <array>
#include <string>

#include <fmt/format.h>

#include "ops/linear/linear_kernels.h"

namespace hearth {
namespace {

std::string describe(const Tensor& t) { return fmt::format("{} {}", name(t.dtype()), t.shape().text()); }

[[noreturn]] void refuse(std::string got, std::string_view wanted) {
  throw Error(Code::kInvalidArgument, fmt::format("linear: got {}, wanted {}", got, wanted));
}

bool has_kernel(const Ctx& c, DType scheme) {
  if (c.caps.target == DeviceKind::kCpu) return cpu::has_linear(scheme);
  if constexpr (cuda::kBuilt) return cuda::has_linear(scheme);
  return false;
}

[[noreturn]] void refuse_scheme(const Ctx& c, DType scheme) {
  std::string known;
  for (int i = 0; i < static_cast<int>(DType::kCount); ++i) {
    DType type = static_cast<DType>(i);
    if (has_kernel(c, type)) fmt::format_to(std::back_inserter(known), "{}{}", known.empty() ? "" : ", ", name(type));
  }
  throw Error(Code::kUnsupported, fmt::format("linear: no {} kernel for {} weights; there are kernels for: {}",
                                              c.caps.target == DeviceKind::kCpu ? "CPU" : "CUDA", name(scheme),
                                              known.empty() ? "none in this build" : known));
}

void check_operands(const Ctx& c, const Tensor& x, const Weight& w, const Tensor& bias) {
  if (w.shape.rank() != 2) refuse("a weight " + w.shape.text(), "a matrix [out, in]");
  if (x.dtype() != DType::kF32 || x.rank() != 2 || x.dim(1) != w.in() || (x.dim(1) > 1 && x.strides()[1] != 1)) {
    refuse(fmt::format("x {} for a weight {}", describe(x), w.shape.text()),
           fmt::format("x f32 [rows, {}] with contiguous rows", w.in()));
  }
  if (bias && (bias.dtype() != DType::kF32 || bias.shape() != Shape{w.out()} || !bias.is_contiguous())) {
    refuse("bias " + describe(bias), fmt::format("bias f32 [{}]", w.out()));
  }
  if (!has_kernel(c, w.scheme)) refuse_scheme(c, w.scheme);
}

Product product(const Weight& w, const Tensor& bias, const Tensor& y) {
  return {{w.data.raw(), w.scheme, w.layout, w.out(), w.in()}, bias ? bias.data<float>() : nullptr, y.data<float>()};
}

void count(Ctx& c, const Tensor& x, const Weight& w, const Tensor& bias, const Tensor& y) {
  double flops = 2.0 * static_cast<double>(x.dim(0)) * static_cast<double>(w.out()) * static_cast<double>(w.in());
  c.count("linear", flops, static_cast<double>(x.bytes() + w.bytes() + y.bytes() + (bias ? bias.bytes() : 0)));
}

// One group of weights that fits the product array.
void run(Ctx& c, const Tensor& x, std::span<const Weight* const> ws, std::span<const Tensor> biases,
         std::span<Tensor> outs) {
  std::array<Product, kMaxProducts> products;
  std::array<DType, kMaxProducts> schemes;
  for (size_t i = 0; i < ws.size(); ++i) {
    const Tensor& bias = biases.empty() ? Tensor() : biases[i];
    check_operands(c, x, *ws[i], bias);
    outs[i] = c.make(DType::kF32, {x.dim(0), ws[i]->out()});
    products[i] = product(*ws[i], bias, outs[i]);
    schemes[i] = ws[i]->scheme;
    count(c, x, *ws[i], bias, outs[i]);
  }
  if (c.caps.target == DeviceKind::kCpu) {
    int64_t bytes = cpu::linear_scratch_bytes(c.caps, x.dim(0), x.dim(1), {schemes.data(), ws.size()});
    Tensor scratch = bytes ? c.scratch(bytes) : Tensor();
    if (c.device.kind == DeviceKind::kCpu) cpu::linear(c, x.view(), {products.data(), ws.size()}, scratch.raw());
    return;
  }
  if constexpr (cuda::kBuilt) {
    for (size_t i = 0; i < ws.size(); ++i) {
      int64_t bytes = cuda::linear_scratch_bytes(c.caps, x.dim(0), products[i].w);
      Tensor scratch = bytes ? c.scratch(bytes) : Tensor();
      if (c.device.kind == DeviceKind::kCuda) cuda::linear(c.stream, c.caps, x.view(), products[i], scratch.raw());
    }
  }
}

}  // namespace

Tensor linear(Ctx& c, const Tensor& x, const Weight& w, const Tensor& bias) {
  const Weight* ws[] = {&w};
  Tensor y;
  run(c, x, ws, {&bias, 1}, {&y, 1});
  return y;
}

void linear_each(Ctx& c, const Tensor& x, std::span<const Weight* const> ws, std::span<const Tensor> biases,
                 std::span<Tensor> outs) {
  check(outs.size() == ws.size() && (biases.empty() || biases.size() == ws.size()),
        "linear_each has one output and one bias, possibly empty, per weight");
  for (size_t first = 0; first < ws.size(); first += kMaxProducts) {
    size_t n = std::min(kMaxProducts, ws.size() - first);
    run(c, x, ws.subspan(first, n), biases.empty() ? biases : biases.subspan(first, n), outs.subspan(first, n));
  }
}

}  // namespace hearth
