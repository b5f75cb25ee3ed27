#include "runtime/diffuse/sampling/guidance.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/base/check.h"
#include "runtime/diffuse/sampling/conditions.h"
#include "runtime/diffuse/sampling/scalar.h"

namespace hearth::diffuse {
namespace {

/// One condition to be seen at this step, for list `list`.
struct Part {
  const PreparedCondition* condition;
  size_t list;
  Box box;
};

bool may_share(const Part& a, const Part& b) {
  return a.box.height == b.box.height && a.box.width == b.box.width && a.condition->told.fits(b.condition->told);
}

/// Takes the parts that go into the next call: those that fit the first, last first, as many as have room.
std::vector<Part> take_batch(std::vector<Part>& parts, int64_t latents, const NoisePredictor& predictor) {
  std::vector<size_t> fitting;
  for (size_t i = parts.size(); i-- > 0;)
    if (may_share(parts[i], parts[0])) fitting.push_back(i);
  size_t count = 1;
  for (size_t divisor = 1; divisor <= fitting.size(); ++divisor) {
    size_t wanted = fitting.size() / divisor;
    int64_t tokens = 1;
    for (size_t k = 0; k < wanted; ++k) tokens = std::lcm(tokens, parts[fitting[k]].condition->told.tokens());
    if (static_cast<int64_t>(wanted) * latents <= predictor.max_rows(parts[0].box.height, parts[0].box.width, tokens)) {
      count = wanted;
      break;
    }
  }
  std::vector<Part> batch;
  for (size_t k = 0; k < count; ++k) {
    batch.push_back(parts[fitting[k]]);
    parts.erase(parts.begin() + static_cast<int64_t>(fitting[k]));
  }
  return batch;
}

/// Rows of planes [planes, H, W] inside a box, one after the other.
void crop(std::span<const float> from, int64_t planes, int64_t height, int64_t width, const Box& box, float* to) {
  for (int64_t p = 0; p < planes; ++p)
    for (int64_t y = 0; y < box.height; ++y) {
      const float* row = from.data() + (p * height + box.y + y) * width + box.x;
      to = std::copy(row, row + box.width, to);
    }
}

/// A batch's memory: x and appended channels of every part, and what each row is told.
struct Call {
  std::vector<float> x, output;
  std::vector<std::vector<float>> concats;
  std::vector<UnetRow> rows;
};

/// Concat channels of part `p` for batch member b, cropped where the part does not cover the picture.
std::span<const float> concat_of(const Part& part, int64_t b, const LatentShape& shape, Call& call) {
  const ModelConditions& told = part.condition->told;
  if (!told.concat) return {};
  const int64_t size = told.concat_channels * shape.plane();
  auto whole = std::span(*told.concat).subspan(static_cast<size_t>(b * size), static_cast<size_t>(size));
  if (part.box == Box{shape.height, shape.width, 0, 0}) return whole;
  call.concats.emplace_back(static_cast<size_t>(told.concat_channels * part.box.height * part.box.width));
  crop(whole, told.concat_channels, shape.height, shape.width, part.box, call.concats.back().data());
  return call.concats.back();
}

Call make_call(const std::vector<Part>& batch, const Field& x, const LatentShape& shape) {
  Call call;
  const Box& size = batch[0].box;
  const int64_t part_size = shape.batch * shape.channels * size.height * size.width;
  call.x.resize(static_cast<size_t>(part_size) * batch.size());
  call.concats.reserve(batch.size() * static_cast<size_t>(shape.batch));
  int64_t tokens = 1;
  for (const Part& part : batch) tokens = std::lcm(tokens, part.condition->told.tokens());
  for (size_t p = 0; p < batch.size(); ++p) {
    const ModelConditions& told = batch[p].condition->told;
    crop(x.span(), shape.batch * shape.channels, shape.height, shape.width, batch[p].box,
         call.x.data() + static_cast<int64_t>(p) * part_size);
    const int64_t text_rows = told.context.dim(0), text_size = told.context.numel() / text_rows;
    for (int64_t b = 0; b < shape.batch; ++b) {
      UnetRow row;
      row.context = {told.context.data<float>() + (b % text_rows) * text_size, static_cast<size_t>(text_size)};
      row.tokens = told.tokens();
      row.repeats = tokens / told.tokens();
      if (told.y) {
        const size_t y_size = told.y->size() / static_cast<size_t>(told.y_rows);
        row.y = std::span(*told.y).subspan(static_cast<size_t>(b % told.y_rows) * y_size, y_size);
      }
      row.concat = concat_of(batch[p], b, shape, call);
      call.rows.push_back(row);
    }
  }
  call.output.resize(call.x.size());
  return call;
}

/// Adds a part's guess, pixel by pixel weighted, to its list's sum and the weights to its list's count.
void accumulate(const Part& part, std::span<const float> guess, const LatentShape& shape, Field& sum, Field& count) {
  const std::vector<float> weight = part.condition->weight(shape);
  const Box& box = part.box;
  const float* from = guess.data();
  for (int64_t b = 0; b < shape.batch; ++b)
    for (int64_t c = 0; c < shape.channels; ++c) {
      const float* w = weight.data() + b * box.height * box.width;
      for (int64_t y = 0; y < box.height; ++y) {
        int64_t at = ((b * shape.channels + c) * shape.height + box.y + y) * shape.width + box.x;
        for (int64_t x = 0; x < box.width; ++x, ++at, ++from, ++w) {
          sum[at] += *from * *w;
          count[at] += *w;
        }
      }
    }
}

/// Standard deviation of each member of a batch, with n - 1.
std::vector<float> deviations(const Field& x, int64_t batch) {
  std::vector<float> all;
  const int64_t n = x.size() / batch;
  for (int64_t b = 0; b < batch; ++b) {
    double mean = 0, squares = 0;
    for (int64_t i = 0; i < n; ++i) mean += x[b * n + i];
    mean /= static_cast<double>(n);
    for (int64_t i = 0; i < n; ++i) squares += (x[b * n + i] - mean) * (x[b * n + i] - mean);
    all.push_back(static_cast<float>(std::sqrt(squares / static_cast<double>(n - 1))));
  }
  return all;
}

/// CFG in v space, brought back towards the deviation of what the prompt sees (arXiv 2305.08891).
Field rescaled_cfg(const Field& cond, const Field& uncond, double cfg, const Field& x, float sigma, float multiplier,
                   int64_t batch) {
  const float root = f32::sqrt(sigma * sigma + 1.0f), scale = static_cast<float>(cfg);
  Field x_v = x / (sigma * sigma + 1.0f);
  auto as_v = [&](const Field& guess) -> Field { return (x_v - (x - (x - guess))) * root / sigma; };
  Field cond_v = as_v(cond), uncond_v = as_v(uncond);
  Field guided = uncond_v + scale * (cond_v - uncond_v);
  const std::vector<float> wanted = deviations(cond_v, batch), got = deviations(guided, batch);
  Field rescaled = guided;
  const int64_t n = x.size() / batch;
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t i = 0; i < n; ++i) rescaled[b * n + i] *= wanted[static_cast<size_t>(b)] / got[static_cast<size_t>(b)];
  Field blended = multiplier * rescaled + static_cast<float>(1.0 - static_cast<double>(multiplier)) * guided;
  return x - (x - (x_v - blended * sigma / root));
}

/// What of `a` stands at right angles on `b`.
Field beside(const Field& a, const Field& b) {
  double dot = 0, squares = 0;
  for (int64_t i = 0; i < a.size(); ++i) {
    dot += static_cast<double>(a[i]) * b[i];
    squares += static_cast<double>(b[i]) * b[i];
  }
  return squares > 0 ? a - static_cast<float>(dot / squares) * b : a;
}

bool has_middle(GuiderKind kind) {
  return kind == GuiderKind::kDualCfg || kind == GuiderKind::kDualCfgNested || kind == GuiderKind::kPerpNeg;
}

}  // namespace

