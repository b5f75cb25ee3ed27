// Pictures: cut, turned, put side by side.
#include <algorithm>
#include <array>

#include "workflow/image/composite.h"
#include "workflow/nodes/common.h"

namespace hearth::workflow {
namespace {

NodeResult image_crop(NodeCall& call) {
  Tensor image = image_in(call, "image");
  int64_t x = std::min(call.integer("x"), image.dim(2) - 1), y = std::min(call.integer("y"), image.dim(1) - 1);
  Tensor rows = sliced(call.memory(), image, 1, y, std::min(call.integer("height"), image.dim(1) - y));
  return give(image_value(sliced(call.memory(), rows, 2, x, std::min(call.integer("width"), image.dim(2) - x))));
}

// The last member repeated until the batch is full.
Tensor filled_up(Allocator& memory, const Tensor& image, int64_t batch) {
  if (image.dim(0) >= batch) return image;
  Tensor last = sliced(memory, image, 0, image.dim(0) - 1, 1);
  return joined(memory, {image, repeated_to(memory, last, batch - image.dim(0))}, 0);
}

Tensor with_channels(Allocator& memory, const Tensor& image, int64_t channels) {
  if (image.dim(3) >= channels) return image;
  Shape missing = image.shape();
  missing[3] = channels - image.dim(3);
  return joined(memory, {image, filled(memory, missing, 1.0f)}, 3);
}

// Both as long along `dim`, the shorter one in the middle of its border.
void pad_equal(Allocator& memory, Tensor& a, Tensor& b, int dim, float value) {
  int64_t length = std::max(a.dim(dim), b.dim(dim));
  for (Tensor* image : {&a, &b}) {
    int64_t missing = length - image->dim(dim);
    if (missing == 0) continue;
    Shape shape = image->shape();
    shape[dim] = length;
    Paste place{.x = dim == 2 ? missing / 2 : 0, .y = dim == 1 ? missing / 2 : 0};
    *image = pasted(memory, filled(memory, shape, value), *image, {}, place);
  }
}

std::array<float, 4> color_of(const std::string& word) {
  if (word == "white") return {1, 1, 1, 1};
  if (word == "red") return {1, 0, 0, 1};
  if (word == "green") return {0, 1, 0, 1};
  if (word == "blue") return {0, 0, 1, 1};
  return {0, 0, 0, 1};
}

NodeResult image_stitch(NodeCall& call) {
  Tensor first = image_in(call, "image1");
  if (!call.has("image2")) return give(image_value(first));
  Allocator& memory = call.memory();
  Tensor second = image_in(call, "image2");
  std::string direction = call.text("direction"), color = call.text("spacing_color");
  bool is_row = direction == "left" || direction == "right";
  int64_t batch = std::max(first.dim(0), second.dim(0));
  first = filled_up(memory, first, batch);
  second = filled_up(memory, second, batch);
  if (call.flag("match_image_size")) {
    double aspect = static_cast<double>(second.dim(2)) / static_cast<double>(second.dim(1));
    Resize fit{.width = first.dim(2), .height = first.dim(1), .method = Resampling::kLanczos};
    if (is_row) fit.width = static_cast<int64_t>(static_cast<double>(first.dim(1)) * aspect);
    if (!is_row) fit.height = static_cast<int64_t>(static_cast<double>(first.dim(2)) / aspect);
    second = resized(memory, second, MapOrder::kNhwc, fit);
  } else {
    pad_equal(memory, first, second, is_row ? 1 : 2, color == "white" ? 1.0f : 0.0f);
  }
  int64_t channels = std::max(first.dim(3), second.dim(3));
  first = with_channels(memory, first, channels);
  second = with_channels(memory, second, channels);
  bool is_swapped = direction == "left" || direction == "up";
  std::vector<Tensor> parts{is_swapped ? second : first, is_swapped ? first : second};
  int dim = is_row ? 2 : 1;
  if (int64_t spacing = call.integer("spacing_width"); spacing > 0) {
    Shape shape = first.shape();
    shape[dim] = spacing + spacing % 2;
    Tensor bar = make_tensor(memory, shape);
    std::array<float, 4> ink = color_of(color);
    for (int64_t i = 0; i < bar.numel(); ++i) bar.data<float>()[i] = ink[static_cast<size_t>(i % channels) & 3];
    parts.insert(parts.begin() + 1, bar);
  }
  return give(image_value(joined(memory, parts, dim)));
}

NodeResult resize_and_pad_image(NodeCall& call) {
  Tensor image = image_in(call, "image");
  int64_t width = call.integer("target_width"), height = call.integer("target_height");
  double scale = std::min(static_cast<double>(width) / static_cast<double>(image.dim(2)),
                          static_cast<double>(height) / static_cast<double>(image.dim(1)));
  Resize fit{.width = std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(image.dim(2)) * scale)),
             .height = std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(image.dim(1)) * scale)),
             .method = resampling_in(call, "interpolation")};
  Tensor small = resized(call.memory(), image, MapOrder::kNhwc, fit);
  float color = call.text("padding_color") == "black" ? 0.0f : 1.0f;
  Tensor canvas = filled(call.memory(), {image.dim(0), height, width, image.dim(3)}, color);
  Paste middle{.x = (width - fit.width) / 2, .y = (height - fit.height) / 2};
  return give(image_value(pasted(call.memory(), canvas, small, {}, middle)));
}

