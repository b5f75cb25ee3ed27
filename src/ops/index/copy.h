// Copies between tensors of one device.
#pragma once
#include "core/device/ctx.h"

namespace hearth {

/// Copies a contiguous tensor into the leading bytes of another contiguous tensor of the same dtype: how a step hands
/// a result (logits) to state that outlives it.
void copy_into(Ctx& c, const Tensor& from, const Tensor& to);

}  // namespace hearth
