#include "ops/conv/conv.h"

#include <fmt/format.h>

#include "ops/conv/conv_kernels.h"
#include "ops/cpu_only.h"
#include "ops/gemm/gemm.h"

namespace hearth {
namespace {

[[noreturn]] void refuse(std::string got, std::string_view wanted) {
  throw Error(Code::kInvalidArgument, fmt::format("conv2d: got {}, wanted {}", got, wanted));
}

std::string describe(const Tensor& t) { return fmt::format("{} {}", name(t.dtype()), t.shape().text()); }

void check_operands(const Tensor& x, const Weight& w, const Tensor& bias, const ConvParams& p) {
  if (w.shape.rank() != 4) refuse("a weight " + w.shape.text(), "[O, kh, kw, I]");
  if (x.dtype() != DType::kF32 || x.rank() != 4 || !x.is_contiguous() || x.dim(3) != w.shape[3]) {
    refuse(fmt::format("x {} for a weight {}", describe(x), w.shape.text()),
           fmt::format("contiguous x f32 [B, H, W, {}]", w.shape[3]));
  }
  if (bias && (bias.dtype() != DType::kF32 || bias.shape() != Shape{w.shape[0]} || !bias.is_contiguous())) {
    refuse("bias " + describe(bias), fmt::format("bias f32 [{}]", w.shape[0]));
  }
  if (p.stride < 1 || p.upsample < 1 || p.top < 0 || p.left < 0 || p.bottom < 0 || p.right < 0) {
    refuse(fmt::format("stride {}, upsample {}, padding {} {} {} {}", p.stride, p.upsample, p.top, p.left, p.bottom,
                       p.right),
           "stride and upsample >= 1, padding >= 0");
  }
  if (!cpu::is_float_scheme(w.scheme)) {
    throw Error(Code::kUnsupported,
                fmt::format("conv2d: no CPU kernel for {} weights; there are kernels for: f32, f16, "
                            "bf16, f8_e4m3, f8_e5m2",
                            name(w.scheme)));
  }
}

Shape result_shape(const Tensor& x, const Weight& w, const ConvParams& p) {
  int64_t height = p.upsample * x.dim(1) + p.top + p.bottom, width = p.upsample * x.dim(2) + p.left + p.right;
  if (height < w.shape[1] || width < w.shape[2]) {
    refuse(fmt::format("x {} with padding, {} x {}", describe(x), height, width),
           fmt::format("at least {} x {}, the size of the weight {}", w.shape[1], w.shape[2], w.shape.text()));
  }
  return {x.dim(0), (height - w.shape[1]) / p.stride + 1, (width - w.shape[2]) / p.stride + 1, w.shape[0]};
}

}  // namespace

Tensor conv2d(Ctx& c, const Tensor& x, const Weight& w, const Tensor& bias, const ConvParams& params) {
  require_cpu(c, "conv2d");
  check_operands(x, w, bias, params);
  Tensor y = c.make(DType::kF32, result_shape(x, w, params));
  Tensor scratch = c.scratch(cpu::gemm_scratch_bytes(c.caps));
  int64_t in = w.shape[1] * w.shape[2] * w.shape[3];
  c.count("conv2d", 2 * static_cast<double>(y.numel()) * static_cast<double>(in),
          static_cast<double>(x.bytes() + w.bytes() + y.bytes() + (bias ? bias.bytes() : 0)));
  if (c.is_meta()) return y;
  cpu::conv2d(c, {x.view(),
                  y.view(),
                  {w.data.raw(), w.scheme, w.layout, w.shape[0], in},
                  bias ? bias.data<float>() : nullptr,
                  w.shape[1],
                  w.shape[2],
                  params,
                  scratch.raw()});
  return y;
}

}  // namespace hearth