NodeResult image_rotate(NodeCall& call) {
  std::string word = call.text("rotation");
  int turns = word.starts_with("90") ? 1 : word.starts_with("180") ? 2 : word.starts_with("270") ? 3 : 0;
  // Clockwise: the other way round than turning rows into columns.
  return give(image_value(rotated(call.memory(), image_in(call, "image"), -turns, 1, 2)));
}

NodeResult image_flip(NodeCall& call) {
  int dim = call.text("flip_method").starts_with("x") ? 1 : 2;
  return give(image_value(flipped(call.memory(), image_in(call, "image"), dim)));
}

}  // namespace

void add_image_transform_nodes(Registry& registry) {
  registry.add(
      {.class_name = "ImageCrop",
       .display_name = "Image Crop",
       .category = "image/transform",
       .description = "Cuts a rectangle out of a picture.",
       .python_module = "comfy_extras.nodes_images",
       .inputs = {socket("image", "IMAGE"), integer("width", {.value = 512, .min = 1, .max = kMaxSide, .step = 1}),
                  integer("height", {.value = 512, .min = 1, .max = kMaxSide, .step = 1}),
                  integer("x", {.value = 0, .min = 0, .max = kMaxSide, .step = 1}),
                  integer("y", {.value = 0, .min = 0, .max = kMaxSide, .step = 1})},
       .outputs = {{"IMAGE"}},
       .run = image_crop});
  registry.add({.class_name = "ImageStitch",
                .display_name = "Image Stitch",
                .category = "image/transform",
                .description = "Puts two pictures side by side or one below the other.",
                .python_module = "comfy_extras.nodes_images",
                .inputs = {socket("image1", "IMAGE"),
                           choice("direction", {"right", "down", "left", "up"}).with("default", "right"),
                           boolean("match_image_size", true),
                           integer("spacing_width", {.value = 0, .min = 0, .max = 1024, .step = 2}),
                           choice("spacing_color", {"white", "black", "red", "green", "blue"}).with("default", "white"),
                           socket("image2", "IMAGE").optional()},
                .outputs = {{"IMAGE"}},
                .run = image_stitch});
  registry.add({.class_name = "ResizeAndPadImage",
                .category = "image/transform",
                .description = "Fits a picture into a size and fills what is left with a colour.",
                .python_module = "comfy_extras.nodes_images",
                .inputs = {socket("image", "IMAGE"),
                           integer("target_width", {.value = 512, .min = 1, .max = kMaxSide, .step = 1}),
                           integer("target_height", {.value = 512, .min = 1, .max = kMaxSide, .step = 1}),
                           choice("padding_color", {"white", "black"}),
                           choice("interpolation", {"area", "bicubic", "nearest-exact", "bilinear", "lanczos"})},
                .outputs = {{"IMAGE"}},
                .run = resize_and_pad_image});
  registry.add(
      {.class_name = "ImageRotate",
       .category = "image/transform",
       .description = "Turns a picture by quarters.",
       .python_module = "comfy_extras.nodes_images",
       .inputs = {socket("image", "IMAGE"), choice("rotation", {"none", "90 degrees", "180 degrees", "270 degrees"})},
       .outputs = {{"IMAGE"}},
       .run = image_rotate});
  registry.add(
      {.class_name = "ImageFlip",
       .category = "image/transform",
       .description = "Mirrors a picture.",
       .python_module = "comfy_extras.nodes_images",
       .inputs = {socket("image", "IMAGE"), choice("flip_method", {"x-axis: vertically", "y-axis: horizontally"})},
       .outputs = {{"IMAGE"}},
       .run = image_flip});
}

}  // namespace hearth::workflow
