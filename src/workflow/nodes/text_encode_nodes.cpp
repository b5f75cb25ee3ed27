// Words to conditioning.
#include "workflow/nodes/common.h"
#include "workflow/picture_work.h"

namespace hearth::workflow {
namespace {

diffuse::Condition encoded(const NodeCall& call, const diffuse::PromptWords& words) {
  return call.pictures().encode_text(call.get<diffuse::TextEncoder>("clip"), words, watch_of(call));
}

NodeResult clip_text_encode(NodeCall& call) {
  std::string words = call.text("text");
  return give(conditioning_value({encoded(call, {words, words})}));
}

NodeResult clip_text_encode_sdxl(NodeCall& call) {
  diffuse::Condition one = encoded(call, {call.text("text_l"), call.text("text_g")});
  one.size = diffuse::SizeConditioning{.width = call.integer("width"),
                                       .height = call.integer("height"),
                                       .crop_w = call.integer("crop_w"),
                                       .crop_h = call.integer("crop_h"),
                                       .target_width = call.integer("target_width"),
                                       .target_height = call.integer("target_height")};
  return give(conditioning_value({std::move(one)}));
}

NodeResult clip_text_encode_sdxl_refiner(NodeCall& call) {
  std::string words = call.text("text");
  diffuse::Condition one = encoded(call, {words, words});
  one.aesthetic_score = static_cast<float>(call.number("ascore"));
  one.size = diffuse::SizeConditioning{.width = call.integer("width"), .height = call.integer("height")};
  return give(conditioning_value({std::move(one)}));
}

NodeResult clip_set_last_layer(NodeCall& call) {
  diffuse::TextEncoder clip = call.get<diffuse::TextEncoder>("clip");
  clip.last_layer = static_cast<int>(call.integer("stop_at_clip_layer"));
  return give(clip_value(std::move(clip)));
}

}  // namespace

void add_text_encode_nodes(Registry& registry) {
  registry.add({.class_name = "CLIPTextEncode",
                .display_name = "CLIP Text Encode (Prompt)",
                .category = "conditioning",
                .description = "Encodes a prompt.",
                .inputs = {long_text("text"), socket("clip", "CLIP")},
                .outputs = {{"CONDITIONING"}},
                .run = clip_text_encode});
  registry.add({.class_name = "CLIPTextEncodeSDXL",
                .category = "advanced/conditioning",
                .description = "Encodes a prompt for SDXL, with the sizes the model is told.",
                .python_module = "comfy_extras.nodes_clip_sdxl",
                .inputs = {socket("clip", "CLIP"), integer("width", {.value = 1024, .min = 0, .max = kMaxSide}),
                           integer("height", {.value = 1024, .min = 0, .max = kMaxSide}),
                           integer("crop_w", {.value = 0, .min = 0, .max = kMaxSide}),
                           integer("crop_h", {.value = 0, .min = 0, .max = kMaxSide}),
                           integer("target_width", {.value = 1024, .min = 0, .max = kMaxSide}),
                           integer("target_height", {.value = 1024, .min = 0, .max = kMaxSide}), long_text("text_g"),
                           long_text("text_l")},
                .outputs = {{"CONDITIONING"}},
                .run = clip_text_encode_sdxl});
  registry.add({.class_name = "CLIPTextEncodeSDXLRefiner",
                .category = "advanced/conditioning",
                .description = "Encodes a prompt for SDXL's refiner.",
                .python_module = "comfy_extras.nodes_clip_sdxl",
                .inputs = {number("ascore", {.value = 6.0, .min = 0.0, .max = 1000.0, .step = 0.01}),
                           integer("width", {.value = 1024, .min = 0, .max = kMaxSide}),
                           integer("height", {.value = 1024, .min = 0, .max = kMaxSide}), long_text("text"),
                           socket("clip", "CLIP")},
                .outputs = {{"CONDITIONING"}},
                .run = clip_text_encode_sdxl_refiner});
  registry.add({.class_name = "CLIPSetLastLayer",
                .display_name = "CLIP Set Last Layer",
                .category = "conditioning",
                .description = "Takes the prompt from an earlier layer of the text encoder (CLIP skip).",
                .inputs = {socket("clip", "CLIP"),
                           integer("stop_at_clip_layer", {.value = -1, .min = -24, .max = -1, .step = 1})},
                .outputs = {{"CLIP"}},
                .run = clip_set_last_layer});
}

}  // namespace hearth::workflow
