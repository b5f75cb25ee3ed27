// Pictures: blending, blurring, sharpening, alpha.
#include <algorithm>

#include <fmt/format.h>

#include "ops/resample/blur.h"
#include "workflow/image/composite.h"
#include "workflow/nodes/common.h"

namespace hearth::workflow {
namespace {

NodeResult image_blend(NodeCall& call) {
  Allocator& memory = call.memory();
  Tensor first = image_in(call, "image1"), second = with_channels_of(memory, first, image_in(call, "image2"));
  if (first.dim(1) != second.dim(1) || first.dim(2) != second.dim(2)) {
    Resize fit{.width = first.dim(2), .height = first.dim(1), .method = Resampling::kBicubic, .is_cropped = true};
    second = resized(memory, second, MapOrder::kNhwc, fit);
  }
  if (first.dim(0) == 1) first = repeated_to(memory, first, second.dim(0));
  if (second.dim(0) == 1) second = repeated_to(memory, second, first.dim(0));
  if (!(first.shape() == second.shape())) {
    throw Error(Code::kInvalidArgument,
                fmt::format("cannot blend {} with {}", first.shape().text(), second.shape().text()));
  }
  return give(image_value(blended(memory, first, second, call.number("blend_factor"), call.text("blend_mode"))));
}

NodeResult image_blur(NodeCall& call) {
  Tensor image = image_in(call, "image"), out = make_tensor(call.memory(), image.shape());
  MapShape shape = map_shape(image, MapOrder::kNhwc);
  gaussian_blur({image.data<const float>(), shape}, {out.data<float>(), shape},
                static_cast<int>(call.integer("blur_radius")), static_cast<float>(call.number("sigma")));
  return give(image_value(std::move(out)));
}

NodeResult image_sharpen(NodeCall& call) {
  Tensor image = image_in(call, "image"), out = make_tensor(call.memory(), image.shape());
  MapShape shape = map_shape(image, MapOrder::kNhwc);
  sharpen({image.data<const float>(), shape}, {out.data<float>(), shape},
          static_cast<int>(call.integer("sharpen_radius")), static_cast<float>(call.number("sigma")),
          static_cast<float>(call.number("alpha")));
  return give(image_value(std::move(out)));
}

NodeResult image_composite_masked(NodeCall& call) {
  Tensor destination = image_in(call, "destination");
  Tensor source = with_channels_of(call.memory(), destination, image_in(call, "source"));
  Tensor mask = call.has("mask") ? mask_in(call, "mask") : Tensor();
  Paste paste{.x = call.integer("x"), .y = call.integer("y"), .is_source_resized = call.flag("resize_source")};
  return give(image_value(pasted(call.memory(), destination, source, mask, paste)));
}

NodeResult split_image_with_alpha(NodeCall& call) {
  Tensor image = image_in(call, "image");
  Shape plane{image.dim(0), image.dim(1), image.dim(2)};
  Tensor mask = make_tensor(call.memory(), plane);
  if (image.dim(3) > 3) {
    Tensor alpha = sliced(call.memory(), image, 3, 3, 1).reshape(plane);
    mask = mapped(call.memory(), alpha, [](float v) { return 1.0f - v; });
  }
  Tensor color = sliced(call.memory(), image, 3, 0, std::min<int64_t>(3, image.dim(3)));
  return give(image_value(std::move(color)), image_value(std::move(mask)));
}

NodeResult join_image_with_alpha(NodeCall& call) {
  Allocator& memory = call.memory();
  Tensor image = image_in(call, "image"), mask = mask_in(call, "alpha");
  int64_t batch = std::min(image.dim(0), mask.dim(0));
  mask = resized(memory, repeated_to(memory, mask, batch), MapOrder::kNhwc,
                 {.width = image.dim(2), .height = image.dim(1)});
  Tensor alpha = mapped(memory, mask, [](float v) { return 1.0f - v; });
  Tensor color = sliced(memory, repeated_to(memory, image, batch), 3, 0, std::min<int64_t>(3, image.dim(3)));
  return give(image_value(joined(memory, {color, alpha.reshape({batch, image.dim(1), image.dim(2), 1})}, 3)));
}

// The first `batch` members in the size of the destination.
Tensor fitted(Allocator& memory, const Tensor& from, int64_t batch, int64_t height, int64_t width) {
  Tensor first = repeated_to(memory, from, batch);
  if (first.dim(1) == height && first.dim(2) == width) return first;
  Resize fit{.width = width, .height = height, .method = Resampling::kBicubic, .is_cropped = true};
  return resized(memory, first, MapOrder::kNhwc, fit);
}

NodeResult porter_duff_image_composite(NodeCall& call) {
  Tensor source = image_in(call, "source"), destination = image_in(call, "destination");
  Tensor source_alpha = mask_in(call, "source_alpha"), destination_alpha = mask_in(call, "destination_alpha");
  if (source.dim(3) != destination.dim(3)) {
    throw Error(Code::kInvalidArgument, "source and destination need equally many channels");
  }
  int64_t batch = std::min({source.dim(0), source_alpha.dim(0), destination.dim(0), destination_alpha.dim(0)});
  auto fit = [&](const Tensor& t) { return fitted(call.memory(), t, batch, destination.dim(1), destination.dim(2)); };
  MaskedImage out = porter_duff(call.memory(), {fit(source), fit(source_alpha)},
                                {fit(destination), fit(destination_alpha)}, call.text("mode"));
  return give(image_value(std::move(out.image)), image_value(std::move(out.mask)));
}

}  // namespace

void add_image_filter_nodes(Registry& registry) {
  registry.add(
      {.class_name = "ImageBlend",
       .display_name = "Image Blend",
       .category = "image/postprocessing",
       .description = "Blends two pictures.",
       .python_module = "comfy_extras.nodes_post_processing",
       .inputs = {socket("image1", "IMAGE"), socket("image2", "IMAGE"),
                  number("blend_factor", {.value = 0.5, .min = 0.0, .max = 1.0, .step = 0.01}),
                  choice("blend_mode", {"normal", "multiply", "screen", "overlay", "soft_light", "difference"})},
       .outputs = {{"IMAGE"}},
       .run = image_blend});
  registry.add(
      {.class_name = "ImageBlur",
       .display_name = "Image Blur",
       .category = "image/postprocessing",
       .description = "Blurs a picture.",
       .python_module = "comfy_extras.nodes_post_processing",
       .inputs = {socket("image", "IMAGE"), integer("blur_radius", {.value = 1, .min = 1, .max = 31, .step = 1}),
                  number("sigma", {.value = 1.0, .min = 0.1, .max = 10.0, .step = 0.1})},
       .outputs = {{"IMAGE"}},
       .run = image_blur});
  registry.add(
      {.class_name = "ImageSharpen",
       .display_name = "Image Sharpen",
       .category = "image/postprocessing",
       .description = "Sharpens a picture.",
       .python_module = "comfy_extras.nodes_post_processing",
       .inputs = {socket("image", "IMAGE"), integer("sharpen_radius", {.value = 1, .min = 1, .max = 31, .step = 1}),
                  number("sigma", {.value = 1.0, .min = 0.1, .max = 10.0, .step = 0.01}),
                  number("alpha", {.value = 1.0, .min = 0.0, .max = 5.0, .step = 0.01})},
       .outputs = {{"IMAGE"}},
       .run = image_sharpen});
  registry.add({.class_name = "ImageCompositeMasked",
                .category = "image",
                .description = "Pastes one picture onto another, through a mask if there is one.",
                .python_module = "comfy_extras.nodes_mask",
                .inputs = {socket("destination", "IMAGE"), socket("source", "IMAGE"),
                           integer("x", {.value = 0, .min = 0, .max = kMaxSide, .step = 1}),
                           integer("y", {.value = 0, .min = 0, .max = kMaxSide, .step = 1}),
                           boolean("resize_source", false), socket("mask", "MASK").optional()},
                .outputs = {{"IMAGE"}},
                .run = image_composite_masked});
  registry.add({.class_name = "SplitImageWithAlpha",
                .display_name = "Split Image with Alpha",
                .category = "mask/compositing",
                .description = "Takes the alpha channel off a picture, as a mask that is 1 where it was transparent.",
                .python_module = "comfy_extras.nodes_compositing",
                .inputs = {socket("image", "IMAGE")},
                .outputs = {{"IMAGE"}, {"MASK"}},
                .run = split_image_with_alpha});
  registry.add({.class_name = "JoinImageWithAlpha",
                .display_name = "Join Image with Alpha",
                .category = "mask/compositing",
                .description = "Makes a picture transparent where a mask is 1.",
                .python_module = "comfy_extras.nodes_compositing",
                .inputs = {socket("image", "IMAGE"), socket("alpha", "MASK")},
                .outputs = {{"IMAGE"}},
                .run = join_image_with_alpha});
  registry.add({.class_name = "PorterDuffImageComposite",
                .display_name = "Porter-Duff Image Composite",
                .category = "mask/compositing",
                .description = "Lays one picture with transparency over another.",
                .python_module = "comfy_extras.nodes_compositing",
                .inputs = {socket("source", "IMAGE"), socket("source_alpha", "MASK"), socket("destination", "IMAGE"),
                           socket("destination_alpha", "MASK"),
                           choice("mode", {"ADD", "CLEAR", "DARKEN", "DST", "DST_ATOP", "DST_IN", "DST_OUT", "DST_OVER",
                                           "LIGHTEN", "MULTIPLY", "OVERLAY", "SCREEN", "SRC", "SRC_ATOP", "SRC_IN",
                                           "SRC_OUT", "SRC_OVER", "XOR"})
                               .with("default", "DST")},
                .outputs = {{"IMAGE"}, {"MASK"}},
                .run = porter_duff_image_composite});
}

}  // namespace hearth::workflow
