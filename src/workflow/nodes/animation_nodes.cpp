// Batches as animations.
#include "formats/image/picture.h"
#include "workflow/nodes/saving.h"

namespace hearth::workflow {
namespace {

image::Animation animation_of(const NodeCall& call) {
  Tensor images = image_in(call, "images");
  const int64_t size = images.numel() / images.dim(0);
  image::Animation animation{.frames = {}, .frame_ms = static_cast<int>(1000.0 / call.number("fps"))};
  for (int64_t i = 0; i < images.dim(0); ++i) {
    animation.frames.push_back(image::to_picture(images.data<const float>() + i * size, static_cast<int>(images.dim(2)),
                                                 static_cast<int>(images.dim(1)), static_cast<int>(images.dim(3))));
  }
  const Value chunks = text_chunks(call);
  for (const auto& [key, text] : chunks.as_object()) animation.texts.push_back({key, text.as_string()});
  return animation;
}

// Encodes with `encode` and writes the file under the next number.
template <class Encode>
NodeResult saved(const NodeCall& call, std::string_view suffix, const Encode& encode) {
  const image::Animation animation = animation_of(call);
  const image::Picture& first = animation.frames.front();
  const PictureStore& store = call.services().store;
  SavePlace place = store.place("output", call.text("filename_prefix"), first.width, first.height).value();
  const std::string file = place.file(0, suffix);
  call.check_cancelled();
  store.write(place.folder + "/" + file, encode(animation)).value();
  return {.outputs = {},
          .ui = Value::object({{"images", Value(Value::List{shown_file(file, place, "output")})},
                               {"animated", Value(Value::List{Value(animation.frames.size() > 1)})}})};
}

NodeResult save_animated_webp(NodeCall& call) {
  const std::string method = call.text("method");
  const image::WebpOptions options{.quality = static_cast<float>(call.integer("quality")),
                                   .is_lossless = call.flag("lossless"),
                                   .method = method == "fastest"   ? 0
                                             : method == "slowest" ? 6
                                                                   : 4};
  return saved(call, "_.webp", [&](const image::Animation& a) { return image::encode_animated_webp(a, options); });
}

NodeResult save_animated_png(NodeCall& call) {
  const int level = static_cast<int>(call.integer("compress_level"));
  return saved(call, "_.png", [&](const image::Animation& a) { return image::encode_animated_png(a, level); });
}

InputSpec fps_input() {
  return number("fps", {.value = 6.0, .min = 0.01, .max = 1000.0, .step = 0.01}).help("Pictures a second");
}

}  // namespace

void add_animation_nodes(Registry& registry) {
  registry.add({.class_name = "SaveAnimatedWEBP",
                .category = "image/animation",
                .description = "Saves a batch as one animated WebP file.",
                .python_module = "comfy_extras.nodes_images",
                .inputs = {socket("images", "IMAGE"), text("filename_prefix", "ComfyUI"), fps_input(),
                           boolean("lossless", true).help("Every pixel as it is; off: smaller files"),
                           integer("quality", {.value = 80, .min = 0, .max = 100}).help("Of files that lose some"),
                           choice("method", {"default", "fastest", "slowest"}).help("The slower, the smaller the file"),
                           hidden("prompt", "PROMPT"), hidden("extra_pnginfo", "EXTRA_PNGINFO")},
                .is_output = true,
                .run = save_animated_webp});
  registry.add({.class_name = "SaveAnimatedPNG",
                .category = "image/animation",
                .description = "Saves a batch as one animated PNG file.",
                .python_module = "comfy_extras.nodes_images",
                .inputs = {socket("images", "IMAGE"), text("filename_prefix", "ComfyUI"), fps_input(),
                           integer("compress_level", {.value = 4, .min = 0, .max = 9})
                               .help("The higher, the smaller the file and the longer it takes"),
                           hidden("prompt", "PROMPT"), hidden("extra_pnginfo", "EXTRA_PNGINFO")},
                .is_output = true,
                .run = save_animated_png});
}

}  // namespace hearth::workflow