bool is_one(double cfg) { return std::fabs(cfg - 1) <= 1e-9 * std::max(std::fabs(cfg), 1.0); }

GuidedDenoiser::GuidedDenoiser(NoisePredictor& predictor, const ModelSampling& model, const UnetInputs& inputs,
                               const Guidance& guidance, const LatentTask& task, std::span<const float> sigmas)
    : predictor_(predictor), model_(model), task_(task), kind_(guidance.kind), cfg_(guidance.cfg),
      cfg_middle_(guidance.cfg_middle), negative_scale_(guidance.negative_scale), rescale_(guidance.rescale),
      differential_(guidance.differential), negative_model_(guidance.negative_model) {
  check(task.latent.size() == task.shape.numel() && task.noise.size() == task.shape.numel(),
        "latent and noise have the latent's shape");
  check(task.mask.empty() || task.mask.size() == task.shape.numel(), "a noise mask has the latent's shape");
  if (differential_ && !sigmas.empty()) {
    first_timestep_ = model.timestep(sigmas.front());
    last_timestep_ = model.timestep(std::max(sigmas.back(), model.sigma_min()));
  }
  if (kind_ == GuiderKind::kDualModel) {
    prepare_for_two(guidance, inputs);
  } else {
    prepare_all(guidance, inputs);
  }
}

GuidedDenoiser::~GuidedDenoiser() = default;

