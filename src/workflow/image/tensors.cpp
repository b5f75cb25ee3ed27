#include "workflow/image/tensors.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace hearth::workflow {
namespace {

// A tensor as outer x length x inner around one dimension.
struct Around {
  int64_t outer = 1, length = 1, inner = 1;
};

Around around(const Shape& shape, int dim) {
  Around sizes;
  sizes.length = shape[dim];
  for (int i = 0; i < dim; ++i) sizes.outer *= shape[i];
  for (int i = dim + 1; i < shape.rank(); ++i) sizes.inner *= shape[i];
  return sizes;
}

void copy_floats(const float* from, float* to, int64_t count) {
  std::memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
}

}  // namespace

Tensor make_tensor(Allocator& memory, Shape shape) {
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] <= 0) throw Error(Code::kInvalidArgument, fmt::format("{} has no elements", shape.text()));
  }
  return memory.tensor(DType::kF32, shape, "pictures").value();
}

Tensor filled(Allocator& memory, Shape shape, float value) {
  Tensor made = make_tensor(memory, shape);
  std::fill_n(made.data<float>(), made.numel(), value);
  return made;
}

Tensor copied(Allocator& memory, const Tensor& from) {
  Tensor made = make_tensor(memory, from.shape());
  copy_floats(from.data<const float>(), made.data<float>(), from.numel());
  return made;
}

Tensor mapped(Allocator& memory, const Tensor& from, const std::function<float(float)>& f) {
  Tensor made = make_tensor(memory, from.shape());
  const float* in = from.data<const float>();
  std::transform(in, in + from.numel(), made.data<float>(), f);
  return made;
}

Tensor sliced(Allocator& memory, const Tensor& from, int dim, int64_t start, int64_t length) {
  Shape shape = from.shape();
  Around sizes = around(shape, dim);
  check(start >= 0 && start + length <= sizes.length, "a slice lies inside its tensor");
  shape[dim] = length;
  Tensor made = make_tensor(memory, shape);
  for (int64_t i = 0; i < sizes.outer; ++i) {
    copy_floats(from.data<const float>() + (i * sizes.length + start) * sizes.inner,
                made.data<float>() + i * length * sizes.inner, length * sizes.inner);
  }
  return made;
}

Tensor joined(Allocator& memory, const std::vector<Tensor>& parts, int dim) {
  Shape shape = parts.at(0).shape();
  shape[dim] = 0;
  for (const Tensor& part : parts) {
    Shape other = part.shape();
    shape[dim] += other[dim];
    other[dim] = shape[dim];
    if (!(other == shape)) {
      throw Error(Code::kInvalidArgument, fmt::format("{} and {} cannot be joined: their other sides differ",
                                                      parts[0].shape().text(), part.shape().text()));
    }
  }
  Tensor made = make_tensor(memory, shape);
  Around whole = around(shape, dim);
  int64_t start = 0;
  for (const Tensor& part : parts) {
    int64_t run = part.dim(dim) * whole.inner;
    for (int64_t i = 0; i < whole.outer; ++i) {
      copy_floats(part.data<const float>() + i * run, made.data<float>() + (i * whole.length + start) * whole.inner,
                  run);
    }
    start += part.dim(dim);
  }
  return made;
}

Tensor repeated_to(Allocator& memory, const Tensor& from, int64_t batch) {
  if (from.dim(0) == batch) return from;
  Shape shape = from.shape();
  int64_t one = from.numel() / shape[0], members = shape[0];
  shape[0] = batch;
  Tensor made = make_tensor(memory, shape);
  for (int64_t i = 0; i < batch; ++i) {
    copy_floats(from.data<const float>() + i % members * one, made.data<float>() + i * one, one);
  }
  return made;
}

Tensor flipped(Allocator& memory, const Tensor& from, int dim) {
  Tensor made = make_tensor(memory, from.shape());
  Around sizes = around(from.shape(), dim);
  for (int64_t i = 0; i < sizes.outer; ++i) {
    for (int64_t k = 0; k < sizes.length; ++k) {
      copy_floats(from.data<const float>() + (i * sizes.length + k) * sizes.inner,
                  made.data<float>() + (i * sizes.length + sizes.length - 1 - k) * sizes.inner, sizes.inner);
    }
  }
  return made;
}

Tensor rotated(Allocator& memory, const Tensor& from, int turns, int a, int b) {
  turns &= 3;
  if (turns == 0) return from;
  if (turns == 2) return flipped(memory, flipped(memory, from, a), b);
  check(b == a + 1, "a quarter turn is of neighbouring dimensions");
  Shape shape = from.shape();
  int64_t height = shape[a], width = shape[b], inner = around(from.shape(), b).inner, outer = around(shape, a).outer;
  std::swap(shape[a], shape[b]);
  Tensor made = make_tensor(memory, shape);
  for (int64_t i = 0; i < outer; ++i) {
    for (int64_t y = 0; y < width; ++y) {
      for (int64_t x = 0; x < height; ++x) {
        int64_t from_y = turns == 1 ? x : height - 1 - x, from_x = turns == 1 ? width - 1 - y : y;
        copy_floats(from.data<const float>() + ((i * height + from_y) * width + from_x) * inner,
                    made.data<float>() + ((i * width + y) * height + x) * inner, inner);
      }
    }
  }
  return made;
}

MapShape map_shape(const Tensor& tensor, MapOrder order) {
  const Shape& s = tensor.shape();
  if (s.rank() == 3) return {.batch = s[0], .height = s[1], .width = s[2], .channels = 1, .order = order};
  if (order == MapOrder::kNhwc) return {s[0], s[1], s[2], s[3], order};
  return {s[0], s[2], s[3], s[1], order};
}

Tensor resized(Allocator& memory, const Tensor& from, MapOrder order, const Resize& resize) {
  MapShape source = map_shape(from, order), target = source;
  target.height = resize.height;
  target.width = resize.width;
  Shape shape = from.shape();
  bool is_nchw = from.rank() == 4 && order == MapOrder::kNchw;
  shape[is_nchw ? 2 : 1] = resize.height;
  shape[is_nchw ? 3 : 2] = resize.width;
  Tensor made = make_tensor(memory, shape);
  Window whole{0, 0, source.width, source.height};
  Window window = resize.is_cropped ? centre_window(source, resize.width, resize.height) : whole;
  resample({from.data<const float>(), source}, window, {made.data<float>(), target}, resize.method);
  return made;
}

Tensor as_mask(const Tensor& mask) {
  const Shape& s = mask.shape();
  if (s.rank() == 2) return mask.reshape({1, s[0], s[1]});
  if (s.rank() == 4) return mask.reshape({s[0] * s[1], s[2], s[3]});
  return mask;
}

}  // namespace hearth::workflow
