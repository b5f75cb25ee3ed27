#include "runtime/diffuse/sample_work.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "core/base/units.h"
#include "ops/random/noise.h"
#include "runtime/diffuse/sampling/resize_mask.h"

namespace hearth::diffuse {
namespace {

// More rows a call save nothing on a CPU once its caches are full; they cost activations.
constexpr int64_t kActivationBytes = 128 * MiB;
constexpr int64_t kMostRows = 16;
// Latents in host memory while one is sampled: latent, noise, mask, x, guesses with and without the prompt, the last
// one kept, and what samplers remember of earlier steps (four for lms) and of their own noise.
constexpr int64_t kFields = 16;

LatentShape shape_of(const Tensor& samples) {
  return {samples.dim(0), samples.dim(1), samples.dim(2), samples.dim(3)};
}

// A blank latent stands for no picture and stays blank.
Field for_model(const Tensor& samples, const LatentFormat& latents) {
  Field values(std::span<const float>(samples.data<float>(), static_cast<size_t>(samples.numel())));
  if (!is_blank(values.span())) latents.to_model(values.span(), shape_of(samples));
  return values;
}

Field noise_of(const Noise& noise, const Latent& latent) {
  const LatentShape shape = shape_of(latent.samples);
  if (noise.is_off) return Field(shape.numel());
  return Field(batch_noise({}, noise.seed, shape.batch, shape.channels * shape.plane(), latent.batch_index));
}

// The latent with other samples, given as the model's latents are.
Latent latent_of(const Latent& like, const Field& values, const LatentFormat& latents, Residency& memory) {
  Latent out = like;
  out.samples = memory.tensor(DType::kF32, like.samples.shape(), "latents");
  std::copy_n(values.data(), values.size(), out.samples.data<float>());
  latents.to_vae({out.samples.data<float>(), static_cast<size_t>(values.size())}, shape_of(out.samples));
  return out;
}

}  // namespace

Latent noised(const LatentFormat& latents, const ModelSampling& sampling, const Noise& noise, float sigma,
              const Latent& latent, Residency& memory) {
  Field mixed = sampling.noise_scaling(sigma, noise_of(noise, latent), for_model(latent.samples, latents));
  Latent out = latent_of(latent, mixed, latents, memory);
  for (float& v : std::span(out.samples.data<float>(), static_cast<size_t>(mixed.size()))) {
    v = std::isfinite(v) ? v : 0.0f;
  }
  return out;
}

int64_t rows_at_once(const UnetConfig& config, int64_t height, int64_t width, int64_t tokens) {
  // What a row costs grows with its pixels: the widest maps and, beside them, queries and feed-forward of the deepest.
  const int64_t bytes = row_bytes(DType::kF32, height * width * config.channels * 12 + tokens * config.context_dim);
  return std::clamp<int64_t>(kActivationBytes / std::max<int64_t>(bytes, 1), 1, kMostRows);
}

int64_t sampling_bytes(int64_t bytes) { return kFields * bytes; }

UnetInputs SampleWork::inputs() const {
  UnetInputs inputs{.is_inpaint = file_.file().is_inpaint(), .latents = latents_};
  if (file_.config().adm_dim > 0) {
    inputs.size_vector = file_.file().size_ids == 5 ? SizeVectorKind::kRefiner : SizeVectorKind::kSdxl;
  }
  return inputs;
}

void SampleWork::check_request(const SampleRequest& request) const {
  const Tensor& samples = request.latent.samples;
  const int64_t channels = file_.config().out_channels;
  if (!samples || samples.rank() != 4 || samples.dim(1) != channels || samples.numel() == 0) {
    throw Error(Code::kInvalidArgument, fmt::format("the latent is {}, this model wants [batch, {}, height/8, width/8]",
                                                    samples ? samples.shape().text() : "absent", channels));
  }
  if (!request.latent.batch_index.empty() && std::ssize(request.latent.batch_index) != samples.dim(0)) {
    throw Error(Code::kInvalidArgument, fmt::format("batch_index has {} entries for a batch of {}",
                                                    request.latent.batch_index.size(), samples.dim(0)));
  }
}

LatentTask SampleWork::task_of(const SampleRequest& request) const {
  const Latent& latent = request.latent;
  LatentTask task{.shape = shape_of(latent.samples), .latent = for_model(latent.samples, latents_)};
  task.noise = noise_of(request.noise, latent);
  if (latent.noise_mask) task.mask = noise_mask(latent.noise_mask, task.shape);
  return task;
}

NegativeModel SampleWork::as_negative(const LatentTask& task, const LatentFormat& latents, const Watch& watch) {
  watch_ = &watch;
  Field latent = task.latent;
  if (latents != latents_ && !is_blank(latent.span())) {
    latents.to_vae(latent.span(), task.shape);
    latents_.to_model(latent.span(), task.shape);
  }
  return {.predictor = this, .model = &sampling_, .inputs = inputs(), .latent = std::move(latent)};
}

Sampled SampleWork::run(const SampleRequest& request, const Watch& watch, SampleWork* negative) {
  check_request(request);
  if (negative) negative->check_request(request);
  watch_ = &watch;
  const Guider& g = request.guider;
  const auto kind = static_cast<GuiderKind>(g.kind);
  const auto steps = std::max<int64_t>(std::ssize(request.sigmas) - 1, 0);
  auto on_step = [&](const SamplerStep& step) {
    if (watch.preview) {
      const LatentShape shape = shape_of(request.latent.samples);
      Tensor denoised =
          memory_.tensor(DType::kF32, {shape.batch, shape.channels, shape.height, shape.width}, "previews");
      std::copy_n(step.denoised.data(), step.denoised.size(), denoised.data<float>());
      watch.preview(g.model, denoised);
    }
    if (watch.progress) watch.progress(std::min(step.index + 1, steps), steps);
  };
  const StorageRef held = memory_.book(sampling_bytes(request.latent.samples.bytes()), "latents");
  LatentTask task = task_of(request);
  std::optional<NegativeModel> other;
  if (negative) other = negative->as_negative(task, latents_, watch);
  const SampledField done = sample_latent(
      {.model = sampling_, .inputs = inputs(),
       .guidance = {.kind = kind, .positive = g.positive, .middle = g.middle, .negative = g.negative,
                    .negative_model = std::move(other), .cfg = g.cfg, .cfg_middle = g.cfg_middle,
                    .negative_scale = g.negative_scale, .rescale = g.model.rescale_cfg,
                    .differential = g.model.differential},
       .sampler = request.sampler, .sigmas = request.sigmas, .task = std::move(task), .seed = request.noise.seed,
       .machine = {}},
      *this, on_step);
  return {latent_of(request.latent, done.output, latents_, memory_),
          latent_of(request.latent, done.denoised, latents_, memory_)};
}

int64_t SampleWork::max_rows(int64_t height, int64_t width, int64_t tokens) const {
  return rows_at_once(file_.config(), height, width, tokens);
}

void SampleWork::predict(const UnetCall& call, std::span<float> output) {
  const LatentShape& shape = call.shape;
  const UnetRow& first = call.rows.front();
  const int64_t n = shape.batch, tokens = first.tokens * first.repeats;
  const int64_t dim = std::ssize(first.context) / std::max<int64_t>(first.tokens, 1);
  const int64_t extra = std::ssize(first.concat) / shape.plane(), adm = std::ssize(first.y);
  std::vector<float> context, y, x(call.x.begin(), call.x.end());
  for (const UnetRow& row : call.rows) {
    for (int64_t k = 0; k < row.repeats; ++k) context.insert(context.end(), row.context.begin(), row.context.end());
    y.insert(y.end(), row.y.begin(), row.y.end());
  }
  const int64_t channels = shape.channels + extra;
  if (extra > 0) {
    x.clear();
    const auto each = static_cast<size_t>(shape.channels * shape.plane());
    for (int64_t i = 0; i < n; ++i) {
      const auto begin = call.x.begin() + static_cast<int64_t>(each) * i;
      x.insert(x.end(), begin, begin + static_cast<int64_t>(each));
      const UnetRow& row = call.rows[static_cast<size_t>(i)];
      x.insert(x.end(), row.concat.begin(), row.concat.end());
    }
  }
  const std::vector<float> timesteps(static_cast<size_t>(n), call.timestep);
  const std::string key = fmt::format("{}{} {}x{}x{} {} tokens", file_.key(), compute_.step_key(), n, shape.height,
                                      shape.width, tokens);
  lane_.run(key, watch_->is_cancelled, [&](Ctx& c) {
    c.attention = compute_.attention_kind();
    const Tensor map = upload_map(c, x, n, channels, shape.height, shape.width);
    const Tensor told = adm > 0 ? upload(c, y, {n, adm}) : Tensor();
    const Tensor text = upload(c, context, {n, tokens, dim});
    download_map(c, net_.forward(c, map, upload(c, timesteps, {n}), text, told), output);
  });
}

}  // namespace hearth::diffuse
