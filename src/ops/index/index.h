// Reading rows by index.
#pragma once
#include "core/device/ctx.h"
#include "core/tensor/weight.h"

namespace hearth {

/// Rows of an embedding table, decoded: ids [n] i32, table [vocab, dim] any scheme and layout -> [n, dim] f32.
/// Ids lie in [0, vocab): whoever fills a batch has checked; kernels clamp.
Tensor embed(Ctx& c, const Weight& table, const Tensor& ids);

/// x [n, dim] f32, index [k] i32 -> [k, dim]. Indices lie in [0, n); kernels clamp.
Tensor rows(Ctx& c, const Tensor& x, const Tensor& index);

}  // namespace hearth
