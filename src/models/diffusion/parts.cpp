#include "models/diffusion/parts.h"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "models/encoder/names.h"
#include "models/vae/names.h"

namespace hearth {
namespace {

constexpr const char* kUnetPrefixes[] = {"model.diffusion_model.", "diffusion_model.", "unet.", ""};
constexpr const char* kVaePrefixes[] = {"first_stage_model.", "vae.", ""};
constexpr const char* kClipPrefixes[] = {"conditioner.embedders.0.transformer.",
                                         "conditioner.embedders.0.model.",
                                         "conditioner.embedders.1.model.",
                                         "conditioner.embedders.1.transformer.",
                                         "cond_stage_model.transformer.",
                                         "cond_stage_model.model.",
                                         "text_encoders.clip_l.transformer.",
                                         "text_encoders.clip_g.transformer.",
                                         "clip_l.transformer.",
                                         "clip_g.transformer.",
                                         "clip_h.transformer.",
                                         "clip_l.",
                                         "clip_g.",
                                         "text_encoder.",
                                         "text_encoder_2.",
                                         ""};
constexpr const char* kLoraParts[] = {".lora_down.", ".lora_up.",   ".lora_A.",  ".lora_B.",           ".lora.down.",
                                      ".lora.up.",   "_lora.down.", "_lora.up.", ".lora_linear_layer."};

bool starts_with(std::string_view text, std::string_view with) { return text.substr(0, with.size()) == with; }

// Calls with every tensor below a prefix and its name without it.
template <class Body>
void each_below(const TensorFile& file, std::string_view prefix, Body body) {
  for (const TensorInfo& tensor : file.tensors) {
    if (starts_with(tensor.name, prefix)) body(std::string_view(tensor.name).substr(prefix.size()), tensor);
  }
}

std::shared_ptr<NamedTensors> original_unet(std::shared_ptr<const TensorFile> file, const std::string& prefix) {
  auto out = std::make_shared<NamedTensors>(file);
  std::vector<std::string> names;
  each_below(*file, prefix, [&](std::string_view name, const TensorInfo&) { names.emplace_back(name); });
  auto translation = std::make_shared<const UnetNames>(UnetSkeleton::of_original(names));
  each_below(*file, prefix, [&](std::string_view name, const TensorInfo& tensor) {
    std::string known = translation->to_diffusers(name);
    // What has no counterpart stays in sight: a kind of model that is not ours shows by it.
    out->add(known.empty() ? std::string(name) : std::move(known), {&tensor});
  });
  out->name_missing_with([translation, prefix](std::string_view name) {
    const std::string known = translation->to_original(name);
    return prefix + (known.empty() ? std::string(name) : known);
  });
  return out;
}

std::shared_ptr<NamedTensors> diffusers_unet(std::shared_ptr<const TensorFile> file, const std::string& prefix) {
  constexpr std::string_view kClass = "class_embedding.";
  auto out = std::make_shared<NamedTensors>(file);
  each_below(*file, prefix, [&](std::string_view name, const TensorInfo& tensor) {
    const bool is_class = starts_with(name, kClass);
    out->add(is_class ? "add_embedding." + std::string(name.substr(kClass.size())) : std::string(name), {&tensor});
  });
  out->name_missing_with([prefix](std::string_view name) { return prefix + std::string(name); });
  return out;
}

// Resolutions going up, as the original layout numbers them.
int count_up(const TensorFile& file, const std::string& prefix) {
  int n = 0;
  while (file.find(fmt::format("{}decoder.up.{}.block.0.norm1.weight", prefix, n))) ++n;
  return n;
}

}  // namespace

void find_unet(PictureFile& out, std::shared_ptr<const TensorFile> file, const Value& config) {
  for (const std::string prefix : kUnetPrefixes) {
    std::shared_ptr<NamedTensors> tensors;
    // A ControlNet begins like a UNet and has no way out.
    if (file->find(prefix + "input_blocks.0.0.weight") && file->find(prefix + "out.2.weight")) {
      tensors = original_unet(file, prefix);
      out.layout = PictureLayout::kOriginal;
    } else if (file->find(prefix + "conv_in.weight") && file->find(prefix + "conv_out.weight") &&
               file->find(prefix + "time_embedding.linear_1.weight")) {
      tensors = diffusers_unet(file, prefix);
      out.layout = PictureLayout::kDiffusers;
    } else {
      continue;
    }
    out.unet = {tensors, UnetConfig::of(*tensors, config, file->metadata)};
    return;
  }
}

void find_text_encoders(PictureFile& out, std::shared_ptr<const TensorFile> file, const Value& config) {
  for (const std::string prefix : kClipPrefixes) {
    const ClipNames names = clip_names(*file, prefix);
    if (names == ClipNames::kNone) continue;
    auto tensors = std::make_shared<NamedTensors>(file);
    each_below(*file, prefix, [&](std::string_view name, const TensorInfo& tensor) {
      add_clip_tensor(*tensors, name, tensor, names);
    });
    out.text_encoders.push_back({tensors, ClipConfig::of(*tensors, config, names == ClipNames::kOpenClip)});
  }
  std::stable_sort(out.text_encoders.begin(), out.text_encoders.end(),
                   [](const auto& a, const auto& b) { return a.config.dim < b.config.dim; });
}

void find_vae(PictureFile& out, std::shared_ptr<const TensorFile> file, const Value& config) {
  for (const std::string prefix : kVaePrefixes) {
    if (!file->find(prefix + "decoder.conv_in.weight") && !file->find(prefix + "encoder.conv_in.weight")) continue;
    auto tensors = std::make_shared<NamedTensors>(file);
    const int n_up = count_up(*file, prefix);
    each_below(*file, prefix,
               [&](std::string_view name, const TensorInfo& tensor) { tensors->add(vae_name(name, n_up), {&tensor}); });
    tensors->name_missing_with([prefix](std::string_view name) { return prefix + std::string(name); });
    out.vae = {tensors, VaeConfig::of(*tensors, config)};
    return;
  }
}

void find_tiny_vae(PictureFile& out, std::shared_ptr<const TensorFile> file) {
  // A file of one half numbers its layers from 0; the decoder's first, a clamp, has no weights.
  std::string_view half;
  if (file->find("1.weight") && file->find("3.conv.0.weight")) half = "decoder";
  if (file->find("0.weight") && file->find("1.conv.0.weight")) half = "encoder";
  auto tensors = std::make_shared<NamedTensors>(file);
  for (const TensorInfo& tensor : file->tensors) {
    std::string name = tiny_vae_name(tensor.name, half);
    if (!name.empty()) tensors->add(std::move(name), {&tensor});
  }
  if (tensors->has("decoder.1.weight") || tensors->has("encoder.0.weight")) {
    out.tiny_vae = {tensors, TinyVaeConfig::of(*tensors)};
  }
}

void find_adapters(PictureFile& out, std::shared_ptr<const TensorFile> file) {
  auto is_lora = [](const TensorInfo& tensor) {
    return std::any_of(std::begin(kLoraParts), std::end(kLoraParts),
                       [&](const char* part) { return tensor.name.find(part) != tensor.name.npos; });
  };
  if (std::any_of(file->tensors.begin(), file->tensors.end(), is_lora)) {
    out.lora = file;
    return;
  }
  auto is_vectors = [](const TensorInfo& tensor) {
    return tensor.name == "emb_params" || tensor.name == "clip_l" || tensor.name == "clip_g" ||
           starts_with(tensor.name, "string_to_param") || starts_with(tensor.name, "bundle_emb.") ||
           (!tensor.name.empty() && tensor.name.front() == '<' && tensor.name.back() == '>');
  };
  if (std::any_of(file->tensors.begin(), file->tensors.end(), is_vectors)) out.embedding = file;
}

}  // namespace hearth
