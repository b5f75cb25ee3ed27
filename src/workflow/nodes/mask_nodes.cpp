// Masks: made, cut, combined and grown.
#include <fmt/format.h>

#include "workflow/image/masks.h"
#include "workflow/nodes/common.h"

namespace hearth::workflow {
namespace {

NodeResult mask_to_image(NodeCall& call) {
  Tensor mask = mask_in(call, "mask");
  Tensor plane = mask.reshape({mask.dim(0), mask.dim(1), mask.dim(2), 1});
  return give(image_value(joined(call.memory(), {plane, plane, plane}, 3)));
}

NodeResult image_to_mask(NodeCall& call) {
  Tensor image = image_in(call, "image");
  std::string word = call.text("channel");
  int64_t channel = word == "red" ? 0 : word == "green" ? 1 : word == "blue" ? 2 : 3;
  if (channel >= image.dim(3)) {
    throw Error(Code::kInvalidArgument, fmt::format("the image has no {} channel: it has {}", word, image.dim(3)));
  }
  return give(
      image_value(sliced(call.memory(), image, 3, channel, 1).reshape({image.dim(0), image.dim(1), image.dim(2)})));
}

NodeResult image_color_to_mask(NodeCall& call) {
  return give(image_value(color_mask(call.memory(), image_in(call, "image"), call.integer("color"))));
}

NodeResult solid_mask(NodeCall& call) {
  Shape shape{1, call.integer("height"), call.integer("width")};
  return give(image_value(filled(call.memory(), shape, static_cast<float>(call.number("value")))));
}

NodeResult invert_mask(NodeCall& call) {
  return give(image_value(mapped(call.memory(), mask_in(call, "mask"), [](float v) { return 1.0f - v; })));
}

NodeResult crop_mask(NodeCall& call) {
  Tensor mask = mask_in(call, "mask");
  int64_t x = call.integer("x"), y = call.integer("y");
  if (x >= mask.dim(2) || y >= mask.dim(1)) {
    throw Error(Code::kInvalidArgument, fmt::format("({}, {}) lies outside of the mask {}", x, y, mask.shape().text()));
  }
  Tensor rows = sliced(call.memory(), mask, 1, y, std::min(call.integer("height"), mask.dim(1) - y));
  return give(image_value(sliced(call.memory(), rows, 2, x, std::min(call.integer("width"), mask.dim(2) - x))));
}

NodeResult mask_composite(NodeCall& call) {
  return give(image_value(composite_masks(call.memory(), mask_in(call, "destination"), mask_in(call, "source"),
                                          call.integer("x"), call.integer("y"), call.text("operation"))));
}

Edges edges_in(const NodeCall& call) {
  return {call.integer("left"), call.integer("top"), call.integer("right"), call.integer("bottom")};
}

NodeResult feather_mask(NodeCall& call) {
  return give(image_value(feathered(call.memory(), mask_in(call, "mask"), edges_in(call))));
}

NodeResult grow_mask(NodeCall& call) {
  return give(
      image_value(grown(call.memory(), mask_in(call, "mask"), call.integer("expand"), call.flag("tapered_corners"))));
}

NodeResult threshold_mask(NodeCall& call) {
  float limit = static_cast<float>(call.number("value"));
  return give(
      image_value(mapped(call.memory(), mask_in(call, "mask"), [limit](float v) { return v > limit ? 1.0f : 0.0f; })));
}

}  // namespace

void add_mask_nodes(Registry& registry) {
  registry.add({.class_name = "MaskToImage",
                .display_name = "Convert Mask to Image",
                .category = "mask",
                .description = "Makes a grey picture of a mask.",
                .python_module = "comfy_extras.nodes_mask",
                .inputs = {socket("mask", "MASK")},
                .outputs = {{"IMAGE"}},
                .run = mask_to_image});
  registry.add({.class_name = "ImageToMask",
                .display_name = "Convert Image to Mask",
                .category = "mask",
                .description = "Makes a mask of one channel of a picture.",
                .python_module = "comfy_extras.nodes_mask",
                .inputs = {socket("image", "IMAGE"), choice("channel", {"red", "green", "blue", "alpha"})},
                .outputs = {{"MASK"}},
                .run = image_to_mask});
  registry.add(
      {.class_name = "ImageColorToMask",
       .category = "mask",
       .description = "A mask of the pixels that have one colour.",
       .python_module = "comfy_extras.nodes_mask",
       .inputs = {socket("image", "IMAGE"),
                  integer("color", {.value = 0, .min = 0, .max = 16777215, .step = 1}).with("display", "number")},
       .outputs = {{"MASK"}},
       .run = image_color_to_mask});
  registry.add({.class_name = "SolidMask",
                .category = "mask",
                .description = "A mask of one value.",
                .python_module = "comfy_extras.nodes_mask",
                .inputs = {number("value", {.value = 1.0, .min = 0.0, .max = 1.0, .step = 0.01}),
                           integer("width", {.value = 512, .min = 1, .max = kMaxSide, .step = 1}),
                           integer("height", {.value = 512, .min = 1, .max = kMaxSide, .step = 1})},
                .outputs = {{"MASK"}},
                .run = solid_mask});
  registry.add({.class_name = "InvertMask",
                .category = "mask",
                .description = "Turns inside and outside round.",
                .python_module = "comfy_extras.nodes_mask",
                .inputs = {socket("mask", "MASK")},
                .outputs = {{"MASK"}},
                .run = invert_mask});
  registry.add({.class_name = "CropMask",
                .category = "mask",
                .description = "Cuts a rectangle out of a mask.",
                .python_module = "comfy_extras.nodes_mask",
                .inputs = {socket("mask", "MASK"), integer("x", {.value = 0, .min = 0, .max = kMaxSide, .step = 1}),
                           integer("y", {.value = 0, .min = 0, .max = kMaxSide, .step = 1}),
                           integer("width", {.value = 512, .min = 1, .max = kMaxSide, .step = 1}),
                           integer("height", {.value = 512, .min = 1, .max = kMaxSide, .step = 1})},
                .outputs = {{"MASK"}},
                .run = crop_mask});
  registry.add({.class_name = "MaskComposite",
                .category = "mask",
                .description = "Combines two masks.",
                .python_module = "comfy_extras.nodes_mask",
                .inputs = {socket("destination", "MASK"), socket("source", "MASK"),
                           integer("x", {.value = 0, .min = 0, .max = kMaxSide, .step = 1}),
                           integer("y", {.value = 0, .min = 0, .max = kMaxSide, .step = 1}),
                           choice("operation", {"multiply", "add", "subtract", "and", "or", "xor"})},
                .outputs = {{"MASK"}},
                .run = mask_composite});
  registry.add({.class_name = "FeatherMask",
                .category = "mask",
                .description = "Fades a mask towards its edges.",
                .python_module = "comfy_extras.nodes_mask",
                .inputs = {socket("mask", "MASK"), integer("left", {.value = 0, .min = 0, .max = kMaxSide, .step = 1}),
                           integer("top", {.value = 0, .min = 0, .max = kMaxSide, .step = 1}),
                           integer("right", {.value = 0, .min = 0, .max = kMaxSide, .step = 1}),
                           integer("bottom", {.value = 0, .min = 0, .max = kMaxSide, .step = 1})},
                .outputs = {{"MASK"}},
                .run = feather_mask});
  registry.add(
      {.class_name = "GrowMask",
       .display_name = "Grow Mask",
       .category = "mask",
       .description = "Grows or shrinks a mask.",
       .python_module = "comfy_extras.nodes_mask",
       .inputs = {socket("mask", "MASK"), integer("expand", {.value = 0, .min = -16384, .max = kMaxSide, .step = 1}),
                  boolean("tapered_corners", true)},
       .outputs = {{"MASK"}},
       .run = grow_mask});
  registry.add(
      {.class_name = "ThresholdMask",
       .category = "mask",
       .description = "Makes a mask black and white.",
       .python_module = "comfy_extras.nodes_mask",
       .inputs = {socket("mask", "MASK"), number("value", {.value = 0.5, .min = 0.0, .max = 1.0, .step = 0.01})},
       .outputs = {{"MASK"}},
       .run = threshold_mask});
}

}  // namespace hearth::workflow
