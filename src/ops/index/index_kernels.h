// What index.cpp calls after its checks. Views are contiguous; indices outside the table are clamped.
#pragma once
#include "core/device/ctx.h"
#include "core/device/cuda.h"
#include "core/tensor/weight.h"

namespace hearth::cpu {

void embed(const Ctx& c, const Weight& table, const View& ids, const View& y);
void rows(const Ctx& c, const View& x, const View& index, const View& y);

}  // namespace hearth::cpu

namespace hearth::cuda {

void embed(Stream stream, const Weight& table, const View& ids, const View& y);
void rows(Stream stream, const View& x, const View& index, const View& y);

}  // namespace hearth::cuda
