// Latents as vectors: sums, multiples, mixtures, batches.
#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "workflow/nodes/common.h"

namespace hearth::workflow {
namespace {

using diffuse::Latent;

// `other` in the size and, if wanted, the batch of `like`.
Tensor reshaped_like(Allocator& memory, const Tensor& like, const Tensor& other, bool repeats = true) {
  Tensor out = other;
  if (other.dim(2) != like.dim(2) || other.dim(3) != like.dim(3)) {
    out = resized(memory, other, MapOrder::kNchw, {.width = like.dim(3), .height = like.dim(2), .is_cropped = true});
  }
  return repeats ? repeated_to(memory, out, like.dim(0)) : out;
}

NodeResult combined(NodeCall& call, const std::function<float(float, float)>& f) {
  Latent a = latent_in(call, "samples1"), b = latent_in(call, "samples2");
  Tensor other = reshaped_like(call.memory(), a.samples, b.samples),
         out = make_tensor(call.memory(), a.samples.shape());
  if (!(other.shape() == out.shape())) throw Error(Code::kInvalidArgument, "the latents are of different models");
  for (int64_t i = 0; i < out.numel(); ++i) {
    out.data<float>()[i] = f(a.samples.data<float>()[i], other.data<float>()[i]);
  }
  a.samples = std::move(out);
  return give(latent_value(std::move(a)));
}

NodeResult latent_add(NodeCall& call) { return combined(call, std::plus<float>()); }
NodeResult latent_subtract(NodeCall& call) { return combined(call, std::minus<float>()); }

NodeResult latent_multiply(NodeCall& call) {
  Latent latent = latent_in(call, "samples");
  float factor = static_cast<float>(call.number("multiplier"));
  latent.samples = mapped(call.memory(), latent.samples, [factor](float v) { return v * factor; });
  return give(latent_value(std::move(latent)));
}

// Length and direction of each pixel's vector are mixed apart.
NodeResult latent_interpolate(NodeCall& call) {
  Latent a = latent_in(call, "samples1"), b = latent_in(call, "samples2");
  Tensor other = reshaped_like(call.memory(), a.samples, b.samples),
         out = make_tensor(call.memory(), a.samples.shape());
  float ratio = static_cast<float>(call.number("ratio"));
  int64_t channels = out.dim(1), plane = out.dim(2) * out.dim(3);
  for (int64_t at = 0; at < out.dim(0) * plane; ++at) {
    int64_t start = at / plane * channels * plane + at % plane;
    const float *x = a.samples.data<float>() + start, *y = other.data<float>() + start;
    float x_length = 0, y_length = 0, mixed_length = 0;
    for (int64_t c = 0; c < channels; ++c)
      x_length += x[c * plane] * x[c * plane], y_length += y[c * plane] * y[c * plane];
    x_length = std::sqrt(x_length), y_length = std::sqrt(y_length);
    float* to = out.data<float>() + start;
    for (int64_t c = 0; c < channels; ++c) {
      float u = x_length > 0 ? x[c * plane] / x_length : 0, v = y_length > 0 ? y[c * plane] / y_length : 0;
      to[c * plane] = u * ratio + v * (1.0f - ratio);
      mixed_length += to[c * plane] * to[c * plane];
    }
    mixed_length = std::sqrt(mixed_length);
    float length = x_length * ratio + y_length * (1.0f - ratio);
    for (int64_t c = 0; c < channels; ++c) to[c * plane] = mixed_length > 0 ? to[c * plane] / mixed_length * length : 0;
  }
  a.samples = std::move(out);
  return give(latent_value(std::move(a)));
}

std::vector<int64_t> members_of(const Latent& latent) {
  if (!latent.batch_index.empty()) return latent.batch_index;
  std::vector<int64_t> members(static_cast<size_t>(latent.samples.dim(0)));
  std::iota(members.begin(), members.end(), 0);
  return members;
}

NodeResult latent_batch(NodeCall& call) {
  Latent a = latent_in(call, "samples1"), b = latent_in(call, "samples2");
  std::vector<int64_t> members = members_of(a), more = members_of(b);
  members.insert(members.end(), more.begin(), more.end());
  Tensor other = reshaped_like(call.memory(), a.samples, b.samples, false);
  a.samples = joined(call.memory(), {a.samples, other}, 0);
  a.batch_index = std::move(members);
  return give(latent_value(std::move(a)));
}

NodeResult latent_batch_seed_behavior(NodeCall& call) {
  Latent latent = latent_in(call, "samples");
  if (call.text("seed_behavior") == "random") {
    latent.batch_index.clear();
  } else {
    int64_t member = latent.batch_index.empty() ? 0 : latent.batch_index[0];
    latent.batch_index.assign(static_cast<size_t>(latent.samples.dim(0)), member);
  }
  return give(latent_value(std::move(latent)));
}

}  // namespace

void add_latent_math_nodes(Registry& registry) {
  registry.add({.class_name = "LatentAdd",
                .category = "latent/advanced",
                .description = "Adds two latents.",
                .python_module = "comfy_extras.nodes_latent",
                .inputs = {socket("samples1", "LATENT"), socket("samples2", "LATENT")},
                .outputs = {{"LATENT"}},
                .run = latent_add});
  registry.add({.class_name = "LatentSubtract",
                .category = "latent/advanced",
                .description = "Subtracts the second latent from the first.",
                .python_module = "comfy_extras.nodes_latent",
                .inputs = {socket("samples1", "LATENT"), socket("samples2", "LATENT")},
                .outputs = {{"LATENT"}},
                .run = latent_subtract});
  registry.add({.class_name = "LatentMultiply",
                .category = "latent/advanced",
                .description = "Multiplies a latent by a number.",
                .python_module = "comfy_extras.nodes_latent",
                .inputs = {socket("samples", "LATENT"),
                           number("multiplier", {.value = 1.0, .min = -10.0, .max = 10.0, .step = 0.01})},
                .outputs = {{"LATENT"}},
                .run = latent_multiply});
  registry.add({.class_name = "LatentInterpolate",
                .category = "latent/advanced",
                .description = "Mixes two latents, direction and length apart.",
                .python_module = "comfy_extras.nodes_latent",
                .inputs = {socket("samples1", "LATENT"), socket("samples2", "LATENT"),
                           number("ratio", {.value = 1.0, .min = 0.0, .max = 1.0, .step = 0.01})},
                .outputs = {{"LATENT"}},
                .run = latent_interpolate});
  registry.add({.class_name = "LatentBatch",
                .category = "latent/batch",
                .description = "Puts two latents into one batch.",
                .python_module = "comfy_extras.nodes_latent",
                .inputs = {socket("samples1", "LATENT"), socket("samples2", "LATENT")},
                .outputs = {{"LATENT"}},
                .is_deprecated = true,
                .run = latent_batch});
  registry.add(
      {.class_name = "LatentBatchSeedBehavior",
       .category = "latent/advanced",
       .description = "Chooses whether the members of a batch draw the same noise.",
       .python_module = "comfy_extras.nodes_latent",
       .inputs = {socket("samples", "LATENT"), choice("seed_behavior", {"random", "fixed"}).with("default", "fixed")},
       .outputs = {{"LATENT"}},
       .run = latent_batch_seed_behavior});
}

}  // namespace hearth::workflow
