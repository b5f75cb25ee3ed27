#include "runtime/diffuse/preview.h"

#include <algorithm>

namespace hearth::diffuse {
namespace {

struct ColourMap {
  float factors[4][3];  // of each latent channel
  float bias[3];
};

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

bool is_xl(PictureFamily family) { return family == PictureFamily::kSdxl || family == PictureFamily::kSdxlRefiner; }

}  // namespace

std::string_view tiny_decoder_name(PictureFamily family) {
  if (family == PictureFamily::kUnknown) return "";
  return is_xl(family) ? "taesdxl_decoder" : "taesd_decoder";
}

Tensor first_for_vae(const Tensor& denoised, float latent_scale, Residency& memory) {
  Tensor first = memory.tensor(DType::kF32, {1, denoised.dim(1), denoised.dim(2), denoised.dim(3)}, "previews");
  const float* from = denoised.data<const float>();
  std::transform(from, from + first.numel(), first.data<float>(), [=](float v) { return v / latent_scale; });
  return first;
}

Tensor latent_to_rgb(PictureFamily family, const Tensor& denoised, Residency& memory) {
  if (family == PictureFamily::kUnknown || !denoised || denoised.rank() != 4 || denoised.dim(1) != 4) return {};
  const ColourMap& map = is_xl(family) ? kSdxl : kSd1;
  const int64_t plane = denoised.dim(2) * denoised.dim(3);
  Tensor picture = memory.tensor(DType::kF32, {1, denoised.dim(2), denoised.dim(3), 3}, "previews");
  const float* from = denoised.data<float>();
  float* to = picture.data<float>();
  for (int64_t p = 0; p < plane; ++p) {
    for (int c = 0; c < 3; ++c) {
      float value = map.bias[c];
      for (int k = 0; k < 4; ++k) value += from[k * plane + p] * map.factors[k][c];
      to[p * 3 + c] = std::clamp((value + 1.0f) / 2.0f, 0.0f, 1.0f);
    }
  }
  return picture;
}

}  // namespace hearth::diffuse
