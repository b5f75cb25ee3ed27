// Latents: made, resized, cut, repeated, put together.
#include <algorithm>
#include <cmath>

#include "workflow/image/composite.h"
#include "workflow/nodes/common.h"

namespace hearth::workflow {
namespace {

using diffuse::Latent;

// The same latent with other samples.
NodeResult with_samples(Latent latent, Tensor samples) {
  latent.samples = std::move(samples);
  return give(latent_value(std::move(latent)));
}

NodeResult empty(NodeCall& call, int64_t channels) {
  Shape shape{call.integer("batch_size"), channels, call.integer("height") / 8, call.integer("width") / 8};
  return with_samples({}, make_tensor(call.memory(), shape));
}

NodeResult empty_latent_image(NodeCall& call) { return empty(call, 4); }
NodeResult empty_sd3_latent_image(NodeCall& call) { return empty(call, 16); }

NodeResult latent_upscale(NodeCall& call) {
  Latent latent = latent_in(call, "samples");
  int64_t width = call.integer("width"), height = call.integer("height");
  if (width == 0 && height == 0) return with_samples(latent, latent.samples);
  double h = static_cast<double>(latent.samples.dim(2)), w = static_cast<double>(latent.samples.dim(3));
  // Never below 64 pixels, as a UNet needs.
  if (width == 0)
    width = static_cast<int64_t>(std::nearbyint(w * static_cast<double>(std::max<int64_t>(64, height)) / h));
  if (height == 0)
    height = static_cast<int64_t>(std::nearbyint(h * static_cast<double>(std::max<int64_t>(64, width)) / w));
  Resize resize{.width = std::max<int64_t>(64, width) / 8,
                .height = std::max<int64_t>(64, height) / 8,
                .method = resampling_in(call, "upscale_method"),
                .is_cropped = call.text("crop") == "center"};
  return with_samples(latent, resized(call.memory(), latent.samples, MapOrder::kNchw, resize));
}

NodeResult latent_upscale_by(NodeCall& call) {
  Latent latent = latent_in(call, "samples");
  double scale = call.number("scale_by");
  auto side = [&](int64_t from) {
    return std::max<int64_t>(1, static_cast<int64_t>(std::nearbyint(static_cast<double>(from) * scale)));
  };
  Resize resize{.width = side(latent.samples.dim(3)),
                .height = side(latent.samples.dim(2)),
                .method = resampling_in(call, "upscale_method")};
  return with_samples(latent, resized(call.memory(), latent.samples, MapOrder::kNchw, resize));
}

NodeResult latent_from_batch(NodeCall& call) {
  Latent latent = latent_in(call, "samples");
  int64_t batch = latent.samples.dim(0), first = call.integer("batch_index");
  first = first < 0 ? std::max<int64_t>(0, batch + first) : std::min(batch - 1, first);
  int64_t length = std::min(batch - first, call.integer("length"));
  if (latent.noise_mask && latent.noise_mask.dim(0) > 1) {
    Tensor masks = repeated_to(call.memory(), latent.noise_mask, std::max(batch, latent.noise_mask.dim(0)));
    latent.noise_mask = sliced(call.memory(), masks, 0, first, length);
  }
  std::vector<int64_t> members;
  for (int64_t i = first; i < first + length; ++i) {
    bool is_known = i < static_cast<int64_t>(latent.batch_index.size());
    members.push_back(is_known ? latent.batch_index[static_cast<size_t>(i)] : i);
  }
  latent.batch_index = std::move(members);
  return with_samples(latent, sliced(call.memory(), latent.samples, 0, first, length));
}

NodeResult repeat_latent_batch(NodeCall& call) {
  Latent latent = latent_in(call, "samples");
  int64_t amount = call.integer("amount"), batch = latent.samples.dim(0);
  if (latent.noise_mask && latent.noise_mask.dim(0) > 1) {
    Tensor masks = repeated_to(call.memory(), latent.noise_mask, std::max(batch, latent.noise_mask.dim(0)));
    latent.noise_mask = repeated_to(call.memory(), masks, masks.dim(0) * amount);
  }
  if (!latent.batch_index.empty()) {
    // Every copy counts on above the highest index, so that each member draws noise of its own.
    auto [low, high] = std::minmax_element(latent.batch_index.begin(), latent.batch_index.end());
    int64_t offset = *high - *low + 1;
    std::vector<int64_t> first = latent.batch_index;
    for (int64_t i = 1; i < amount; ++i) {
      for (int64_t index : first) latent.batch_index.push_back(index + i * offset);
    }
  }
  return with_samples(latent, repeated_to(call.memory(), latent.samples, batch * amount));
}

// 1 inside, rising in steps over `feather` latent pixels from each edge that lies inside the other latent.
Tensor feather_weights(Allocator& memory, const Tensor& onto, const Tensor& part, const Paste& place, int64_t feather) {
  int64_t height = part.dim(2), width = part.dim(3);
  Tensor weights = filled(memory, {1, height, width}, 1.0f);
  float* w = weights.data<float>();
  bool fades_bottom = place.y + height < onto.dim(2), fades_right = place.x + width < onto.dim(3);
  for (int64_t t = 0; t < feather; ++t) {
    float rate = static_cast<float>(1.0 / static_cast<double>(feather) * static_cast<double>(t + 1));
    for (int64_t x = 0; x < width; ++x) {
      if (place.y != 0 && t < height) w[t * width + x] *= rate;
      if (fades_bottom && t < height) w[(height - 1 - t) * width + x] *= rate;
    }
    for (int64_t y = 0; y < height; ++y) {
      if (place.x != 0 && t < width) w[y * width + t] *= rate;
      if (fades_right && t < width) w[y * width + width - 1 - t] *= rate;
    }
  }
  return weights;
}

NodeResult latent_composite(NodeCall& call) {
  Latent onto = latent_in(call, "samples_to"), part = latent_in(call, "samples_from");
  Paste place{.order = MapOrder::kNchw, .x = call.integer("x") / 8, .y = call.integer("y") / 8};
  int64_t feather = call.integer("feather") / 8, rows = onto.samples.dim(2) - place.y,
          columns = onto.samples.dim(3) - place.x;
  if (rows <= 0 || columns <= 0) return with_samples(onto, onto.samples);
  Tensor source = sliced(call.memory(), part.samples, 2, 0, std::min(rows, part.samples.dim(2)));
  source = sliced(call.memory(), source, 3, 0, std::min(columns, source.dim(3)));
  Tensor weights = feather > 0 ? feather_weights(call.memory(), onto.samples, source, place, feather) : Tensor();
  return with_samples(onto, pasted(call.memory(), onto.samples, source, weights, place));
}

NodeResult latent_composite_masked(NodeCall& call) {
  Latent onto = latent_in(call, "destination"), part = latent_in(call, "source");
  Tensor mask = call.has("mask") ? mask_in(call, "mask") : Tensor();
  Paste place{.order = MapOrder::kNchw,
              .x = call.integer("x"),
              .y = call.integer("y"),
              .unit = 8,
              .is_source_resized = call.flag("resize_source")};
  return with_samples(onto, pasted(call.memory(), onto.samples, part.samples, mask, place));
}

NodeResult latent_blend(NodeCall& call) {
  Latent a = latent_in(call, "samples1"), b = latent_in(call, "samples2");
  Tensor second = b.samples;
  if (second.dim(2) != a.samples.dim(2) || second.dim(3) != a.samples.dim(3)) {
    Resize fit{
        .width = a.samples.dim(3), .height = a.samples.dim(2), .method = Resampling::kBicubic, .is_cropped = true};
    second = resized(call.memory(), second, MapOrder::kNchw, fit);
  }
  second = repeated_to(call.memory(), second, a.samples.dim(0));
  float factor = static_cast<float>(call.number("blend_factor"));
  Tensor out = make_tensor(call.memory(), a.samples.shape());
  for (int64_t i = 0; i < out.numel(); ++i) {
    out.data<float>()[i] = a.samples.data<float>()[i] * factor + second.data<float>()[i] * (1 - factor);
  }
  return with_samples(a, std::move(out));
}

NodeResult latent_rotate(NodeCall& call) {
  Latent latent = latent_in(call, "samples");
  std::string word = call.text("rotation");
  int turns = word.starts_with("90") ? 1 : word.starts_with("180") ? 2 : word.starts_with("270") ? 3 : 0;
  return with_samples(latent, rotated(call.memory(), latent.samples, -turns, 2, 3));
}

NodeResult latent_flip(NodeCall& call) {
  Latent latent = latent_in(call, "samples");
  int dim = call.text("flip_method").starts_with("x") ? 2 : 3;
  return with_samples(latent, flipped(call.memory(), latent.samples, dim));
}

NodeResult latent_crop(NodeCall& call) {
  Latent latent = latent_in(call, "samples");
  const Tensor& from = latent.samples;
  // At least 64 pixels stay.
  int64_t x = std::max<int64_t>(0, std::min(call.integer("x") / 8, from.dim(3) - 8));
  int64_t y = std::max<int64_t>(0, std::min(call.integer("y") / 8, from.dim(2) - 8));
  Tensor rows = sliced(call.memory(), from, 2, y, std::min(call.integer("height") / 8, from.dim(2) - y));
  return with_samples(latent, sliced(call.memory(), rows, 3, x, std::min(call.integer("width") / 8, from.dim(3) - x)));
}

NodeResult set_latent_noise_mask(NodeCall& call) {
  Latent latent = latent_in(call, "samples");
  latent.noise_mask = mask_in(call, "mask");
  return give(latent_value(std::move(latent)));
}

}  // namespace

void add_latent_nodes(Registry& registry) {
  registry.add({.class_name = "EmptyLatentImage",
                .display_name = "Empty Latent Image",
                .category = "latent",
                .description = "An empty latent: what a picture from words starts with.",
                .inputs = {integer("width", {.value = 1024, .min = 16, .max = kMaxSide, .step = 8}),
                           integer("height", {.value = 1024, .min = 16, .max = kMaxSide, .step = 8}),
                           integer("batch_size", {.value = 1, .min = 1, .max = 4096})},
                .outputs = {{"LATENT"}},
                .run = empty_latent_image});
  registry.add({.class_name = "LatentUpscale",
                .display_name = "Upscale Latent",
                .category = "latent",
                .description = "Resizes a latent to a width and height in pixels.",
                .inputs = {socket("samples", "LATENT"),
                           choice("upscale_method", {"nearest-exact", "bilinear", "area", "bicubic", "bislerp"}),
                           integer("width", {.value = 512, .min = 0, .max = kMaxSide, .step = 8}),
                           integer("height", {.value = 512, .min = 0, .max = kMaxSide, .step = 8}),
                           choice("crop", {"disabled", "center"})},
                .outputs = {{"LATENT"}},
                .run = latent_upscale});
  registry.add({.class_name = "LatentUpscaleBy",
                .display_name = "Upscale Latent By",
                .category = "latent",
                .description = "Resizes a latent by a factor.",
                .inputs = {socket("samples", "LATENT"),
                           choice("upscale_method", {"nearest-exact", "bilinear", "area", "bicubic", "bislerp"}),
                           number("scale_by", {.value = 1.5, .min = 0.01, .max = 8.0, .step = 0.01})},
                .outputs = {{"LATENT"}},
                .run = latent_upscale_by});
  registry.add(
      {.class_name = "LatentFromBatch",
       .display_name = "Latent From Batch",
       .category = "latent/batch",
       .description = "Takes members out of a batch of latents.",
       .inputs = {socket("samples", "LATENT"), integer("batch_index", {.value = 0, .min = -kMaxSide, .max = kMaxSide}),
                  integer("length", {.value = 1, .min = 1, .max = 64})},
       .outputs = {{"LATENT"}},
       .run = latent_from_batch});
  registry.add({.class_name = "RepeatLatentBatch",
                .display_name = "Repeat Latent Batch",
                .category = "latent/batch",
                .description = "Repeats a latent; each copy draws noise of its own.",
                .inputs = {socket("samples", "LATENT"), integer("amount", {.value = 1, .min = 1, .max = 64})},
                .outputs = {{"LATENT"}},
                .run = repeat_latent_batch});
  registry.add({.class_name = "LatentComposite",
                .display_name = "Latent Composite",
                .category = "latent",
                .description = "Puts one latent onto another.",
                .inputs = {socket("samples_to", "LATENT"), socket("samples_from", "LATENT"),
                           integer("x", {.value = 0, .min = 0, .max = kMaxSide, .step = 8}),
                           integer("y", {.value = 0, .min = 0, .max = kMaxSide, .step = 8}),
                           integer("feather", {.value = 0, .min = 0, .max = kMaxSide, .step = 8})},
                .outputs = {{"LATENT"}},
                .run = latent_composite});
  registry.add({.class_name = "LatentCompositeMasked",
                .category = "latent",
                .description = "Puts one latent onto another, through a mask if there is one.",
                .python_module = "comfy_extras.nodes_mask",
                .inputs = {socket("destination", "LATENT"), socket("source", "LATENT"),
                           integer("x", {.value = 0, .min = 0, .max = kMaxSide, .step = 8}),
                           integer("y", {.value = 0, .min = 0, .max = kMaxSide, .step = 8}),
                           boolean("resize_source", false), socket("mask", "MASK").optional()},
                .outputs = {{"LATENT"}},
                .run = latent_composite_masked});
  registry.add({.class_name = "LatentBlend",
                .display_name = "Latent Blend",
                .category = "_for_testing",
                .description = "Mixes two latents.",
                .inputs = {socket("samples1", "LATENT"), socket("samples2", "LATENT"),
                           number("blend_factor", {.value = 0.5, .min = 0, .max = 1, .step = 0.01})},
                .outputs = {{"LATENT"}},
                .run = latent_blend});
  registry.add({.class_name = "LatentRotate",
                .display_name = "Rotate Latent",
                .category = "latent/transform",
                .description = "Turns a latent by quarters.",
                .inputs = {socket("samples", "LATENT"),
                           choice("rotation", {"none", "90 degrees", "180 degrees", "270 degrees"})},
                .outputs = {{"LATENT"}},
                .run = latent_rotate});
  registry.add(
      {.class_name = "LatentFlip",
       .display_name = "Flip Latent",
       .category = "latent/transform",
       .description = "Mirrors a latent.",
       .inputs = {socket("samples", "LATENT"), choice("flip_method", {"x-axis: vertically", "y-axis: horizontally"})},
       .outputs = {{"LATENT"}},
       .run = latent_flip});
  registry.add(
      {.class_name = "LatentCrop",
       .display_name = "Crop Latent",
       .category = "latent/transform",
       .description = "Cuts a rectangle out of a latent.",
       .inputs = {socket("samples", "LATENT"), integer("width", {.value = 512, .min = 64, .max = kMaxSide, .step = 8}),
                  integer("height", {.value = 512, .min = 64, .max = kMaxSide, .step = 8}),
                  integer("x", {.value = 0, .min = 0, .max = kMaxSide, .step = 8}),
                  integer("y", {.value = 0, .min = 0, .max = kMaxSide, .step = 8})},
       .outputs = {{"LATENT"}},
       .run = latent_crop});
  registry.add({.class_name = "SetLatentNoiseMask",
                .display_name = "Set Latent Noise Mask",
                .category = "latent/inpaint",
                .description = "Marks which part of a latent is sampled anew.",
                .inputs = {socket("samples", "LATENT"), socket("mask", "MASK")},
                .outputs = {{"LATENT"}},
                .run = set_latent_noise_mask});
  registry.add({.class_name = "EmptySD3LatentImage",
                .category = "latent/sd3",
                .description = "An empty latent of 16 channels, for models that want those.",
                .python_module = "comfy_extras.nodes_sd3",
                .inputs = {integer("width", {.value = 1024, .min = 16, .max = kMaxSide, .step = 16}),
                           integer("height", {.value = 1024, .min = 16, .max = kMaxSide, .step = 16}),
                           integer("batch_size", {.value = 1, .min = 1, .max = 4096})},
                .outputs = {{"LATENT"}},
                .run = empty_sd3_latent_image});
}

}  // namespace hearth::workflow
