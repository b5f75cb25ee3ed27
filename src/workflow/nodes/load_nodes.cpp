// Pictures, masks and latents from files.
#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "core/base/files.h"
#include "formats/safetensors/safetensors.h"
#include "workflow/execute/digest.h"
#include "workflow/files/picture_store.h"
#include "workflow/nodes/common.h"

namespace hearth::workflow {
namespace {

// A latent written before files said their scale is in the scale of SD1's VAE.
constexpr float kOldLatentScale = 1.0f / 0.18215f;

std::vector<std::string> files_of(const std::string& folder, const std::vector<std::string>& extensions) {
  std::vector<std::string> names;
  std::error_code failed;
  for (fs::directory_iterator entry(folder, failed), end; !failed && entry != end; entry.increment(failed)) {
    std::error_code ignored;
    std::string extension = entry->path().extension().string();
    std::transform(extension.begin(), extension.end(), extension.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    bool fits = std::find(extensions.begin(), extensions.end(), extension) != extensions.end();
    if (fits && entry->is_regular_file(ignored)) names.push_back(entry->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

InputSpec input_pictures(std::string_view name) {
  InputSpec input = choice(name, {});
  input.choices_now = [](const Places& places) { return files_of(places.input, {".png", ".jpg", ".jpeg", ".webp"}); };
  return std::move(input).with("image_upload", true);
}

InputSpec output_pictures(std::string_view name) {
  InputSpec input = choice(name, {});
  Value remote = Value::object(
      {{"route", "/internal/files/output"}, {"refresh_button", true}, {"control_after_refresh", "first"}});
  return std::move(input).with("image_upload", true).with("image_folder", "output").with("remote", std::move(remote));
}

InputSpec input_latents(std::string_view name) {
  InputSpec input = choice(name, {});
  input.choices_now = [](const Places& places) { return files_of(places.input, {".latent"}); };
  return input;
}

NodeResult load_image(NodeCall& call) {
  LoadedPicture picture = call.services().store.load(call.text("image"), call.memory()).value();
  return give(image_value(std::move(picture.image)), image_value(std::move(picture.mask)));
}

NodeResult load_image_output(NodeCall& call) {
  std::string name = call.text("image");
  if (!name.ends_with("]")) name += " [output]";
  LoadedPicture picture = call.services().store.load(name, call.memory()).value();
  return give(image_value(std::move(picture.image)), image_value(std::move(picture.mask)));
}

NodeResult load_image_mask(NodeCall& call) {
  return give(
      image_value(call.services().store.load_channel(call.text("image"), call.text("channel"), call.memory()).value()));
}

NodeResult load_latent(NodeCall& call) {
  std::string path = call.services().places.annotated_path(call.text("latent")).value();
  safetensors::File file = safetensors::open(path);
  const TensorInfo* info = file.find("latent_tensor");
  if (!info || info->shape.size() != 4 || info->type != DType::kF32) {
    throw Error(Code::kUnsupported, fmt::format("{}: expected a float32 latent_tensor [B,C,h,w]", path));
  }
  Tensor samples = make_tensor(call.memory(), {info->shape[0], info->shape[1], info->shape[2], info->shape[3]});
  InFile::open(path).value().read_at(info->offset, samples.data<float>(), static_cast<size_t>(info->bytes)).value();
  float scale = file.find("latent_format_version_0") ? 1.0f : kOldLatentScale;
  diffuse::Latent latent;
  latent.samples = mapped(call.memory(), samples, [scale](float v) { return v * scale; });
  return give(latent_value(std::move(latent)));
}

// What an input names must be a file now.
std::function<std::optional<std::string>(const Places&, const Value&)> exists(std::string input, std::string what) {
  return [input = std::move(input), what = std::move(what)](const Places& places,
                                                            const Value& literals) -> std::optional<std::string> {
    const Value* name = literals.find(input);
    if (!name) return std::nullopt;
    std::string text = name->is_string() ? name->as_string() : "";
    Result<std::string> path = places.annotated_path(text);
    std::error_code failed;
    if (path && fs::is_regular_file(*path, failed)) return std::nullopt;
    return fmt::format("Invalid {} file: {}", what, text);
  };
}

std::function<std::optional<Value>(const Places&, const Value&)> digest_of(std::string input) {
  return [input = std::move(input)](const Places& places, const Value& literals) -> std::optional<Value> {
    const Value* name = literals.find(input);
    if (!name || !name->is_string()) return std::nullopt;
    Result<std::string> path = places.annotated_path(name->as_string());
    Result<std::string> digest = path ? file_digest(*path) : Result<std::string>(unexpected(path.error()));
    if (!digest) return std::nullopt;
    return Value(*digest);
  };
}

}  // namespace

void add_load_nodes(Registry& registry) {
  registry.add({.class_name = "LoadImage",
                .display_name = "Load Image",
                .category = "image",
                .description = "Loads a picture, and its transparency as a mask.",
                .inputs = {input_pictures("image")},
                .outputs = {{"IMAGE"}, {"MASK"}},
                .run = load_image,
                .fingerprint = digest_of("image"),
                .own_checks = {"image"},
                .validate = exists("image", "image")});
  registry.add({.class_name = "LoadImageMask",
                .display_name = "Load Image (as Mask)",
                .category = "mask",
                .description = "Loads one channel of a picture as a mask.",
                .inputs = {input_pictures("image"), choice("channel", {"alpha", "red", "green", "blue"})},
                .outputs = {{"MASK"}},
                .run = load_image_mask,
                .fingerprint = digest_of("image"),
                .own_checks = {"image"},
                .validate = exists("image", "image")});
  registry.add({.class_name = "LoadImageOutput",
                .display_name = "Load Image (from Outputs)",
                .category = "image",
                .description = "Loads a picture that was saved before.",
                .inputs = {output_pictures("image")},
                .outputs = {{"IMAGE"}, {"MASK"}},
                .is_experimental = true,
                .run = load_image_output,
                .fingerprint = digest_of("image"),
                .own_checks = {"image"},
                .validate = exists("image", "image")});
  registry.add({.class_name = "LoadLatent",
                .category = "_for_testing",
                .description = "Loads a saved latent.",
                .inputs = {input_latents("latent")},
                .outputs = {{"LATENT"}},
                .run = load_latent,
                .fingerprint = digest_of("latent"),
                .own_checks = {"latent"},
                .validate = exists("latent", "latent")});
}

}  // namespace hearth::workflow
