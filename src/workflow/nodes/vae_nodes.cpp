// Between pictures and latents.
#include <algorithm>

#include "workflow/image/inpaint.h"
#include "workflow/nodes/common.h"
#include "workflow/picture_work.h"

namespace hearth::workflow {
namespace {

// Seams no wider than a quarter of a tile.
diffuse::VaeOptions tiles_in(const NodeCall& call) {
  int64_t tile = call.integer("tile_size");
  return {.tile = tile, .overlap = std::min(call.integer("overlap"), tile / 4)};
}

NodeResult decoded(NodeCall& call, const diffuse::VaeOptions& options) {
  diffuse::Latent latent = latent_in(call, "samples");
  return give(
      image_value(call.pictures().decode(call.get<diffuse::Vae>("vae"), latent.samples, options, watch_of(call))));
}

Tensor encoded(const NodeCall& call, const Tensor& pixels, const diffuse::VaeOptions& options) {
  Tensor color = pixels.dim(3) > 3 ? sliced(call.memory(), pixels, 3, 0, 3) : pixels;
  return call.pictures().encode(call.get<diffuse::Vae>("vae"), color, options, watch_of(call));
}

NodeResult latent_of(Tensor samples, Tensor noise_mask = {}) {
  diffuse::Latent latent;
  latent.samples = std::move(samples);
  latent.noise_mask = std::move(noise_mask);
  return give(latent_value(std::move(latent)));
}

NodeResult vae_decode(NodeCall& call) { return decoded(call, {}); }
NodeResult vae_decode_tiled(NodeCall& call) { return decoded(call, tiles_in(call)); }
NodeResult vae_encode(NodeCall& call) { return latent_of(encoded(call, image_in(call, "pixels"), {})); }
NodeResult vae_encode_tiled(NodeCall& call) {
  return latent_of(encoded(call, image_in(call, "pixels"), tiles_in(call)));
}

NodeResult vae_encode_for_inpaint(NodeCall& call) {
  Inpaint inpaint = prepare_inpaint(call.memory(), image_in(call, "pixels"), mask_in(call, "mask"));
  Tensor mask = grown_for_latents(call.memory(), inpaint.mask, call.integer("grow_mask_by"));
  return latent_of(encoded(call, inpaint.pixels, {}), std::move(mask));
}

}  // namespace

void add_vae_nodes(Registry& registry) {
  registry.add({.class_name = "VAEDecode",
                .display_name = "VAE Decode",
                .category = "latent",
                .description = "Makes pictures of latents.",
                .inputs = {socket("samples", "LATENT"), socket("vae", "VAE")},
                .outputs = {{"IMAGE"}},
                .run = vae_decode});
  registry.add({.class_name = "VAEEncode",
                .display_name = "VAE Encode",
                .category = "latent",
                .description = "Makes a latent of a picture.",
                .inputs = {socket("pixels", "IMAGE"), socket("vae", "VAE")},
                .outputs = {{"LATENT"}},
                .run = vae_encode});
  registry.add({.class_name = "VAEEncodeForInpaint",
                .display_name = "VAE Encode (for Inpainting)",
                .category = "latent/inpaint",
                .description = "Makes a latent of a picture whose masked part is greyed and sampled anew. Use a "
                               "denoise of 1.",
                .inputs = {socket("pixels", "IMAGE"), socket("vae", "VAE"), socket("mask", "MASK"),
                           integer("grow_mask_by", {.value = 6, .min = 0, .max = 64, .step = 1})},
                .outputs = {{"LATENT"}},
                .run = vae_encode_for_inpaint});
  registry.add({.class_name = "VAEDecodeTiled",
                .display_name = "VAE Decode (Tiled)",
                .category = "_for_testing",
                .description = "Makes pictures of latents piece by piece, in less memory.",
                .inputs = {socket("samples", "LATENT"), socket("vae", "VAE"),
                           integer("tile_size", {.value = 512, .min = 64, .max = 4096, .step = 32}),
                           integer("overlap", {.value = 64, .min = 0, .max = 4096, .step = 32}),
                           integer("temporal_size", {.value = 64, .min = 8, .max = 4096, .step = 4}),
                           integer("temporal_overlap", {.value = 8, .min = 4, .max = 4096, .step = 4})},
                .outputs = {{"IMAGE"}},
                .run = vae_decode_tiled});
  registry.add({.class_name = "VAEEncodeTiled",
                .display_name = "VAE Encode (Tiled)",
                .category = "_for_testing",
                .description = "Makes a latent of a picture piece by piece, in less memory.",
                .inputs = {socket("pixels", "IMAGE"), socket("vae", "VAE"),
                           integer("tile_size", {.value = 512, .min = 64, .max = 4096, .step = 64}),
                           integer("overlap", {.value = 64, .min = 0, .max = 4096, .step = 32}),
                           integer("temporal_size", {.value = 64, .min = 8, .max = 4096, .step = 4}),
                           integer("temporal_overlap", {.value = 8, .min = 4, .max = 4096, .step = 4})},
                .outputs = {{"LATENT"}},
                .run = vae_encode_tiled});
}

}  // namespace hearth::workflow
