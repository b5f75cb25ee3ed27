#include "models/diffusion/lora_names.h"

#include <algorithm>

namespace hearth {
namespace {

constexpr std::string_view kWeight = ".weight";

std::string underscored(std::string name) {
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

bool ends_with(std::string_view text, std::string_view with) {
  return text.size() >= with.size() && text.substr(text.size() - with.size()) == with;
}

// Calls with every module that has a weight.
template <class Body>
void each_module(const NamedTensors& tensors, Body body) {
  for (const auto& [name, at] : tensors.table()) {
    if (ends_with(name, kWeight)) body(name.substr(0, name.size() - kWeight.size()));
  }
}

// "....attn1.to_out.0" as diffusers' attention processors called it: "....attn1.processor.to_out".
std::string processor_name(std::string module) {
  const size_t at = module.find(".to_");
  if (at != module.npos) module.insert(at, ".processor");
  if (ends_with(module, ".to_out.0")) module.resize(module.size() - 2);
  return module;
}

}  // namespace

LoraNames unet_lora_names(const PicturePart<UnetConfig>& unet) {
  const UnetNames translation(unet.config.skeleton());
  LoraNames out;
  each_module(*unet.tensors, [&](const std::string& module) {
    std::string original = translation.to_original(module + std::string(kWeight));
    if (!original.empty()) {
      original.resize(original.size() - kWeight.size());
      out["lora_unet_" + underscored(original)] = module;
      out["diffusion_model." + original] = module;
    }
    out["lora_unet_" + underscored(module)] = module;
    out["lycoris_" + underscored(module)] = module;
    for (const char* prefix : {"", "unet.", "base_model.model.", "unet.base_model.model."}) {
      out[prefix + module] = module;
      out[prefix + processor_name(module)] = module;
    }
  });
  return out;
}

LoraNames text_lora_names(const PicturePart<ClipConfig>& encoder, size_t index, size_t count) {
  LoraNames out;
  each_module(*encoder.tensors, [&](const std::string& module) {
    if (index == 0) {
      for (const char* prefix : {"lora_te_", "lora_te1_"}) out[prefix + underscored(module)] = module;
      out["text_encoder." + module] = module;
    } else {
      out["lora_te2_" + underscored(module)] = module;
      out["text_encoder_2." + module] = module;
    }
    const bool is_g = index > 0 || (count == 1 && encoder.config.projection > 0);
    out[std::string("text_encoders.clip_") + (is_g ? "g" : "l") + ".transformer." + module] = module;
  });
  return out;
}

}  // namespace hearth
