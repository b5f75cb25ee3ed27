#include "runtime/diffuse/sampling/size_vector.h"

#include <cmath>

#include "core/base/error.h"
#include "runtime/diffuse/sampling/scalar.h"

namespace hearth::diffuse {

std::vector<float> sinusoids(float number) {
  constexpr int kHalf = 128;
  std::vector<float> values(2 * kHalf);
  for (int i = 0; i < kHalf; ++i) {
    float frequency =
        f32::exp(static_cast<float>(-std::log(10000.0)) * static_cast<float>(i) / static_cast<float>(kHalf));
    values[static_cast<size_t>(i)] = f32::cos(number * frequency);
    values[static_cast<size_t>(kHalf + i)] = f32::sin(number * frequency);
  }
  return values;
}

std::vector<float> size_vector(SizeVectorKind kind, const Condition& condition, const LatentShape& latent,
                               bool is_negative) {
  constexpr int64_t kPixelsPerLatent = 8;
  if (kind == SizeVectorKind::kNone) return {};
  if (!condition.pooled)
    throw Error(Code::kInvalidArgument,
                "this model needs the pooled output of its text encoder, and a condition has none; encode the prompt "
                "with the CLIP that belongs to the model");
  SizeConditioning size{latent.width * kPixelsPerLatent, latent.height * kPixelsPerLatent, 0, 0,
                        latent.width * kPixelsPerLatent, latent.height * kPixelsPerLatent};
  if (condition.size) size = *condition.size;
  std::vector<float> numbers = {static_cast<float>(size.height), static_cast<float>(size.width),
                                static_cast<float>(size.crop_h), static_cast<float>(size.crop_w)};
  if (kind == SizeVectorKind::kSdxl) {
    numbers.push_back(static_cast<float>(size.target_height));
    numbers.push_back(static_cast<float>(size.target_width));
  } else {
    numbers.push_back(condition.aesthetic_score.value_or(is_negative ? 2.5f : 6.0f));
  }
  std::vector<float> tail;
  for (float number : numbers) {
    auto part = sinusoids(number);
    tail.insert(tail.end(), part.begin(), part.end());
  }
  const int64_t dim = condition.pooled.dim(-1), rows = condition.pooled.numel() / dim;
  std::vector<float> y;
  for (int64_t row = 0; row < rows; ++row) {
    const float* pooled = condition.pooled.data<float>() + row * dim;
    y.insert(y.end(), pooled, pooled + dim);
    y.insert(y.end(), tail.begin(), tail.end());
  }
  return y;
}

}  // namespace hearth::diffuse
