// The plain handling of values between nodes: images [B,H,W,C], masks [B,H,W], latents [B,C,h,w], all f32, contiguous,
// in leased host memory. Every function gives a new tensor and leaves its arguments alone; kNoMemory is thrown.
#pragma once
#include <functional>

#include "core/device/allocator.h"
#include "ops/resample/resample.h"

namespace hearth::workflow {

/// Zeroed. kInvalidArgument when a side is not positive.
Tensor make_tensor(Allocator& memory, Shape shape);
Tensor filled(Allocator& memory, Shape shape, float value);
Tensor copied(Allocator& memory, const Tensor& from);
/// f(x) of every element.
Tensor mapped(Allocator& memory, const Tensor& from, const std::function<float(float)>& f);

/// [start, start+length) of dimension `dim`, in memory of its own.
Tensor sliced(Allocator& memory, const Tensor& from, int dim, int64_t start, int64_t length);
/// Tensors equal in all other dimensions, one behind the other in `dim`.
Tensor joined(Allocator& memory, const std::vector<Tensor>& parts, int dim);
/// The batch repeated from its start until it has `batch` members, or cut.
Tensor repeated_to(Allocator& memory, const Tensor& from, int64_t batch);
/// Order of dimension `dim` turned round.
Tensor flipped(Allocator& memory, const Tensor& from, int dim);
/// Quarter turns that take dimension `a` to `b`, as torch.rot90(from, turns, (a, b)).
Tensor rotated(Allocator& memory, const Tensor& from, int turns, int a, int b);

MapShape map_shape(const Tensor& tensor, MapOrder order);
/// Resized to width x height; `is_cropped`: the centre in the new proportions. Masks are [B,H,W] in NHWC order.
struct Resize {
  int64_t width = 0, height = 0;
  Resampling method = Resampling::kBilinear;
  bool is_cropped = false;
};
Tensor resized(Allocator& memory, const Tensor& from, MapOrder order, const Resize& resize);

/// The mask as [B,H,W]; [H,W] gets a batch of one, [B,1,H,W] loses its channel.
Tensor as_mask(const Tensor& mask);

}  // namespace hearth::workflow
