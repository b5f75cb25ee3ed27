// Pictures: sizes, batches, padding.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "workflow/image/composite.h"
#include "workflow/image/masks.h"
#include "workflow/nodes/common.h"

namespace hearth::workflow {
namespace {

// Half to even, as Python's round().
int64_t rounded(double value) { return static_cast<int64_t>(std::nearbyint(value)); }

Tensor scaled(const NodeCall& call, const Tensor& image, int64_t width, int64_t height, bool is_cropped = false) {
  if (width > kMaxSide || height > kMaxSide) {
    throw Error(Code::kInvalidArgument, fmt::format("{} x {} is larger than {} on a side", width, height, kMaxSide));
  }
  Resize resize{.width = std::max<int64_t>(1, width),
                .height = std::max<int64_t>(1, height),
                .method = resampling_in(call, "upscale_method"),
                .is_cropped = is_cropped};
  return resized(call.memory(), image, MapOrder::kNhwc, resize);
}

NodeResult image_scale(NodeCall& call) {
  Tensor image = image_in(call, "image");
  int64_t width = call.integer("width"), height = call.integer("height");
  if (width == 0 && height == 0) return give(image_value(image));
  if (width == 0) width = rounded(static_cast<double>(image.dim(2) * height) / static_cast<double>(image.dim(1)));
  if (height == 0) height = rounded(static_cast<double>(image.dim(1) * width) / static_cast<double>(image.dim(2)));
  return give(image_value(scaled(call, image, width, height, call.text("crop") == "center")));
}

NodeResult image_scale_by(NodeCall& call) {
  Tensor image = image_in(call, "image");
  double scale = call.number("scale_by");
  return give(image_value(scaled(call, image, rounded(static_cast<double>(image.dim(2)) * scale),
                                 rounded(static_cast<double>(image.dim(1)) * scale))));
}

NodeResult image_scale_to_total_pixels(NodeCall& call) {
  Tensor image = image_in(call, "image");
  double width = static_cast<double>(image.dim(2)), height = static_cast<double>(image.dim(1));
  double scale = std::sqrt(call.number("megapixels") * 1024 * 1024 / (width * height));
  int64_t step = call.integer("resolution_steps");
  auto side = [&](double pixels) { return rounded(pixels * scale / static_cast<double>(step)) * step; };
  return give(image_value(scaled(call, image, side(width), side(height))));
}

NodeResult image_scale_to_max_dimension(NodeCall& call) {
  Tensor image = image_in(call, "image");
  int64_t height = image.dim(1), width = image.dim(2), largest = call.integer("largest_size");
  double ratio = static_cast<double>(std::min(width, height)) / static_cast<double>(std::max(width, height));
  int64_t shorter = rounded(ratio * static_cast<double>(largest));
  return give(
      image_value(scaled(call, image, width >= height ? largest : shorter, height >= width ? largest : shorter)));
}

NodeResult image_invert(NodeCall& call) {
  return give(image_value(mapped(call.memory(), image_in(call, "image"), [](float v) { return 1.0f - v; })));
}

NodeResult image_batch(NodeCall& call) {
  auto [first, second] = with_equal_channels(call.memory(), image_in(call, "image1"), image_in(call, "image2"));
  if (first.dim(1) != second.dim(1) || first.dim(2) != second.dim(2)) {
    second = resized(call.memory(), second, MapOrder::kNhwc,
                     {.width = first.dim(2), .height = first.dim(1), .is_cropped = true});
  }
  return give(image_value(joined(call.memory(), {first, second}, 0)));
}

NodeResult empty_image(NodeCall& call) {
  Tensor image =
      make_tensor(call.memory(), {call.integer("batch_size"), call.integer("height"), call.integer("width"), 3});
  int64_t color = call.integer("color");
  for (int64_t i = 0; i < image.numel(); ++i) {
    image.data<float>()[i] = static_cast<float>(color >> (16 - 8 * (i % 3)) & 255) / 255.0f;
  }
  return give(image_value(std::move(image)));
}

NodeResult image_pad_for_outpaint(NodeCall& call) {
  Tensor image = image_in(call, "image");
  Edges edges{call.integer("left"), call.integer("top"), call.integer("right"), call.integer("bottom")};
  Shape shape{image.dim(0), image.dim(1) + edges.top + edges.bottom, image.dim(2) + edges.left + edges.right,
              image.dim(3)};
  Tensor grey = filled(call.memory(), shape, 0.5f);
  Tensor padded = pasted(call.memory(), grey, image, {}, {.x = edges.left, .y = edges.top});
  Tensor mask = outpaint_mask(call.memory(), image.dim(1), image.dim(2), edges, call.integer("feathering"));
  return give(image_value(std::move(padded)), image_value(std::move(mask)));
}

NodeResult repeat_image_batch(NodeCall& call) {
  Tensor image = image_in(call, "image");
  return give(image_value(repeated_to(call.memory(), image, image.dim(0) * call.integer("amount"))));
}

NodeResult image_from_batch(NodeCall& call) {
  Tensor image = image_in(call, "image");
  int64_t first = std::clamp<int64_t>(call.integer("batch_index"), 0, image.dim(0) - 1);
  int64_t length = std::min(call.integer("length"), image.dim(0) - first);
  return give(image_value(sliced(call.memory(), image, 0, first, length)));
}

NodeResult get_image_size(NodeCall& call) {
  Tensor image = image_in(call, "image");
  call.watch().text(fmt::format("width: {}, height: {}\n batch size: {}", image.dim(2), image.dim(1), image.dim(0)));
  return give(NodeValue(Value(image.dim(2))), NodeValue(Value(image.dim(1))), NodeValue(Value(image.dim(0))));
}

}  // namespace

void add_image_nodes(Registry& registry) {
  registry.add({.class_name = "ImageScale",
                .display_name = "Upscale Image",
                .category = "image/upscaling",
                .description = "Resizes a picture to a width and height; 0 keeps the proportions.",
                .inputs = {socket("image", "IMAGE"),
                           choice("upscale_method", {"nearest-exact", "bilinear", "area", "bicubic", "lanczos"}),
                           integer("width", {.value = 512, .min = 0, .max = kMaxSide, .step = 1}),
                           integer("height", {.value = 512, .min = 0, .max = kMaxSide, .step = 1}),
                           choice("crop", {"disabled", "center"})},
                .outputs = {{"IMAGE"}},
                .run = image_scale});
  registry.add({.class_name = "ImageScaleBy",
                .display_name = "Upscale Image By",
                .category = "image/upscaling",
                .description = "Resizes a picture by a factor.",
                .inputs = {socket("image", "IMAGE"),
                           choice("upscale_method", {"nearest-exact", "bilinear", "area", "bicubic", "lanczos"}),
                           number("scale_by", {.value = 1.0, .min = 0.01, .max = 8.0, .step = 0.01})},
                .outputs = {{"IMAGE"}},
                .run = image_scale_by});
  registry.add({.class_name = "ImageScaleToTotalPixels",
                .display_name = "Scale Image to Total Pixels",
                .category = "image/upscaling",
                .description = "Resizes a picture to a number of pixels and keeps its proportions.",
                .python_module = "comfy_extras.nodes_post_processing",
                .inputs = {socket("image", "IMAGE"),
                           choice("upscale_method", {"nearest-exact", "bilinear", "area", "bicubic", "lanczos"}),
                           number("megapixels", {.value = 1.0, .min = 0.01, .max = 16.0, .step = 0.01}),
                           integer("resolution_steps", {.value = 1, .min = 1, .max = 256})},
                .outputs = {{"IMAGE"}},
                .run = image_scale_to_total_pixels});
  registry.add(
      {.class_name = "ImageScaleToMaxDimension",
       .category = "image/upscaling",
       .description = "Resizes a picture by its longer side and keeps its proportions.",
       .python_module = "comfy_extras.nodes_images",
       .inputs = {socket("image", "IMAGE"),
                  choice("upscale_method", {"area", "lanczos", "bilinear", "nearest-exact", "bilinear", "bicubic"}),
                  integer("largest_size", {.value = 512, .min = 0, .max = kMaxSide, .step = 1})},
       .outputs = {{"IMAGE"}},
       .run = image_scale_to_max_dimension});
  registry.add({.class_name = "ImageInvert",
                .display_name = "Invert Image",
                .category = "image",
                .description = "Turns colours into their opposites.",
                .inputs = {socket("image", "IMAGE")},
                .outputs = {{"IMAGE"}},
                .run = image_invert});
  registry.add({.class_name = "ImageBatch",
                .display_name = "Batch Images",
                .category = "image",
                .description = "Puts two pictures into one batch; the second takes the size of the first.",
                .inputs = {socket("image1", "IMAGE"), socket("image2", "IMAGE")},
                .outputs = {{"IMAGE"}},
                .is_deprecated = true,
                .run = image_batch});
  registry.add(
      {.class_name = "EmptyImage",
       .category = "image",
       .description = "A picture of one colour.",
       .inputs = {integer("width", {.value = 512, .min = 1, .max = kMaxSide, .step = 1}),
                  integer("height", {.value = 512, .min = 1, .max = kMaxSide, .step = 1}),
                  integer("batch_size", {.value = 1, .min = 1, .max = 4096}),
                  integer("color", {.value = 0, .min = 0, .max = 16777215, .step = 1}).with("display", "color")},
       .outputs = {{"IMAGE"}},
       .run = empty_image});
  registry.add(
      {.class_name = "ImagePadForOutpaint",
       .display_name = "Pad Image for Outpainting",
       .category = "image",
       .description = "Adds a border to a picture, and a mask of it, for drawing on beyond the edges.",
       .inputs = {socket("image", "IMAGE"), integer("left", {.value = 0, .min = 0, .max = kMaxSide, .step = 8}),
                  integer("top", {.value = 0, .min = 0, .max = kMaxSide, .step = 8}),
                  integer("right", {.value = 0, .min = 0, .max = kMaxSide, .step = 8}),
                  integer("bottom", {.value = 0, .min = 0, .max = kMaxSide, .step = 8}),
                  integer("feathering", {.value = 40, .min = 0, .max = kMaxSide, .step = 1})},
       .outputs = {{"IMAGE"}, {"MASK"}},
       .run = image_pad_for_outpaint});
  registry.add({.class_name = "RepeatImageBatch",
                .category = "image/batch",
                .description = "Repeats a batch.",
                .python_module = "comfy_extras.nodes_images",
                .inputs = {socket("image", "IMAGE"), integer("amount", {.value = 1, .min = 1, .max = 4096})},
                .outputs = {{"IMAGE"}},
                .run = repeat_image_batch});
  registry.add({.class_name = "ImageFromBatch",
                .category = "image/batch",
                .description = "Takes pictures out of a batch.",
                .python_module = "comfy_extras.nodes_images",
                .inputs = {socket("image", "IMAGE"), integer("batch_index", {.value = 0, .min = 0, .max = 4095}),
                           integer("length", {.value = 1, .min = 1, .max = 4096})},
                .outputs = {{"IMAGE"}},
                .run = image_from_batch});
  registry.add({.class_name = "GetImageSize",
                .display_name = "Get Image Size",
                .category = "image",
                .description = "Width, height and number of pictures.",
                .python_module = "comfy_extras.nodes_images",
                .inputs = {socket("image", "IMAGE"), hidden("unique_id", "UNIQUE_ID")},
                .outputs = {{"INT", "width"}, {"INT", "height"}, {"INT", "batch_size"}},
                .run = get_image_size});
}

}  // namespace hearth::workflow