void GuidedDenoiser::prepare_all(const Guidance& guidance, const UnetInputs& inputs) {
  const ConditionContext context{model_, inputs, task_};
  positive_ = prepare(guidance.positive, context, false);
  std::vector<Prepared*> lists = {&positive_};
  if (has_middle(kind_)) {
    middle_ = prepare(guidance.middle, context, true);
    lists.push_back(&middle_);
  }
  if (kind_ != GuiderKind::kBasic) {
    negative_ = prepare(guidance.negative, context, true);
    lists.push_back(&negative_);
  } else {
    cfg_ = 1;
  }
  for (Prepared* list : lists)
    for (size_t i = 0; i < list->size(); ++i)
      for (Prepared* other : lists)
        if (other != list) add_same_area(*other, (*list)[i]);
}

// The prompt is seen wherever the negative says something of its own; not the other way round.
void GuidedDenoiser::prepare_for_two(const Guidance& guidance, const UnetInputs& inputs) {
  positive_ = prepare(guidance.positive, {model_, inputs, task_}, false);
  if (negative_model_) {
    LatentTask task{.shape = task_.shape, .latent = negative_model_->latent, .noise = {}, .mask = task_.mask};
    negative_ = prepare(guidance.negative, {*negative_model_->model, negative_model_->inputs, task}, true);
  }
  for (const PreparedCondition& condition : negative_) add_same_area(positive_, condition);
}

bool GuidedDenoiser::has_uncond() const {
  return kind_ == GuiderKind::kDualModel ? negative_model_.has_value() : kind_ != GuiderKind::kBasic;
}

Field GuidedDenoiser::denoise(const Field& x, float sigma) {
  if (task_.mask.empty()) return guess(x, sigma);
  const Field mask = mask_at(sigma), kept = Field(x.size(), 1.0f) - mask;
  const Field masked = x * mask + model_.noise_scaling(sigma, task_.noise, task_.latent) * kept;
  Field seen = guess(masked, sigma);
  return seen * mask + task_.latent * kept;
}

/// The task's mask; a differential one is open where its grey is above what of the sampling is left (arXiv 2306.00950).
Field GuidedDenoiser::mask_at(float sigma) const {
  if (!differential_) return task_.mask;
  const float left = (model_.timestep(sigma) - last_timestep_) / (first_timestep_ - last_timestep_);
  const bool is_blended = *differential_ > 0 && *differential_ < 1;
  Field mask = task_.mask;
  for (float& grey : mask.span()) {
    const float open = grey >= left ? 1.0f : 0.0f;
    grey = is_blended ? *differential_ * open + (1.0f - *differential_) * grey : open;
  }
  return mask;
}

Field GuidedDenoiser::guess(const Field& x, float sigma) {
  switch (kind_) {
    case GuiderKind::kBasic:
    case GuiderKind::kCfg: return cfg_guess(x, sigma);
    case GuiderKind::kDualCfg:
    case GuiderKind::kDualCfgNested: return dual_guess(x, sigma);
    case GuiderKind::kPerpNeg: return perp_neg_guess(x, sigma);
    case GuiderKind::kDualModel: return dual_model_guess(x, sigma);
  }
  throw Error::bug("a guider without a rule");
}

/// Only what the negative has beside the positive is held against it (arXiv 2304.04968).
Field GuidedDenoiser::perp_neg_guess(const Field& x, float sigma) {
  const bool is_negative_needed = is_uncond_kept_ || negative_scale_ != 0;
  const bool is_empty_needed = is_negative_needed || !is_one(cfg_);
  auto seen = guesses({&positive_, is_negative_needed ? &negative_ : nullptr, is_empty_needed ? &middle_ : nullptr}, x,
                      sigma);
  if (is_uncond_kept_) uncond_ = seen[1];
  Field positive = seen[0] - seen[2], negative = seen[1] - seen[2];
  Field against = beside(negative, positive) * static_cast<float>(negative_scale_);
  return seen[2] + static_cast<float>(cfg_) * (positive - against);
}

Field GuidedDenoiser::cfg_guess(const Field& x, float sigma) {
  const bool is_uncond_needed = is_uncond_kept_ || !is_one(cfg_);
  auto seen = guesses({&positive_, is_uncond_needed ? &negative_ : nullptr}, x, sigma);
  return combine(seen[0], seen[1], cfg_, x, sigma);
}

