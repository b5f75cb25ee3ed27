// Conditioning: what the words mean, where and when they count.
#include <algorithm>

#include <fmt/format.h>

#include "workflow/image/inpaint.h"
#include "workflow/nodes/common.h"
#include "workflow/picture_work.h"

namespace hearth::workflow {
namespace {

using diffuse::Condition;
using diffuse::Conditioning;

Conditioning conditioning_in(const NodeCall& call, std::string_view name) { return call.get<Conditioning>(name); }

// Every entry changed by `f`.
template <class F>
NodeResult changed(NodeCall& call, F f) {
  Conditioning all = conditioning_in(call, "conditioning");
  for (Condition& one : all) f(one);
  return give(conditioning_value(std::move(all)));
}

const Condition& first_of(const Conditioning& conditioning) {
  if (conditioning.empty()) throw Error(Code::kInvalidArgument, "the conditioning has no entries");
  return conditioning[0];
}

NodeResult conditioning_combine(NodeCall& call) {
  Conditioning all = conditioning_in(call, "conditioning_1"), more = conditioning_in(call, "conditioning_2");
  all.insert(all.end(), more.begin(), more.end());
  return give(conditioning_value(std::move(all)));
}

NodeResult conditioning_concat(NodeCall& call) {
  Conditioning all = conditioning_in(call, "conditioning_to"), more = conditioning_in(call, "conditioning_from");
  for (Condition& one : all) one.context = joined(call.memory(), {one.context, first_of(more).context}, 1);
  return give(conditioning_value(std::move(all)));
}

// a * weight + b * (1 - weight)
Tensor mixed(Allocator& memory, const Tensor& a, const Tensor& b, double weight) {
  if (!(a.shape() == b.shape())) {
    throw Error(Code::kInvalidArgument,
                fmt::format("conditionings of {} and {} cannot be averaged: their text encoders "
                            "differ",
                            a.shape().text(), b.shape().text()));
  }
  Tensor out = make_tensor(memory, a.shape());
  float take = static_cast<float>(weight), rest = static_cast<float>(1.0 - weight);
  for (int64_t i = 0; i < out.numel(); ++i) {
    out.data<float>()[i] = a.data<float>()[i] * take + b.data<float>()[i] * rest;
  }
  return out;
}

// As many tokens as `length`: the rest cut off, or zeros behind.
Tensor with_tokens(Allocator& memory, const Tensor& context, int64_t length) {
  if (context.dim(1) >= length) return sliced(memory, context, 1, 0, length);
  Tensor zeros = make_tensor(memory, {context.dim(0), length - context.dim(1), context.dim(2)});
  return joined(memory, {context, zeros}, 1);
}

NodeResult conditioning_average(NodeCall& call) {
  Conditioning all = conditioning_in(call, "conditioning_to"), others = conditioning_in(call, "conditioning_from");
  const Condition& from = first_of(others);
  double strength = call.number("conditioning_to_strength");
  for (Condition& one : all) {
    Tensor other = with_tokens(call.memory(), from.context, one.context.dim(1));
    one.context = mixed(call.memory(), one.context, other, strength);
    if (from.pooled) one.pooled = one.pooled ? mixed(call.memory(), one.pooled, from.pooled, strength) : from.pooled;
  }
  return give(conditioning_value(std::move(all)));
}

NodeResult conditioning_set_area(NodeCall& call) {
  auto eighth = [&](std::string_view name) { return static_cast<double>(call.integer(name) / 8); };
  return changed(call, [&](Condition& one) {
    one.area = diffuse::Area{.height = eighth("height"), .width = eighth("width"), .y = eighth("y"), .x = eighth("x")};
    one.strength = static_cast<float>(call.number("strength"));
    one.set_area_to_bounds = false;
  });
}

NodeResult conditioning_set_area_percentage(NodeCall& call) {
  return changed(call, [&](Condition& one) {
    one.area = diffuse::Area{.is_fraction = true,
                             .height = call.number("height"),
                             .width = call.number("width"),
                             .y = call.number("y"),
                             .x = call.number("x")};
    one.strength = static_cast<float>(call.number("strength"));
    one.set_area_to_bounds = false;
  });
}

NodeResult conditioning_set_area_strength(NodeCall& call) {
  return changed(call, [&](Condition& one) { one.strength = static_cast<float>(call.number("strength")); });
}

NodeResult conditioning_set_mask(NodeCall& call) {
  Tensor mask = mask_in(call, "mask");
  return changed(call, [&](Condition& one) {
    one.mask = mask;
    one.set_area_to_bounds = call.text("set_cond_area") != "default";
    one.mask_strength = static_cast<float>(call.number("strength"));
  });
}

NodeResult conditioning_zero_out(NodeCall& call) {
  return changed(call, [&](Condition& one) {
    one.context = make_tensor(call.memory(), one.context.shape());
    if (one.pooled) one.pooled = make_tensor(call.memory(), one.pooled.shape());
  });
}

NodeResult conditioning_set_timestep_range(NodeCall& call) {
  return changed(call, [&](Condition& one) {
    one.start_percent = call.number("start");
    one.end_percent = call.number("end");
  });
}

NodeResult inpaint_model_conditioning(NodeCall& call) {
  diffuse::Vae vae = call.get<diffuse::Vae>("vae");
  Tensor pixels = image_in(call, "pixels");
  Inpaint inpaint = prepare_inpaint(call.memory(), pixels, mask_in(call, "mask"));
  diffuse::Watch watch = watch_of(call);
  Tensor masked = call.pictures().encode(vae, inpaint.pixels, {}, watch);
  diffuse::Latent latent;
  latent.samples = call.pictures().encode(vae, inpaint.original, {}, watch);
  if (call.flag("noise_mask")) latent.noise_mask = inpaint.mask;
  auto with_picture = [&](std::string_view name) {
    Conditioning all = conditioning_in(call, name);
    for (Condition& one : all) {
      one.concat_latent = masked;
      one.concat_mask = inpaint.mask;
    }
    return conditioning_value(std::move(all));
  };
  return give(with_picture("positive"), with_picture("negative"), latent_value(std::move(latent)));
}

}  // namespace

void add_conditioning_nodes(Registry& registry) {
  registry.add({.class_name = "ConditioningCombine",
                .display_name = "Conditioning (Combine)",
                .category = "conditioning",
                .description = "Lets two prompts count side by side: the model looks at each, and what it sees is "
                               "averaged.",
                .inputs = {socket("conditioning_1", "CONDITIONING"), socket("conditioning_2", "CONDITIONING")},
                .outputs = {{"CONDITIONING"}},
                .run = conditioning_combine});
  registry.add({.class_name = "ConditioningAverage",
                .category = "conditioning",
                .description = "Mixes two encoded prompts into one that lies between them.",
                .inputs = {socket("conditioning_to", "CONDITIONING"), socket("conditioning_from", "CONDITIONING"),
                           number("conditioning_to_strength", {.value = 1.0, .min = 0.0, .max = 1.0, .step = 0.01})},
                .outputs = {{"CONDITIONING"}},
                .run = conditioning_average});
  registry.add({.class_name = "ConditioningConcat",
                .display_name = "Conditioning (Concat)",
                .category = "conditioning",
                .description = "Puts one encoded prompt behind another, as if it were one longer prompt.",
                .inputs = {socket("conditioning_to", "CONDITIONING"), socket("conditioning_from", "CONDITIONING")},
                .outputs = {{"CONDITIONING"}},
                .run = conditioning_concat});
  registry.add({.class_name = "ConditioningSetArea",
                .display_name = "Conditioning (Set Area)",
                .category = "conditioning",
                .description = "Lets a prompt count in a rectangle only.",
                .inputs = {socket("conditioning", "CONDITIONING"),
                           integer("width", {.value = 64, .min = 64, .max = kMaxSide, .step = 8}),
                           integer("height", {.value = 64, .min = 64, .max = kMaxSide, .step = 8}),
                           integer("x", {.value = 0, .min = 0, .max = kMaxSide, .step = 8}),
                           integer("y", {.value = 0, .min = 0, .max = kMaxSide, .step = 8}),
                           number("strength", {.value = 1.0, .min = 0.0, .max = 10.0, .step = 0.01})},
                .outputs = {{"CONDITIONING"}},
                .run = conditioning_set_area});
  registry.add({.class_name = "ConditioningSetAreaPercentage",
                .display_name = "Conditioning (Set Area with Percentage)",
                .category = "conditioning",
                .description = "Lets a prompt count in a rectangle only, given in parts of the picture.",
                .inputs = {socket("conditioning", "CONDITIONING"),
                           number("width", {.value = 1.0, .min = 0, .max = 1.0, .step = 0.01}),
                           number("height", {.value = 1.0, .min = 0, .max = 1.0, .step = 0.01}),
                           number("x", {.value = 0, .min = 0, .max = 1.0, .step = 0.01}),
                           number("y", {.value = 0, .min = 0, .max = 1.0, .step = 0.01}),
                           number("strength", {.value = 1.0, .min = 0.0, .max = 10.0, .step = 0.01})},
                .outputs = {{"CONDITIONING"}},
                .run = conditioning_set_area_percentage});
  registry.add({.class_name = "ConditioningSetAreaStrength",
                .category = "conditioning",
                .description = "Sets how much a prompt weighs where areas overlap.",
                .inputs = {socket("conditioning", "CONDITIONING"),
                           number("strength", {.value = 1.0, .min = 0.0, .max = 10.0, .step = 0.01})},
                .outputs = {{"CONDITIONING"}},
                .run = conditioning_set_area_strength});
  registry.add({.class_name = "ConditioningSetMask",
                .display_name = "Conditioning (Set Mask)",
                .category = "conditioning",
                .description = "Lets a prompt count inside a mask only.",
                .inputs = {socket("conditioning", "CONDITIONING"), socket("mask", "MASK"),
                           number("strength", {.value = 1.0, .min = 0.0, .max = 10.0, .step = 0.01}),
                           choice("set_cond_area", {"default", "mask bounds"})},
                .outputs = {{"CONDITIONING"}},
                .run = conditioning_set_mask});
  registry.add({.class_name = "ConditioningZeroOut",
                .category = "advanced/conditioning",
                .description = "Empties an encoded prompt: zeros instead of words.",
                .inputs = {socket("conditioning", "CONDITIONING")},
                .outputs = {{"CONDITIONING"}},
                .run = conditioning_zero_out});
  registry.add({.class_name = "ConditioningSetTimestepRange",
                .category = "advanced/conditioning",
                .description = "Lets a prompt count in a part of the sampling only.",
                .inputs = {socket("conditioning", "CONDITIONING"),
                           number("start", {.value = 0.0, .min = 0.0, .max = 1.0, .step = 0.001}),
                           number("end", {.value = 1.0, .min = 0.0, .max = 1.0, .step = 0.001})},
                .outputs = {{"CONDITIONING"}},
                .run = conditioning_set_timestep_range});
  registry.add({.class_name = "InpaintModelConditioning",
                .category = "conditioning/inpaint",
                .description = "Tells an inpaint model which part of a picture to make anew, and what is around it.",
                .inputs = {socket("positive", "CONDITIONING"), socket("negative", "CONDITIONING"), socket("vae", "VAE"),
                           socket("pixels", "IMAGE"), socket("mask", "MASK"), boolean("noise_mask", true)},
                .outputs = {{"CONDITIONING", "positive"}, {"CONDITIONING", "negative"}, {"LATENT", "latent"}},
                .run = inpaint_model_conditioning});
}

}  // namespace hearth::workflow
