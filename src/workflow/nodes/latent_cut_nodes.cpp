// Latents and batches: cut along a side, laid side by side, sorted into other batches.
#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include "workflow/nodes/common.h"

namespace hearth::workflow {
namespace {

using diffuse::Latent;

// "x" and "y" are width and height; "t", frames, is nothing that latents of pictures have.
int side_in(const NodeCall& call) {
  const std::string word = call.text("dim");
  if (word.ends_with('x')) return 3;
  if (word.ends_with('y')) return 2;
  throw Error(Code::kUnsupported, "latents of pictures have no frames: choose x or y");
}

NodeResult with_samples(Latent latent, Tensor samples) {
  latent.samples = std::move(samples);
  return give(latent_value(std::move(latent)));
}

NodeResult latent_concat(NodeCall& call) {
  Latent a = latent_in(call, "samples1"), b = latent_in(call, "samples2");
  const int side = side_in(call), other = side == 3 ? 2 : 3;
  Tensor second = repeated_to(call.memory(), b.samples, a.samples.dim(0));
  if (second.dim(other) != a.samples.dim(other) || second.dim(1) != a.samples.dim(1)) {
    throw Error(Code::kInvalidArgument, fmt::format("latents of {} and {} do not fit side by side along {}",
                                                    a.samples.shape().text(), second.shape().text(), call.text("dim")));
  }
  std::vector<Tensor> parts{a.samples, second};
  if (call.text("dim").starts_with('-')) std::swap(parts[0], parts[1]);
  return with_samples(a, joined(call.memory(), parts, side));
}

NodeResult latent_cut(NodeCall& call) {
  Latent latent = latent_in(call, "samples");
  const int side = side_in(call);
  const int64_t length = latent.samples.dim(side), index = call.integer("index");
  const int64_t first = index >= 0 ? std::min(index, length - 1) : std::max<int64_t>(0, length + index);
  const int64_t amount = std::min(length - first, call.integer("amount"));
  return with_samples(latent, sliced(call.memory(), latent.samples, side, first, amount));
}

// Strips of a latent as members of a batch; a rest too short for one is dropped.
NodeResult latent_cut_to_batch(NodeCall& call) {
  Latent latent = latent_in(call, "samples");
  if (call.text("dim") == "t") return with_samples(latent, latent.samples);  // one frame each already
  const int side = side_in(call);
  const Tensor& from = latent.samples;
  const int64_t length = from.dim(side), size = std::min(call.integer("slice_size"), length);
  std::vector<Tensor> strips;
  for (int64_t member = 0; member < from.dim(0); ++member) {
    const Tensor one = sliced(call.memory(), from, 0, member, 1);
    for (int64_t at = 0; at + size <= length; at += size) strips.push_back(sliced(call.memory(), one, side, at, size));
  }
  return with_samples(latent, joined(call.memory(), strips, 0));
}

NodeResult lists(NodeValues values) { return {.outputs = {std::move(values)}, .ui = {}}; }

// Every member of every batch, one by one.
std::vector<Latent> members_of(const NodeCall& call) {
  std::vector<Latent> members;
  int64_t seen = 0;
  for (const NodeValue& value : call.values("latents")) {
    const Latent& batch = value.as<Latent>();
    for (int64_t i = 0; i < batch.samples.dim(0); ++i) {
      Latent one;
      one.samples = sliced(call.memory(), batch.samples, 0, i, 1);
      if (batch.noise_mask) one.noise_mask = sliced(call.memory(), batch.noise_mask, 0, i % batch.noise_mask.dim(0), 1);
      one.batch_index = {batch.batch_index.empty() ? seen + i : batch.batch_index[static_cast<size_t>(i)]};
      members.push_back(std::move(one));
    }
    seen += batch.samples.dim(0);
  }
  return members;
}

bool may_share(const Latent& a, const Latent& b) {
  const bool have_masks = static_cast<bool>(a.noise_mask) == static_cast<bool>(b.noise_mask);
  return a.samples.shape() == b.samples.shape() && have_masks &&
         (!a.noise_mask || a.noise_mask.shape() == b.noise_mask.shape());
}

NodeValue batch_of(Allocator& memory, const std::vector<Latent>& members) {
  std::vector<Tensor> samples, masks;
  Latent batch;
  for (const Latent& one : members) {
    samples.push_back(one.samples);
    if (one.noise_mask) masks.push_back(one.noise_mask);
    batch.batch_index.push_back(one.batch_index.front());
  }
  batch.samples = joined(memory, samples, 0);
  if (!masks.empty()) batch.noise_mask = joined(memory, masks, 0);
  return latent_value(std::move(batch));
}

NodeResult rebatch_latents(NodeCall& call) {
  const auto most = static_cast<size_t>(call.integer("batch_size"));
  NodeValues batches;
  std::vector<Latent> open;
  auto close = [&] {
    if (!open.empty()) batches.push_back(batch_of(call.memory(), open));
    open.clear();
  };
  for (Latent& one : members_of(call)) {
    if (open.size() == most || (!open.empty() && !may_share(open.front(), one))) close();
    open.push_back(std::move(one));
  }
  close();
  return lists(std::move(batches));
}

NodeResult rebatch_images(NodeCall& call) {
  const auto most = static_cast<size_t>(call.integer("batch_size"));
  std::vector<Tensor> pictures;
  for (const NodeValue& value : call.values("images")) {
    const Tensor& batch = value.as<Tensor>();
    for (int64_t i = 0; i < batch.dim(0); ++i) pictures.push_back(sliced(call.memory(), batch, 0, i, 1));
  }
  NodeValues batches;
  for (size_t at = 0; at < pictures.size(); at += most) {
    const auto begin = pictures.begin() + static_cast<int64_t>(at);
    const auto count = static_cast<int64_t>(std::min(most, pictures.size() - at));
    batches.push_back(image_value(joined(call.memory(), std::vector<Tensor>(begin, begin + count), 0)));
  }
  return lists(std::move(batches));
}

}  // namespace

void add_latent_cut_nodes(Registry& registry) {
  registry.add(
      {.class_name = "LatentConcat",
       .category = "latent/advanced",
       .description = "Puts two latents side by side or one below the other.",
       .python_module = "comfy_extras.nodes_latent",
       .inputs = {socket("samples1", "LATENT"), socket("samples2", "LATENT"),
                  choice("dim", {"x", "-x", "y", "-y", "t", "-t"}).help("Right, left, below or above the first")},
       .outputs = {{"LATENT"}},
       .run = latent_concat});
  registry.add({.class_name = "LatentCut",
                .category = "latent/advanced",
                .description = "Cuts a strip out of a latent.",
                .python_module = "comfy_extras.nodes_latent",
                .inputs = {socket("samples", "LATENT"), choice("dim", {"x", "y", "t"}).help("Along width or height"),
                           integer("index", {.value = 0, .min = -kMaxSide, .max = kMaxSide, .step = 1})
                               .help("First latent pixel; below 0 from the end"),
                           integer("amount", {.value = 1, .min = 1, .max = kMaxSide, .step = 1}).help("Latent pixels")},
                .outputs = {{"LATENT"}},
                .run = latent_cut});
  registry.add({.class_name = "LatentCutToBatch",
                .category = "latent/advanced",
                .description = "Cuts a latent into strips, each a member of a batch.",
                .python_module = "comfy_extras.nodes_latent",
                .inputs = {socket("samples", "LATENT"), choice("dim", {"t", "x", "y"}).help("Along width or height"),
                           integer("slice_size", {.value = 1, .min = 1, .max = kMaxSide, .step = 1})
                               .help("Latent pixels of each strip")},
                .outputs = {{"LATENT"}},
                .run = latent_cut_to_batch});
  registry.add({.class_name = "RebatchLatents",
                .display_name = "Rebatch Latents",
                .category = "latent/batch",
                .description = "Sorts latents into batches of another size.",
                .python_module = "comfy_extras.nodes_rebatch",
                .inputs = {socket("latents", "LATENT"), integer("batch_size", {.value = 1, .min = 1, .max = 4096})},
                .outputs = {{"LATENT", "", true}},
                .takes_lists = true,
                .run = rebatch_latents});
  registry.add({.class_name = "RebatchImages",
                .display_name = "Rebatch Images",
                .category = "image/batch",
                .description = "Sorts pictures into batches of another size.",
                .python_module = "comfy_extras.nodes_rebatch",
                .inputs = {socket("images", "IMAGE"), integer("batch_size", {.value = 1, .min = 1, .max = 4096})},
                .outputs = {{"IMAGE", "", true}},
                .takes_lists = true,
                .run = rebatch_images});
}

}  // namespace hearth::workflow
