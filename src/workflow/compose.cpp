#include "workflow/compose.h"

#include <fmt/format.h>

namespace hearth::workflow {
namespace {

constexpr int64_t kDefaultTile = 512;  // pixels, ComfyUI's

Value link(const char* node, int64_t output) { return Value(Value::List{node, output}); }

class Composer {
 public:
  explicit Composer(const PictureOptions& options) : o_(options) {}

  Value graph() {
    node("1", "CheckpointLoaderSimple", {{"ckpt_name", o_.checkpoint}});
    add_compute_options();
    add_loras();
    if (o_.rescale_cfg > 0) {
      node("12", "RescaleCFG", {{"model", model_}, {"multiplier", o_.rescale_cfg}});
      model_ = link("12", 0);
    }
    node("2", "CLIPTextEncode", {{"text", o_.prompt}, {"clip", clip_}});
    node("3", "CLIPTextEncode", {{"text", o_.negative}, {"clip", clip_}});
    node("5", "KSampler",
         {{"model", model_}, {"seed", o_.seed}, {"steps", o_.steps}, {"cfg", o_.cfg}, {"sampler_name", o_.sampler},
          {"scheduler", o_.scheduler}, {"positive", link("2", 0)}, {"negative", link("3", 0)},
          {"latent_image", add_latent()}, {"denoise", o_.init.empty() ? 1.0 : o_.denoise}});
    if (o_.vae_tiling == "on") {
      node("8", "VAEDecodeTiled", {{"samples", link("5", 0)}, {"vae", vae_}, {"tile_size", tile()}, {"overlap", 64},
                                   {"temporal_size", 64}, {"temporal_overlap", 8}});
    } else {
      node("8", "VAEDecode", {{"samples", link("5", 0)}, {"vae", vae_}});
    }
    if (o_.saves) {
      node("9", "SaveImage", {{"images", link("8", 0)}, {"filename_prefix", o_.prefix}});
    } else {
      node("9", "PreviewImage", {{"images", link("8", 0)}});
    }
    return std::move(graph_);
  }

 private:
  void node(const std::string& id, const char* class_name, std::initializer_list<Value::Member> inputs) {
    graph_.set(id, Value::object({{"class_type", class_name}, {"inputs", Value::object(inputs)}}));
  }

  int64_t tile() const { return o_.vae_tile > 0 ? o_.vae_tile : kDefaultTile; }

  // Only where something is asked for that ComfyUI's nodes do not say: a plain picture's workflow opens anywhere.
  void add_compute_options() {
    const std::string tiling = o_.vae_tiling == "on" ? "" : o_.vae_tiling;  // ComfyUI has a node for that
    if (o_.precision.empty() && o_.attention.empty() && o_.vae_slicing.empty() && tiling.empty()) return;
    auto or_default = [](const std::string& name) { return name.empty() ? std::string("default") : name; };
    node("6", "HearthComputeOptions",
         {{"model", model_}, {"clip", clip_}, {"vae", vae_}, {"precision", or_default(o_.precision)},
          {"attention", or_default(o_.attention)}, {"vae_slicing", or_default(o_.vae_slicing)},
          {"vae_tiling", or_default(tiling)}, {"vae_tile", tile()}});
    model_ = link("6", 0);
    clip_ = link("6", 1);
    vae_ = link("6", 2);
  }

  void add_loras() {
    int id = 20;
    for (const PictureOptions::Lora& lora : o_.loras) {
      const std::string name = std::to_string(id++);
      node(name, "LoraLoader", {{"model", model_}, {"clip", clip_}, {"lora_name", lora.name},
                                {"strength_model", lora.strength}, {"strength_clip", lora.strength}});
      model_ = link(name.c_str(), 0);
      clip_ = link(name.c_str(), 1);
    }
  }

  // The latent to start from; its id is that of the node that gives it.
  Value add_latent() {
    if (o_.init.empty()) {
      node("4", "EmptyLatentImage", {{"width", o_.width}, {"height", o_.height}, {"batch_size", o_.batch}});
      return link("4", 0);
    }
    node("10", "LoadImage", {{"image", o_.init}});
    node("11", "ImageScale", {{"image", link("10", 0)}, {"upscale_method", "lanczos"}, {"width", o_.width},
                              {"height", o_.height}, {"crop", "center"}});
    node("4", "VAEEncode", {{"pixels", link("11", 0)}, {"vae", vae_}});
    Value latent = link("4", 0);
    if (!o_.mask.empty()) {
      node("13", "LoadImageMask", {{"image", o_.mask}, {"channel", "red"}});
      node("14", "SetLatentNoiseMask", {{"samples", latent}, {"mask", link("13", 0)}});
      latent = link("14", 0);
    }
    if (o_.batch > 1) {
      node("15", "RepeatLatentBatch", {{"samples", latent}, {"amount", o_.batch}});
      latent = link("15", 0);
    }
    return latent;
  }

  const PictureOptions& o_;
  Value graph_ = Value::object();
  Value model_ = link("1", 0), clip_ = link("1", 1), vae_ = link("1", 2);
};

}  // namespace

Value compose_picture(const PictureOptions& options) { return Composer(options).graph(); }

}  // namespace hearth::workflow