Field GuidedDenoiser::dual_guess(const Field& x, float sigma) {
  if (kind_ == GuiderKind::kDualCfgNested) {
    auto seen = guesses({&negative_, &middle_, &positive_}, x, sigma);
    Field text = combine(seen[2], seen[1], cfg_, x, sigma);
    return seen[0] + static_cast<float>(cfg_middle_) * (text - seen[0]);
  }
  const bool is_negative_needed = is_uncond_kept_ || !is_one(cfg_middle_);
  const bool is_middle_needed = is_negative_needed || !is_one(cfg_);
  auto seen =
      guesses({is_negative_needed ? &negative_ : nullptr, is_middle_needed ? &middle_ : nullptr, &positive_}, x, sigma);
  Field guided = combine(seen[1], seen[0], cfg_middle_, x, sigma);
  return guided + (seen[2] - seen[1]) * static_cast<float>(cfg_);
}

Field GuidedDenoiser::dual_model_guess(const Field& x, float sigma) {
  Field cond = guesses({&positive_}, x, sigma)[0];
  if (!negative_model_) return cond;
  const Seer other{*negative_model_->predictor, *negative_model_->model};
  return combine(cond, guesses({&negative_}, x, sigma, other)[0], cfg_, x, sigma);
}

std::vector<Field> GuidedDenoiser::guesses(const std::vector<const Prepared*>& lists, const Field& x, float sigma) {
  return guesses(lists, x, sigma, {predictor_, model_});
}

std::vector<Field> GuidedDenoiser::guesses(const std::vector<const Prepared*>& lists, const Field& x, float sigma,
                                           const Seer& seer) {
  constexpr float kNearlyNothing = 1e-37f;  // a count where no condition applies
  const LatentShape& shape = task_.shape;
  std::vector<Part> parts;
  std::vector<Field> sums, counts;
  for (size_t list = 0; list < lists.size(); ++list) {
    sums.emplace_back(x.size());
    counts.emplace_back(x.size(), kNearlyNothing);
    if (!lists[list]) continue;
    for (const PreparedCondition& condition : *lists[list])
      if (condition.applies_at(sigma)) parts.push_back({&condition, list, condition.box(shape)});
  }
  while (!parts.empty()) {
    const std::vector<Part> batch = take_batch(parts, shape.batch, seer.predictor);
    Call call = make_call(batch, x, shape);
    const Box& size = batch[0].box;
    LatentShape rows{shape.batch * static_cast<int64_t>(batch.size()), shape.channels, size.height, size.width};
    std::vector<float> input(call.x.size());
    seer.model.calculate_input(sigma, call.x, input);
    seer.predictor.predict({rows, input, sigma, seer.model.timestep(sigma), call.rows}, call.output);
    seer.model.calculate_denoised(sigma, call.output, call.x, call.output);
    const size_t part_size = call.output.size() / batch.size();
    for (size_t p = 0; p < batch.size(); ++p)
      accumulate(batch[p], std::span(call.output).subspan(p * part_size, part_size), shape, sums[batch[p].list],
                 counts[batch[p].list]);
  }
  for (size_t list = 0; list < lists.size(); ++list) sums[list] = sums[list] / counts[list];
  return sums;
}

Field GuidedDenoiser::combine(const Field& cond, const Field& uncond, double cfg, const Field& x, float sigma) {
  if (is_uncond_kept_) uncond_ = uncond;
  if (rescale_) return rescaled_cfg(cond, uncond, cfg, x, sigma, *rescale_, task_.shape.batch);
  return uncond + (cond - uncond) * static_cast<float>(cfg);
}

SampledField sample_latent(LatentSampling s, NoisePredictor& predictor,
                           const std::function<void(const SamplerStep&)>& on_step) {
  SampledField sampled{s.task.latent, s.task.latent};
  if (s.sigmas.empty()) return sampled;
  const float first = s.sigmas.front();
  Field x = s.model.noise_scaling(first, s.task.noise, s.task.latent, s.model.is_max_denoise(first));
  if (has_random_inpaint_noise(s.sampler.name)) {
    NoiseMachine cpu = s.machine;
    cpu.kind = NoiseMachine::Kind::kCpu;
    s.task.noise = Field(batch_noise(cpu, s.seed + 1, 1, s.task.shape.numel()));
  }
  GuidedDenoiser denoiser(predictor, s.model, s.inputs, s.guidance, s.task, s.sigmas);
  bool has_stepped = false;
  auto watch = [&](const SamplerStep& step) {
    has_stepped = true;
    sampled.denoised = step.denoised;
    if (on_step) on_step(step);
  };
  x = sample(s.sampler, denoiser, std::move(x), s.sigmas, {s.model, s.task.shape, s.seed, s.machine, watch});
  sampled.output = s.model.inverse_noise_scaling(s.sigmas.back(), std::move(x));
  if (!has_stepped) sampled.denoised = sampled.output;
  return sampled;
}

}  // namespace hearth::diffuse
