#include "workflow/nodes/common.h"

#include <algorithm>
#include <memory>

#include <fmt/format.h>

#include "core/base/log.h"
#include "formats/image/picture.h"
#include "runtime/diffuse/sampling/sampler.h"
#include "workflow/picture_work.h"

namespace hearth::workflow {
namespace {

constexpr int64_t kPreviewSide = 512;
constexpr int kPreviewQuality = 95;

PreviewMethod preview_method(const NodeCall& call) {
  const std::string& asked = call.about().preview_method;
  if (asked == "none") return PreviewMethod::kNone;
  if (asked == "auto") return PreviewMethod::kAuto;
  if (asked == "latent2rgb") return PreviewMethod::kLatentToRgb;
  if (asked == "taesd") return PreviewMethod::kTinyDecoder;
  return call.services().preview_method;
}

// Fitted into the preview square, as the frontend expects it.
EncodedPreview encoded_preview(const NodeCall& call, const Tensor& small) {
  double scale = static_cast<double>(kPreviewSide) / static_cast<double>(std::max(small.dim(1), small.dim(2)));
  Resize fit{.width = std::max<int64_t>(1, std::llround(static_cast<double>(small.dim(2)) * scale)),
             .height = std::max<int64_t>(1, std::llround(static_cast<double>(small.dim(1)) * scale))};
  Tensor large = resized(call.memory(), small, MapOrder::kNhwc, fit);
  image::Picture picture = image::to_picture(large.data<const float>(), static_cast<int>(large.dim(2)),
                                             static_cast<int>(large.dim(1)), static_cast<int>(large.dim(3)));
  return {"image/jpeg", image::encode_jpeg(picture, kPreviewQuality)};
}

Tensor decoded_preview(const NodeCall& call, const diffuse::Model& model, const Tensor& denoised) {
  PictureWork& work = call.pictures();
  const ModelFolders& models = call.services().places.models;
  const std::string begin = work.preview_decoder(model);
  const std::string file = begin.empty() ? "" : first_model_file(models, "vae_approx", begin);
  if (file.empty()) throw Error(Code::kNotFound, fmt::format("no file {}.* in vae_approx", begin));
  diffuse::Watch watch;
  watch.is_cancelled = [&call] { return call.watch().is_cancelled(); };
  return work.decode_preview(model, work.load_vae(models.resolve("vae_approx", file).value(), watch), denoised, watch);
}

// By the tiny decoder where that is wanted; where it is missing or does not fit, by the map of channels from then on: a
// picture is not given up for its preview.
Tensor small_picture(const NodeCall& call, PreviewMethod& method, const diffuse::Model& model, const Tensor& denoised) {
  if (method == PreviewMethod::kTinyDecoder) {
    try {
      return decoded_preview(call, model, denoised);
    } catch (const Error& error) {
      if (error.code() == Code::kCancelled) throw;
      log::warn("previews without TAESD: {}", error.message());
      method = PreviewMethod::kLatentToRgb;
    }
  }
  return call.pictures().preview(model, denoised);
}

int64_t bytes_of(const Tensor& tensor) { return tensor ? tensor.bytes() : 0; }

}  // namespace

std::string first_model_file(const ModelFolders& models, std::string_view kind, std::string_view begin) {
  for (const std::string& file : models.list(kind)) {
    if (file.starts_with(begin)) return file;
  }
  return "";
}

InputSpec sampler_choice(std::string_view name) { return choice(name, diffuse::sampler_names()); }
InputSpec scheduler_choice(std::string_view name) { return choice(name, diffuse::scheduler_names()); }
InputSpec exact_number(std::string_view name, FloatRange range) { return number(name, range).with("round", false); }

NodeValue image_value(Tensor tensor) {
  int64_t bytes = bytes_of(tensor);
  return NodeValue::of(std::move(tensor), bytes);
}

NodeValue latent_value(diffuse::Latent latent) {
  int64_t bytes = bytes_of(latent.samples) + bytes_of(latent.noise_mask);
  return NodeValue::of(std::move(latent), bytes);
}

NodeValue conditioning_value(diffuse::Conditioning conditioning) {
  int64_t bytes = 0;
  for (const diffuse::Condition& one : conditioning) {
    for (const Tensor* tensor : {&one.context, &one.pooled, &one.mask, &one.concat_latent, &one.concat_mask}) {
      bytes += bytes_of(*tensor);
    }
  }
  return NodeValue::of(std::move(conditioning), bytes);
}

NodeValue model_value(diffuse::Model model) { return NodeValue::of(std::move(model), 0, true); }
NodeValue clip_value(diffuse::TextEncoder clip) { return NodeValue::of(std::move(clip), 0, true); }
NodeValue vae_value(diffuse::Vae vae) { return NodeValue::of(std::move(vae), 0, true); }

Tensor image_in(const NodeCall& call, std::string_view name) {
  Tensor image = call.get<Tensor>(name);
  if (image.rank() == 4) return image;
  throw Error(Code::kInvalidArgument, fmt::format("input '{}' wants images, got {}", name, image.shape().text()));
}

Tensor mask_in(const NodeCall& call, std::string_view name) { return as_mask(call.get<Tensor>(name)); }

diffuse::Latent latent_in(const NodeCall& call, std::string_view name) {
  diffuse::Latent latent = call.get<diffuse::Latent>(name);
  if (latent.samples.rank() == 4) return latent;
  throw Error(Code::kUnsupported,
              fmt::format("input '{}': latents of pictures only, got {}", name, latent.samples.shape().text()));
}

Resampling resampling_in(const NodeCall& call, std::string_view name) {
  std::string word = call.text(name);
  std::optional<Resampling> method = resampling_of(word);
  if (!method) throw Error(Code::kInvalidArgument, fmt::format("no way to resize is called '{}'", word));
  return *method;
}

diffuse::Watch watch_of(const NodeCall& call) {
  diffuse::Watch watch;
  auto latest = std::make_shared<std::optional<EncodedPreview>>();
  watch.is_cancelled = [&call] { return call.watch().is_cancelled(); };
  watch.progress = [&call, latest](int64_t done, int64_t total) {
    call.watch().progress(done, total, *latest ? &**latest : nullptr);
    latest->reset();
  };
  PreviewMethod method = preview_method(call);
  if (method != PreviewMethod::kNone) {
    watch.preview = [&call, latest, method](const diffuse::Model& model, const Tensor& denoised) mutable {
      Tensor picture = small_picture(call, method, model, denoised);
      if (picture) *latest = encoded_preview(call, picture);
    };
  }
  return watch;
}

Registry native_registry() {
  Registry registry;
  add_sampler_nodes(registry);
  add_loader_nodes(registry);
  add_text_encode_nodes(registry);
  add_conditioning_nodes(registry);
  add_vae_nodes(registry);
  add_latent_nodes(registry);
  add_load_nodes(registry);
  add_save_nodes(registry);
  add_animation_nodes(registry);
  add_image_nodes(registry);
  add_image_transform_nodes(registry);
  add_image_filter_nodes(registry);
  add_image_effect_nodes(registry);
  add_mask_nodes(registry);
  add_latent_math_nodes(registry);
  add_latent_cut_nodes(registry);
  add_custom_sampling_nodes(registry);
  add_sampler_choice_nodes(registry);
  add_sigma_nodes(registry);
  add_model_patch_nodes(registry);
  add_compute_nodes(registry);
  add_primitive_nodes(registry);
  add_text_nodes(registry);
  registry.explain(input_help);
  return registry;
}

}  // namespace hearth::workflow
