// Models from files.
#include <fmt/format.h>

#include "workflow/nodes/common.h"
#include "workflow/picture_work.h"

namespace hearth::workflow {
namespace {

std::string file_in(const NodeCall& call, std::string_view input, std::string_view folder) {
  return call.services().places.models.resolve(folder, call.text(input)).value();
}

// What a file does not hold arrives as nothing.
NodeResult parts_of(diffuse::CheckpointParts parts) {
  return give(parts.model ? model_value(std::move(*parts.model)) : NodeValue(),
              parts.clip ? clip_value(std::move(*parts.clip)) : NodeValue(),
              parts.vae ? vae_value(std::move(*parts.vae)) : NodeValue());
}

NodeResult checkpoint_loader_simple(NodeCall& call) {
  return parts_of(call.pictures().load_checkpoint(file_in(call, "ckpt_name", "checkpoints"), watch_of(call)));
}

// The config file says what the weights say themselves.
NodeResult checkpoint_loader(NodeCall& call) { return checkpoint_loader_simple(call); }

NodeResult diffusers_loader(NodeCall& call) {
  return parts_of(call.pictures().load_checkpoint(file_in(call, "model_path", "diffusers"), watch_of(call)));
}

NodeResult unet_loader(NodeCall& call) {
  if (std::string dtype = call.text("weight_dtype"); dtype != "default") {
    throw Error(Code::kUnsupported, fmt::format("weight_dtype {} is not supported: choose default", dtype));
  }
  return give(model_value(
      call.pictures().load_diffusion_model(file_in(call, "unet_name", "diffusion_models"), watch_of(call))));
}

NodeResult clip_loader(NodeCall& call) {
  return give(
      clip_value(call.pictures().load_text_encoder({file_in(call, "clip_name", "text_encoders")}, watch_of(call))));
}

NodeResult dual_clip_loader(NodeCall& call) {
  std::vector<std::string> files{file_in(call, "clip_name1", "text_encoders"),
                                 file_in(call, "clip_name2", "text_encoders")};
  return give(clip_value(call.pictures().load_text_encoder(files, watch_of(call))));
}

// The files of a tiny autoencoder such as "taesd"; nothing unless both halves are there.
struct TinyPair {
  std::string encoder, decoder;
};
std::optional<TinyPair> tiny_pair(const ModelFolders& models, const std::string& name) {
  TinyPair pair{first_model_file(models, "vae_approx", name + "_encoder."),
                first_model_file(models, "vae_approx", name + "_decoder.")};
  if (pair.encoder.empty() || pair.decoder.empty()) return std::nullopt;
  return pair;
}

std::vector<std::string> vae_names(const Places& places) {
  std::vector<std::string> names = places.models.list("vae");
  for (std::string tiny : {"taesd", "taesdxl", "taesd3", "taef1"}) {
    if (tiny_pair(places.models, tiny)) names.push_back(tiny);
  }
  return names;
}

InputSpec vae_choice(std::string_view name) {
  InputSpec input = choice(name, {});
  input.choices_now = vae_names;
  return input;
}

NodeResult vae_loader(NodeCall& call) {
  const ModelFolders& models = call.services().places.models;
  const std::string name = call.text("vae_name");
  const std::optional<TinyPair> tiny = tiny_pair(models, name);
  auto load = [&](std::string_view folder, const std::string& file) {
    return call.pictures().load_vae(models.resolve(folder, file).value(), watch_of(call));
  };
  if (!tiny) return give(vae_value(load("vae", name)));
  diffuse::Vae vae = load("vae_approx", tiny->decoder);
  vae.encoder = load("vae_approx", tiny->encoder).base;
  return give(vae_value(std::move(vae)));
}

diffuse::LoraUse lora_in(const NodeCall& call, std::string_view strength) {
  return {.path = file_in(call, "lora_name", "loras"), .strength = call.number(strength)};
}

template <class T>
T with_lora(T base, diffuse::LoraUse lora) {
  if (lora.strength != 0) base.loras.push_back(std::move(lora));
  return base;
}

NodeResult lora_loader(NodeCall& call) {
  return give(model_value(with_lora(call.get<diffuse::Model>("model"), lora_in(call, "strength_model"))),
              clip_value(with_lora(call.get<diffuse::TextEncoder>("clip"), lora_in(call, "strength_clip"))));
}

NodeResult lora_loader_model_only(NodeCall& call) {
  return give(model_value(with_lora(call.get<diffuse::Model>("model"), lora_in(call, "strength_model"))));
}

}  // namespace

void add_loader_nodes(Registry& registry) {
  registry.add({.class_name = "CheckpointLoaderSimple",
                .display_name = "Load Checkpoint",
                .category = "loaders",
                .description = "Loads a checkpoint: denoiser, text encoders and VAE.",
                .inputs = {model_file("ckpt_name", "checkpoints")},
                .outputs = {{"MODEL"}, {"CLIP"}, {"VAE"}},
                .run = checkpoint_loader_simple});
  registry.add({.class_name = "CheckpointLoader",
                .display_name = "Load Checkpoint With Config (DEPRECATED)",
                .category = "advanced/loaders",
                .description = "Loads a checkpoint; the configuration is told by the weights.",
                .inputs = {model_file("config_name", "configs"), model_file("ckpt_name", "checkpoints")},
                .outputs = {{"MODEL"}, {"CLIP"}, {"VAE"}},
                .is_deprecated = true,
                .run = checkpoint_loader});
  registry.add({.class_name = "DiffusersLoader",
                .category = "advanced/loaders/deprecated",
                .description = "Loads a model from a folder in diffusers layout.",
                .inputs = {model_file("model_path", "diffusers")},
                .outputs = {{"MODEL"}, {"CLIP"}, {"VAE"}},
                .run = diffusers_loader});
  registry.add({.class_name = "UNETLoader",
                .display_name = "Load Diffusion Model",
                .category = "advanced/loaders",
                .description = "Loads a denoiser from a file of its own.",
                .inputs = {model_file("unet_name", "diffusion_models"),
                           choice("weight_dtype", {"default", "fp8_e4m3fn", "fp8_e4m3fn_fast", "fp8_e5m2"})},
                .outputs = {{"MODEL"}},
                .run = unet_loader});
  registry.add({.class_name = "CLIPLoader",
                .display_name = "Load CLIP",
                .category = "advanced/loaders",
                .description = "Loads a text encoder from a file of its own.",
                .inputs = {model_file("clip_name", "text_encoders"),
                           choice("type", {"stable_diffusion", "stable_cascade", "sd3", "stable_audio", "mochi", "ltxv",
                                           "pixart", "cosmos", "lumina2", "wan", "hidream", "chroma", "ace", "omnigen2",
                                           "qwen_image", "hunyuan_image", "flux2", "ovis"}),
                           choice("device", {"default", "cpu"}).optional()},
                .outputs = {{"CLIP"}},
                .run = clip_loader});
  registry.add({.class_name = "DualCLIPLoader",
                .category = "advanced/loaders",
                .description = "Loads the two text encoders of SDXL from files of their own.",
                .inputs = {model_file("clip_name1", "text_encoders"), model_file("clip_name2", "text_encoders"),
                           choice("type", {"sdxl", "sd3", "flux", "hunyuan_video", "hidream", "hunyuan_image",
                                           "hunyuan_video_15", "kandinsky5", "kandinsky5_image", "ltxv", "newbie"}),
                           choice("device", {"default", "cpu"}).optional()},
                .outputs = {{"CLIP"}},
                .run = dual_clip_loader});
  registry.add({.class_name = "VAELoader",
                .display_name = "Load VAE",
                .category = "loaders",
                .description = "Loads a VAE from a file of its own, or a tiny autoencoder.",
                .inputs = {vae_choice("vae_name")},
                .outputs = {{"VAE"}},
                .run = vae_loader});
  registry.add({.class_name = "LoraLoader",
                .display_name = "Load LoRA",
                .category = "loaders",
                .description = "Applies a LoRA to denoiser and text encoders. Put several one behind the other.",
                .inputs = {socket("model", "MODEL"), socket("clip", "CLIP"), model_file("lora_name", "loras"),
                           number("strength_model", {.value = 1.0, .min = -100.0, .max = 100.0, .step = 0.01}),
                           number("strength_clip", {.value = 1.0, .min = -100.0, .max = 100.0, .step = 0.01})},
                .outputs = {{"MODEL"}, {"CLIP"}},
                .run = lora_loader});
  registry.add({.class_name = "LoraLoaderModelOnly",
                .category = "loaders",
                .description = "Applies a LoRA to the denoiser alone.",
                .inputs = {socket("model", "MODEL"), model_file("lora_name", "loras"),
                           number("strength_model", {.value = 1.0, .min = -100.0, .max = 100.0, .step = 0.01})},
                .outputs = {{"MODEL"}},
                .run = lora_loader_model_only});
}

}  // namespace hearth::workflow
