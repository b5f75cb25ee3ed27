#include "ops/index/index.h"

#include <fmt/format.h>

#include "ops/index/index_kernels.h"

namespace hearth {
namespace {

void check_index(std::string_view op, const Tensor& index) {
  if (index.dtype() == DType::kI32 && index.rank() == 1 && index.is_contiguous()) return;
  throw Error(Code::kInvalidArgument, fmt::format("{}: got an index {} {}, wanted contiguous i32 [n]", op,
                                                  name(index.dtype()), index.shape().text()));
}

}  // namespace

Tensor embed(Ctx& c, const Weight& table, const Tensor& ids) {
  check_index("embed", ids);
  if (table.shape.rank() != 2) {
    throw Error(Code::kInvalidArgument,
                fmt::format("embed: got a table {}, wanted a matrix [vocab, dim]", table.shape.text()));
  }
  Tensor y = c.make(DType::kF32, {ids.dim(0), table.in()});
  double n = static_cast<double>(ids.dim(0));
  c.count("embed", 0, n * static_cast<double>(row_bytes(table.scheme, table.in())) + static_cast<double>(y.bytes()));
  switch (c.device.kind) {
    case DeviceKind::kMeta: break;
    case DeviceKind::kCpu: cpu::embed(c, table, ids.view(), y.view()); break;
    case DeviceKind::kCuda:
      if constexpr (cuda::kBuilt) cuda::embed(c.stream, table, ids.view(), y.view());
      break;
  }
  return y;
}

Tensor rows(Ctx& c, const Tensor& x, const Tensor& index) {
  check_index("rows", index);
  if (x.dtype() != DType::kF32 || x.rank() != 2 || !x.is_contiguous()) {
    throw Error(Code::kInvalidArgument,
                fmt::format("rows: got x {} {}, wanted contiguous f32 [n, dim]", name(x.dtype()), x.shape().text()));
  }
  Tensor y = c.make(DType::kF32, {index.dim(0), x.dim(1)});
  c.count("rows", 0, 2.0 * static_cast<double>(y.bytes()));
  switch (c.device.kind) {
    case DeviceKind::kMeta: break;
    case DeviceKind::kCpu: cpu::rows(c, x.view(), index.view(), y.view()); break;
    case DeviceKind::kCuda:
      if constexpr (cuda::kBuilt) cuda::rows(c.stream, x.view(), index.view(), y.view());
      break;
  }
  return y;
}

}  // namespace hearth
