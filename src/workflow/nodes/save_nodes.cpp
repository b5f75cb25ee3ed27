// Pictures and latents to files, and pictures to the frontend.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "formats/json/json.h"
#include "workflow/execute/digest.h"
#include "workflow/nodes/saving.h"

namespace hearth::workflow {

Value text_chunks(const NodeCall& call) {
  Value chunks = Value::object();
  if (!call.services().writes_metadata) return chunks;
  json::WriteStyle style{.spaced = true, .ascii_only = true};
  if (call.about().prompt) chunks.set("prompt", json::write(*call.about().prompt, style));
  const Value* extra = call.about().extra_pnginfo;
  if (!extra || !extra->is_object()) return chunks;
  for (const auto& [name, value] : extra->as_object()) chunks.set(name, json::write(value, style));
  return chunks;
}

Value shown_file(const std::string& file, const SavePlace& place, std::string_view type) {
  return Value::object({{"filename", file}, {"subfolder", place.subfolder}, {"type", type}});
}

namespace {

constexpr int kSavedLevel = 4, kPreviewLevel = 1;  // of PNG compression

Value save_pngs(const NodeCall& call, const Tensor& images, std::string_view type, std::string prefix, int level) {
  const PictureStore& store = call.services().store;
  SavePlace place = store.place(type, std::move(prefix), images.dim(2), images.dim(1)).value();
  Value chunks = text_chunks(call), shown = Value::list();
  // The samples of one picture in bytes, its rows behind their filters, and the file.
  const StorageRef held = call.memory().book(3 * images.dim(1) * images.dim(2) * images.dim(3), "pictures").value();
  for (int64_t i = 0; i < images.dim(0); ++i) {
    call.check_cancelled();
    std::string file = place.file(i, "_.png");
    store.write(place.folder + "/" + file, store.encode_png(images, i, chunks, level).value()).value();
    shown.push(shown_file(file, place, type));
  }
  return shown;
}

// Five letters that stay the same for one node of one prompt's shape, so that previews of nodes do not mix.
std::string preview_suffix(const NodeCall& call) {
  Digest digest;
  digest.add_field(call.about().node_id);
  digest.add_field(call.type().class_name);
  std::string letters = "_temp_";
  for (char c : digest.hex().substr(0, 5)) letters += static_cast<char>('a' + (c >= 'a' ? c - 'a' + 10 : c - '0'));
  return letters;
}

NodeResult with_images(Tensor images, Value shown) {
  NodeResult result = give(image_value(std::move(images)));
  result.ui = Value::object({{"images", std::move(shown)}});
  return result;
}

NodeResult save_image(NodeCall& call) {
  Tensor images = image_in(call, "images");
  return with_images(images, save_pngs(call, images, "output", call.text("filename_prefix"), kSavedLevel));
}

NodeResult preview_image(NodeCall& call) {
  Tensor images = image_in(call, "images");
  return with_images(images, save_pngs(call, images, "temp", "ComfyUI" + preview_suffix(call), kPreviewLevel));
}

NodeResult mask_preview(NodeCall& call) {
  Tensor mask = mask_in(call, "mask");
  Tensor plane = mask.reshape({mask.dim(0), mask.dim(1), mask.dim(2), 1});
  Tensor image = joined(call.memory(), {plane, plane, plane}, 3);
  Value shown = save_pngs(call, image, "temp", "ComfyUI" + preview_suffix(call), kPreviewLevel);
  return {.outputs = {}, .ui = Value::object({{"images", std::move(shown)}})};
}

// Full-size pictures over the WebSocket, as previews of the last steps.
NodeResult save_image_websocket(NodeCall& call) {
  Tensor images = image_in(call, "images");
  for (int64_t i = 0; i < images.dim(0); ++i) {
    call.check_cancelled();
    EncodedPreview picture{"image/png",
                           call.services().store.encode_png(images, i, Value::object(), kPreviewLevel).value()};
    call.watch().progress(i, images.dim(0), &picture);
  }
  return {.outputs = {}, .ui = {}};
}

// A safetensors file of one tensor and a mark that its scale is the VAE's own.
std::string latent_file(const Tensor& samples, const Value& metadata) {
  Value shape = Value::list();
  for (int i = 0; i < samples.rank(); ++i) shape.push(samples.dim(i));
  int64_t bytes = samples.bytes();
  Value header = Value::object();
  header.set("__metadata__", metadata);
  header.set(
      "latent_format_version_0",
      Value::object({{"dtype", "F32"}, {"shape", Value(Value::List{0})}, {"data_offsets", Value(Value::List{0, 0})}}));
  header.set(
      "latent_tensor",
      Value::object({{"dtype", "F32"}, {"shape", std::move(shape)}, {"data_offsets", Value(Value::List{0, bytes})}}));
  std::string text = json::write(header);
  text.append((8 - text.size() % 8) % 8, ' ');
  std::string file;
  for (int i = 0; i < 8; ++i) file += static_cast<char>(text.size() >> (8 * i));
  return file + text + std::string(reinterpret_cast<const char*>(samples.raw()), static_cast<size_t>(bytes));
}

NodeResult save_latent(NodeCall& call) {
  diffuse::Latent latent = latent_in(call, "samples");
  const PictureStore& store = call.services().store;
  SavePlace place = store.place("output", call.text("filename_prefix"), 0, 0).value();
  std::string file = place.file(0, "_.latent");
  store.write(place.folder + "/" + file, latent_file(latent.samples, text_chunks(call))).value();
  Value shown = Value(Value::List{shown_file(file, place, "output")});
  return {.outputs = {}, .ui = Value::object({{"latents", std::move(shown)}})};
}

}  // namespace

void add_save_nodes(Registry& registry) {
  registry.add({.class_name = "SaveImage",
                .display_name = "Save Image",
                .category = "image",
                .description = "Saves pictures as PNG files that carry their workflow.",
                .inputs = {socket("images", "IMAGE"), text("filename_prefix", "ComfyUI"), hidden("prompt", "PROMPT"),
                           hidden("extra_pnginfo", "EXTRA_PNGINFO")},
                .outputs = {{"IMAGE", "images"}},
                .is_output = true,
                .run = save_image});
  registry.add(
      {.class_name = "PreviewImage",
       .display_name = "Preview Image",
       .category = "image",
       .description = "Shows pictures without keeping them.",
       .inputs = {socket("images", "IMAGE"), hidden("prompt", "PROMPT"), hidden("extra_pnginfo", "EXTRA_PNGINFO")},
       .outputs = {{"IMAGE", "images"}},
       .is_output = true,
       .run = preview_image});
  registry.add(
      {.class_name = "MaskPreview",
       .display_name = "Preview Mask",
       .category = "mask",
       .description = "Shows a mask without keeping it.",
       .python_module = "comfy_extras.nodes_mask",
       .inputs = {socket("mask", "MASK"), hidden("prompt", "PROMPT"), hidden("extra_pnginfo", "EXTRA_PNGINFO")},
       .is_output = true,
       .run = mask_preview});
  registry.add({.class_name = "SaveLatent",
                .category = "_for_testing",
                .description = "Saves a latent.",
                .inputs = {socket("samples", "LATENT"), text("filename_prefix", "latents/ComfyUI"),
                           hidden("prompt", "PROMPT"), hidden("extra_pnginfo", "EXTRA_PNGINFO")},
                .is_output = true,
                .run = save_latent});
  registry.add({.class_name = "SaveImageWebsocket",
                .category = "api/image",
                .description = "Sends pictures over the WebSocket instead of saving them.",
                .python_module = "custom_nodes.websocket_image_save",
                .inputs = {socket("images", "IMAGE")},
                .is_output = true,
                .run = save_image_websocket,
                // Never the same, so that a client that asks again gets its pictures again.
                .fingerprint = [](const Places&, const Value&) { return std::optional<Value>(); }});
}

}  // namespace hearth::workflow
