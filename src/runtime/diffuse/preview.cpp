#include "runtime/diffuse/preview.h"

#include <algorithm>
#include <cmath>

#include "formats/json/json.h"
#include "runtime/diffuse/model_files.h"

namespace hearth::diffuse {
namespace {

constexpr const char* kColourKey = "hearth.latent_rgb";
constexpr size_t kRows = 5, kColours = 3;  // four channels and the bias

constexpr ColourMap kSd1 = {{{0.3512f, 0.2297f, 0.3227f},
                             {0.3250f, 0.4974f, 0.2350f},
                             {-0.2829f, 0.1762f, 0.2721f},
                             {-0.2120f, -0.2616f, -0.7177f}},
                            {0, 0, 0}};
constexpr ColourMap kSdxl = {{{0.3651f, 0.4232f, 0.4341f},
                              {-0.2533f, -0.0042f, 0.1068f},
                              {0.1076f, 0.1111f, -0.0362f},
                              {-0.3165f, -0.2492f, -0.2188f}},
                             {0.1084f, -0.0175f, -0.0011f}};
constexpr ColourMap kPlayground = {{{0.3920f, 0.4054f, 0.4549f},
                                    {-0.2634f, -0.0196f, 0.0653f},
                                    {0.0568f, 0.1687f, -0.0755f},
                                    {-0.3112f, -0.2359f, -0.2076f}},
                                   {0, 0, 0}};

bool is_xl(PictureFamily family) { return family == PictureFamily::kSdxl || family == PictureFamily::kSdxlRefiner; }

// What a file says wrongly of its colours is not worth a picture: it counts as not said.
std::optional<ColourMap> said_map(const PictureFile& file) {
  const Value* said = file.unet ? file.unet->tensors->file().metadata.find(kColourKey) : nullptr;
  if (!said || !said->is_string()) return std::nullopt;
  const Result<Value> rows = json::parse(said->as_string());
  if (!rows || !rows->is_list() || rows->as_list().size() != kRows) return std::nullopt;
  ColourMap map;
  for (size_t row = 0; row < kRows; ++row) {
    const Value& numbers = rows->as_list()[row];
    if (!numbers.is_list() || numbers.as_list().size() != kColours) return std::nullopt;
    for (size_t colour = 0; colour < kColours; ++colour) {
      const Value& number = numbers.as_list()[colour];
      if (!number.is_number() || !std::isfinite(number.as_double())) return std::nullopt;
      float* to = row + 1 < kRows ? map.factors[row] : map.bias;
      to[colour] = static_cast<float>(number.as_double());
    }
  }
  return map;
}

}  // namespace

std::string_view tiny_decoder_name(PictureFamily family) {
  if (family == PictureFamily::kUnknown) return "";
  return is_xl(family) ? "taesdxl_decoder" : "taesd_decoder";
}

Tensor first_for_vae(const Tensor& denoised, const LatentFormat& latents, Residency& memory) {
  Tensor first = memory.tensor(DType::kF32, {1, denoised.dim(1), denoised.dim(2), denoised.dim(3)}, "previews");
  std::copy_n(denoised.data<const float>(), first.numel(), first.data<float>());
  latents.to_vae({first.data<float>(), static_cast<size_t>(first.numel())},
                 {1, denoised.dim(1), denoised.dim(2), denoised.dim(3)});
  return first;
}

std::optional<ColourMap> colour_map(const Model& model) {
  const PictureFile& file = model.base->file();
  if (file.family == PictureFamily::kUnknown) return std::nullopt;
  if (has_playground_latents(model)) return kPlayground;
  if (const std::optional<ColourMap> said = said_map(file)) return said;
  return is_xl(file.family) ? kSdxl : kSd1;
}

Tensor latent_to_rgb(const std::optional<ColourMap>& map, const Tensor& denoised, Residency& memory) {
  if (!map || !denoised || denoised.rank() != 4 || denoised.dim(1) != 4) return {};
  const int64_t plane = denoised.dim(2) * denoised.dim(3);
  Tensor picture = memory.tensor(DType::kF32, {1, denoised.dim(2), denoised.dim(3), 3}, "previews");
  const float* from = denoised.data<float>();
  float* to = picture.data<float>();
  for (int64_t p = 0; p < plane; ++p) {
    for (int c = 0; c < 3; ++c) {
      float value = map->bias[c];
      for (int k = 0; k < 4; ++k) value += from[k * plane + p] * map->factors[k][c];
      to[p * 3 + c] = std::clamp((value + 1.0f) / 2.0f, 0.0f, 1.0f);
    }
  }
  return picture;
}

}  // namespace hearth::diffuse
