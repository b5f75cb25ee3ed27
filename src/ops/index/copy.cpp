#include "ops/index/copy.h"

#include <cstring>

#include "core/device/cuda.h"

namespace hearth {

void copy_into(Ctx& c, const Tensor& from, const Tensor& to) {
  check(from.dtype() == to.dtype() && from.is_contiguous() && to.is_contiguous() && from.bytes() <= to.bytes(),
        "copy_into: contiguous tensors of one dtype, the target large enough");
  c.count("copy", 0, 2.0 * static_cast<double>(from.bytes()));
  if (c.is_meta() || from.bytes() == 0) return;
  if (c.device.kind == DeviceKind::kCuda) {
    if constexpr (cuda::kBuilt) cuda::copy_on_device(c.stream, to.raw(), from.raw(), from.bytes());
    return;
  }
  std::memcpy(to.raw(), from.raw(), static_cast<size_t>(from.bytes()));
}

}  // namespace hearth
