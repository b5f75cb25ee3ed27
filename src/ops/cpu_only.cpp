#include "ops/cpu_only.h"

#include <fmt/format.h>

namespace hearth {

void require_cpu(const Ctx& c, std::string_view op) {
  if (c.caps.target == DeviceKind::kCpu) return;
  throw Error(Code::kUnsupported, fmt::format("{}: no CUDA kernel exists; there are kernels for: CPU", op));
}

}  // namespace hearth
