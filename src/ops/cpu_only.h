// How an op that has kernels for the CPU alone refuses other targets. Asked before an op makes anything, on Meta too,
// so that a plan for a GPU fails where the GPU would.
#pragma once
#include <string_view>

#include "core/device/ctx.h"

namespace hearth {

/// Throws Error{kUnsupported} naming what exists unless c.caps.target is the CPU.
void require_cpu(const Ctx& c, std::string_view op);

}  // namespace hearth
