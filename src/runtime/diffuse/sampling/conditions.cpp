#include "runtime/diffuse/sampling/conditions.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/base/error.h"

namespace hearth::diffuse {
namespace {

constexpr int64_t kMinMaskBox = 8;   // latent pixels
constexpr int64_t kFade = 8;         // latent pixels over which an area's inner edges fade

int64_t rounded(double x) { return static_cast<int64_t>(std::nearbyint(x)); }

Box resolve(const Area& area, const LatentShape& shape) {
  if (!area.is_fraction)
    return {static_cast<int64_t>(area.height), static_cast<int64_t>(area.width), static_cast<int64_t>(area.y),
            static_cast<int64_t>(area.x)};
  double h = static_cast<double>(shape.height), w = static_cast<double>(shape.width);
  return {std::max<int64_t>(1, rounded(area.height * h)), std::max<int64_t>(1, rounded(area.width * w)),
          rounded(area.y * h), rounded(area.x * w)};
}

/// The box around what is not 0 in any of the masks.
Box bounds(const Planes& mask) {
  int64_t top = mask.height, left = mask.width, bottom = -1, right = -1;
  for (int64_t i = 0; i < mask.count; ++i)
    for (int64_t y = 0; y < mask.height; ++y)
      for (int64_t x = 0; x < mask.width; ++x) {
        if (mask.plane(i)[static_cast<size_t>(y * mask.width + x)] == 0) continue;
        top = std::min(top, y), left = std::min(left, x), bottom = std::max(bottom, y), right = std::max(right, x);
      }
  if (bottom < 0) return {kMinMaskBox, kMinMaskBox, 0, 0};
  return {std::max(kMinMaskBox, bottom - top + 1), std::max(kMinMaskBox, right - left + 1), top, left};
}

/// Members of `from` [b*C planes] of the latent's size, spread over its batch.
std::vector<float> spread(const Planes& from, int64_t channels, const LatentShape& shape) {
  Planes sized = from;
  if (from.height != shape.height || from.width != shape.width)
    sized = resized(centre_cropped(from, shape.height, shape.width), shape.height, shape.width);
  std::vector<float> values;
  for (int64_t b = 0; b < shape.batch; ++b)
    for (int64_t c = 0; c < channels; ++c) {
      auto plane = sized.plane(spread_member(b, sized.count / channels, shape.batch) * channels + c);
      values.insert(values.end(), plane.begin(), plane.end());
    }
  return values;
}

/// What an inpaint UNet gets with x [B,1+C,h,w]: the mask, and the picture without what is masked.
std::vector<float> inpaint_channels(const Condition& condition, const LatentTask& task, const LatentFormat& latents) {
  constexpr float kGrey[] = {0.8223f, -0.6876f, 0.6364f, 0.1380f};  // the latent of a grey picture
  const LatentShape& shape = task.shape;
  const size_t plane = static_cast<size_t>(shape.plane()), channels = static_cast<size_t>(shape.channels);
  std::vector<float> mask(static_cast<size_t>(shape.batch) * plane, 1.0f), picture;
  if (condition.concat_mask) {
    Planes given = planes_of(condition.concat_mask);
    if (given.height != shape.height || given.width != shape.width)
      given = resized(centre_cropped(given, shape.height, shape.width), shape.height, shape.width);
    for (float& value : given.values) value = std::nearbyint(value);
    mask = spread(given, 1, shape);
  } else if (!task.mask.empty()) {
    for (size_t b = 0; b < static_cast<size_t>(shape.batch); ++b)
      for (size_t i = 0; i < plane; ++i)
        mask[b * plane + i] = std::nearbyint(task.mask[static_cast<int64_t>(b * channels * plane + i)]);
  } else {
    for (int64_t b = 0; b < shape.batch; ++b)
      for (int64_t c = 0; c < shape.channels; ++c) picture.insert(picture.end(), plane, kGrey[c % 4]);
  }
  if (picture.empty() && condition.concat_latent) {
    Planes given = planes_of(condition.concat_latent);
    latents.to_model(given.values, {given.count / shape.channels, shape.channels, given.height, given.width});
    picture = spread(given, shape.channels, shape);
  }
  if (picture.empty()) picture.assign(task.latent.data(), task.latent.data() + task.latent.size());

  std::vector<float> values;
  for (size_t b = 0; b < static_cast<size_t>(shape.batch); ++b) {
    auto mask_at = mask.begin() + static_cast<int64_t>(b * plane);
    auto picture_at = picture.begin() + static_cast<int64_t>(b * channels * plane);
    values.insert(values.end(), mask_at, mask_at + static_cast<int64_t>(plane));
    values.insert(values.end(), picture_at, picture_at + static_cast<int64_t>(channels * plane));
  }
  return values;
}

PreparedCondition prepare_one(const Condition& from, const ConditionContext& context, bool is_negative) {
  const LatentShape& shape = context.task.shape;
  if (!from.context || from.context.rank() != 3)
    throw Error(Code::kInvalidArgument, "a condition needs encoded text [batch, tokens, width]");
  PreparedCondition to;
  to.told.context = from.context;
  if (context.inputs.size_vector != SizeVectorKind::kNone) {
    auto y = size_vector(context.inputs.size_vector, from, shape, is_negative);
    to.told.y_rows = from.pooled.numel() / from.pooled.dim(-1);
    to.told.y = std::make_shared<const std::vector<float>>(std::move(y));
  }
  if (context.inputs.is_inpaint) {
    auto channels = inpaint_channels(from, context.task, context.inputs.latents);
    to.told.concat = std::make_shared<const std::vector<float>>(std::move(channels));
    to.told.concat_channels = shape.channels + 1;
  }
  to.strength = from.strength;
  if (from.area) to.area = resolve(*from.area, shape);
  if (from.mask) {
    to.mask = resized(planes_of(from.mask), shape.height, shape.width);
    to.mask_strength = from.mask_strength;
    if (from.set_area_to_bounds) to.area = bounds(*to.mask);
  }
  if (to.area && (to.area->y < 0 || to.area->x < 0 || to.area->y >= shape.height || to.area->x >= shape.width))
    throw Error(Code::kInvalidArgument, "a condition's area begins at row " + std::to_string(to.area->y) + ", column " +
                                            std::to_string(to.area->x) + " of a latent of " +
                                            std::to_string(shape.height) + " rows and " + std::to_string(shape.width) +
                                            " columns; move it into the picture");
  const auto level = [&](double percent) { return static_cast<float>(context.model.percent_to_sigma(percent)); };
  if (from.start_percent) to.first_sigma = level(*from.start_percent);
  if (from.end_percent) to.last_sigma = level(*from.end_percent);
  return to;
}

/// Fades the first or last rows (or columns) of a weight, one plane wide.
void fade(std::span<float> weight, const Box& box, bool is_rows, bool is_start) {
  const int64_t length = is_rows ? box.height : box.width, across = is_rows ? box.width : box.height;
  const int64_t steps = std::min(kFade, length / 4);
  for (int64_t t = 0; t < steps; ++t) {
    float factor = static_cast<float>(1.0 / static_cast<double>(steps) * static_cast<double>(t + 1));
    int64_t line = is_start ? t : length - 1 - t;
    for (int64_t k = 0; k < across; ++k)
      weight[static_cast<size_t>(is_rows ? line * box.width + k : k * box.width + line)] *= factor;
  }
}

}  // namespace

bool ModelConditions::fits(const ModelConditions& other) const {
  constexpr int64_t kMaxRepeats = 4;
  if ((y == nullptr) != (other.y == nullptr) || (concat == nullptr) != (other.concat == nullptr)) return false;
  if (y && y->size() / static_cast<size_t>(y_rows) != other.y->size() / static_cast<size_t>(other.y_rows)) return false;
  if (concat_channels != other.concat_channels || context.dim(-1) != other.context.dim(-1)) return false;
  int64_t a = tokens(), b = other.tokens();
  return a == b || std::lcm(a, b) / std::min(a, b) <= kMaxRepeats;
}

bool PreparedCondition::applies_at(float sigma) const {
  return !(first_sigma && sigma > *first_sigma) && !(last_sigma && sigma < *last_sigma);
}

Box PreparedCondition::box(const LatentShape& shape) const {
  Box box = area.value_or(Box{shape.height, shape.width, 0, 0});
  box.height = std::min(box.height, shape.height - box.y);
  box.width = std::min(box.width, shape.width - box.x);
  return box;
}

std::vector<float> PreparedCondition::weight(const LatentShape& shape) const {
  const Box part = box(shape);
  const size_t plane = static_cast<size_t>(part.height * part.width);
  std::vector<float> weights(static_cast<size_t>(shape.batch) * plane, strength);
  for (int64_t b = 0; b < shape.batch; ++b) {
    auto weight = std::span(weights).subspan(static_cast<size_t>(b) * plane, plane);
    if (mask) {
      auto from = mask->plane(b % mask->count);
      for (int64_t y = 0; y < part.height; ++y)
        for (int64_t x = 0; x < part.width; ++x)
          weight[static_cast<size_t>(y * part.width + x)] =
              from[static_cast<size_t>((part.y + y) * mask->width + part.x + x)] * mask_strength * strength;
    } else if (area) {
      if (part.y != 0) fade(weight, part, true, true);
      if (part.y + part.height < shape.height) fade(weight, part, true, false);
      if (part.x != 0) fade(weight, part, false, true);
      if (part.x + part.width < shape.width) fade(weight, part, false, false);
    }
  }
  return weights;
}

std::vector<PreparedCondition> prepare(const Conditioning& conditions, const ConditionContext& context,
                                       bool is_negative) {
  std::vector<PreparedCondition> prepared;
  for (const Condition& condition : conditions) prepared.push_back(prepare_one(condition, context, is_negative));
  return prepared;
}

void add_same_area(std::vector<PreparedCondition>& list, const PreparedCondition& other) {
  if (!other.area) return;
  const PreparedCondition* smallest = nullptr;
  for (const PreparedCondition& candidate : list) {
    if (!candidate.area) {
      if (!smallest) smallest = &candidate;
    } else if (candidate.area->contains(*other.area)) {
      bool is_smaller = !smallest || !smallest->area ||
                        smallest->area->height * smallest->area->width > candidate.area->height * candidate.area->width;
      if (is_smaller) smallest = &candidate;
    }
  }
  if (!smallest || smallest->area == other.area) return;
  PreparedCondition added = other;
  added.told = smallest->told;
  list.push_back(std::move(added));
}

}  // namespace hearth::diffuse
