// Pictures: edges, shapes, colours, noise.
#include <algorithm>

#include "ops/random/noise.h"
#include "workflow/image/edges.h"
#include "workflow/image/morphology.h"
#include "workflow/image/quantize.h"
#include "workflow/nodes/common.h"

namespace hearth::workflow {
namespace {

// Of ITU-R BT.601: what of each colour is luma, and how the two differences are scaled.
constexpr float kRed = 0.299f, kGreen = 0.587f, kBlue = 0.114f;
constexpr float kBlueDifference = 0.564f, kRedDifference = 0.713f, kMiddle = 0.5f;

NodeResult canny(NodeCall& call) {
  return give(
      image_value(canny_edges(call.memory(), image_in(call, "image"), static_cast<float>(call.number("low_threshold")),
                              static_cast<float>(call.number("high_threshold")))));
}

NodeResult morphology(NodeCall& call) {
  return give(image_value(
      morphed(call.memory(), image_in(call, "image"), call.text("operation"), call.integer("kernel_size"))));
}

NodeResult image_quantize(NodeCall& call) {
  return give(
      image_value(quantized(call.memory(), image_in(call, "image"), call.integer("colors"), call.text("dither"))));
}

NodeResult image_add_noise(NodeCall& call) {
  Tensor image = image_in(call, "image"), out = make_tensor(call.memory(), image.shape());
  const std::vector<float> noise = batch_noise({}, call.seed("seed"), 1, image.numel());
  const auto strength = static_cast<float>(call.number("strength"));
  for (int64_t i = 0; i < out.numel(); ++i) {
    out.data<float>()[i] =
        std::clamp(image.data<const float>()[i] + strength * noise[static_cast<size_t>(i)], 0.0f, 1.0f);
  }
  return give(image_value(std::move(out)));
}

// Three grey pictures: luma and the two differences.
NodeResult image_rgb_to_yuv(NodeCall& call) {
  Tensor image = image_in(call, "image");
  if (image.dim(3) != 3) throw Error(Code::kInvalidArgument, "only pictures of red, green and blue have luma");
  Tensor y = make_tensor(call.memory(), image.shape()), u = make_tensor(call.memory(), image.shape()),
         v = make_tensor(call.memory(), image.shape());
  for (int64_t i = 0; i < image.numel(); i += 3) {
    const float* rgb = image.data<const float>() + i;
    const float luma = kRed * rgb[0] + kGreen * rgb[1] + kBlue * rgb[2];
    std::fill_n(y.data<float>() + i, 3, luma);
    std::fill_n(u.data<float>() + i, 3, (rgb[2] - luma) * kBlueDifference + kMiddle);
    std::fill_n(v.data<float>() + i, 3, (rgb[0] - luma) * kRedDifference + kMiddle);
  }
  return give(image_value(std::move(y)), image_value(std::move(u)), image_value(std::move(v)));
}

float mean_of(const float* pixel, int64_t channels) {
  float sum = 0;
  for (int64_t c = 0; c < channels; ++c) sum += pixel[c];
  return sum / static_cast<float>(channels);
}

NodeResult image_yuv_to_rgb(NodeCall& call) {
  Tensor y = image_in(call, "Y"), u = image_in(call, "U"), v = image_in(call, "V");
  if (!(y.shape() == u.shape()) || !(y.shape() == v.shape())) {
    throw Error(Code::kInvalidArgument, "Y, U and V need pictures of one size");
  }
  const int64_t channels = y.dim(3), pixels = y.numel() / channels;
  Tensor out = make_tensor(call.memory(), {y.dim(0), y.dim(1), y.dim(2), 3});
  for (int64_t i = 0; i < pixels; ++i) {
    const float luma = mean_of(y.data<const float>() + i * channels, channels);
    const float blue = mean_of(u.data<const float>() + i * channels, channels) - kMiddle;
    const float red = mean_of(v.data<const float>() + i * channels, channels) - kMiddle;
    float* rgb = out.data<float>() + i * 3;
    rgb[0] = luma + red / kRedDifference;
    rgb[1] = luma - red * kRed / (kGreen * kRedDifference) - blue * kBlue / (kGreen * kBlueDifference);
    rgb[2] = luma + blue / kBlueDifference;
    for (int c = 0; c < 3; ++c) rgb[c] = std::clamp(rgb[c], 0.0f, 1.0f);
  }
  return give(image_value(std::move(out)));
}

}  // namespace

void add_image_effect_nodes(Registry& registry) {
  registry.add({.class_name = "Canny",
                .category = "image/preprocessors",
                .description = "Draws the edges of a picture in white on black.",
                .python_module = "comfy_extras.nodes_canny",
                .inputs = {socket("image", "IMAGE"),
                           number("low_threshold", {.value = 0.4, .min = 0.01, .max = 0.99, .step = 0.01})
                               .help("Weaker edges are dropped, stronger ones kept where they touch a strong one"),
                           number("high_threshold", {.value = 0.8, .min = 0.01, .max = 0.99, .step = 0.01})
                               .help("Edges above this are strong")},
                .outputs = {{"IMAGE"}},
                .run = canny});
  registry.add(
      {.class_name = "Morphology",
       .display_name = "ImageMorphology",
       .category = "image/postprocessing",
       .description = "Grows, shrinks or outlines bright shapes.",
       .python_module = "comfy_extras.nodes_morphology",
       .inputs =
           {socket("image", "IMAGE"),
            choice("operation", {"erode", "dilate", "open", "close", "gradient", "bottom_hat", "top_hat"}),
            integer("kernel_size", {.value = 3, .min = 3, .max = 999, .step = 1}).help("Side of the square in pixels")},
       .outputs = {{"IMAGE"}},
       .run = morphology});
  registry.add({.class_name = "ImageQuantize",
                .display_name = "Image Quantize",
                .category = "image/postprocessing",
                .description = "Reduces a picture to a few colours, with or without dithering.",
                .python_module = "comfy_extras.nodes_post_processing",
                .inputs = {socket("image", "IMAGE"),
                           integer("colors", {.value = 256, .min = 1, .max = 256, .step = 1}).help("At most so many"),
                           choice("dither", {"none", "floyd-steinberg", "bayer-2", "bayer-4", "bayer-8", "bayer-16"})
                               .help("How steps between colours are hidden")},
                .outputs = {{"IMAGE"}},
                .run = image_quantize});
  registry.add({.class_name = "ImageAddNoise",
                .category = "image",
                .description = "Adds grain.",
                .python_module = "comfy_extras.nodes_images",
                .inputs = {socket("image", "IMAGE"), seed("seed"),
                           number("strength", {.value = 0.5, .min = 0.0, .max = 1.0, .step = 0.01})
                               .help("Standard deviation of the noise; 1 is the whole range")},
                .outputs = {{"IMAGE"}},
                .run = image_add_noise});
  registry.add({.class_name = "ImageRGBToYUV",
                .category = "image/batch",
                .description = "Splits a picture into luma and two colour differences.",
                .python_module = "comfy_extras.nodes_morphology",
                .inputs = {socket("image", "IMAGE")},
                .outputs = {{"IMAGE", "Y"}, {"IMAGE", "U"}, {"IMAGE", "V"}},
                .run = image_rgb_to_yuv});
  registry.add({.class_name = "ImageYUVToRGB",
                .category = "image/batch",
                .description = "Makes a picture of luma and two colour differences.",
                .python_module = "comfy_extras.nodes_morphology",
                .inputs = {socket("Y", "IMAGE"), socket("U", "IMAGE"), socket("V", "IMAGE")},
                .outputs = {{"IMAGE"}},
                .run = image_yuv_to_rgb});
}

}  // namespace hearth::workflow
