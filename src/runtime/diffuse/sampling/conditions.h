// Conditions made ready for one sampling: areas in latent pixels, masks in the latent's size, ranges as noise levels,
// and what the UNet is told. Shared by guidance's files.
#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "runtime/diffuse/sampling/guidance.h"
#include "runtime/diffuse/sampling/resize_mask.h"

namespace hearth::diffuse {

struct Box {
  int64_t height = 0, width = 0, y = 0, x = 0;
  bool contains(const Box& inner) const {
    return inner.y >= y && inner.x >= x && inner.y + inner.height <= y + height && inner.x + inner.width <= x + width;
  }
  friend bool operator==(const Box&, const Box&) = default;
};

/// What the UNet is told of one condition; rows repeat over the batch.
struct ModelConditions {
  Tensor context;                                    // [b, tokens, dim]
  std::shared_ptr<const std::vector<float>> y;       // [b, adm], or null
  int64_t y_rows = 1;
  std::shared_ptr<const std::vector<float>> concat;  // [B, channels, h, w], or null
  int64_t concat_channels = 0;
  int64_t tokens() const { return context.dim(-2); }
  /// Whether rows of both may share a call; texts of other lengths when repeating them costs at most fourfold.
  bool fits(const ModelConditions& other) const;
};

struct PreparedCondition {
  ModelConditions told;
  std::optional<Box> area;
  float strength = 1, mask_strength = 1;
  std::optional<Planes> mask;             // of the latent's size
  std::optional<float> first_sigma, last_sigma;

  bool applies_at(float sigma) const;
  /// The part of a latent it covers.
  Box box(const LatentShape& shape) const;
  /// How much each pixel of that part counts [B,1,h,w]; edges inside the picture fade.
  std::vector<float> weight(const LatentShape& shape) const;
};

struct ConditionContext {
  const ModelSampling& model;
  UnetInputs inputs;
  const LatentTask& task;
};
std::vector<PreparedCondition> prepare(const Conditioning& conditions, const ConditionContext& context,
                                       bool is_negative);
/// Gives `list` a condition of `other`'s area where it has none of that area, so that both are seen in equal parts.
void add_same_area(std::vector<PreparedCondition>& list, const PreparedCondition& other);

}  // namespace hearth::diffuse
