// Gaussian blur and sharpening of f32 maps in host memory, as ComfyUI's ImageBlur and ImageSharpen: a kernel of
// 2 radius + 1 pixels over [-1, 1] in units of sigma, borders mirrored without repeating the edge. Each channel by
// itself. Pure; the caller owns both maps, which have one shape and must not overlap.
#pragma once
#include <vector>

#include "ops/resample/resample.h"

namespace hearth {

/// One axis of the kernel, whose outer product with itself sums to 1.
std::vector<float> gaussian_axis(int radius, float sigma);

/// Radius 0 copies. Throws Error{kInvalidArgument} when the radius is not smaller than width and height, which
/// mirroring needs.
void gaussian_blur(const ConstMap& from, const Map& to, int radius, float sigma);

/// from + 10 alpha (from - blurred), clamped to 0..1.
void sharpen(const ConstMap& from, const Map& to, int radius, float sigma, float alpha);

}  // namespace hearth
