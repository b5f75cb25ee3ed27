#include "runtime/diffuse/picture_engine.h"

#include <filesystem>
#include <map>
#include <mutex>

#include <fmt/format.h>

#include "runtime/diffuse/encode_prompt.h"
#include "runtime/diffuse/model_files.h"
#include "runtime/diffuse/net_part.h"
#include "runtime/diffuse/patched_part.h"
#include "runtime/diffuse/picture_lane.h"
#include "runtime/diffuse/preview.h"
#include "runtime/diffuse/sample_work.h"
#include "runtime/diffuse/vae_work.h"
#include "runtime/diffuse/word_vectors.h"
#include "text/clip/vocabulary.h"

namespace hearth::diffuse {
namespace {

namespace fs = std::filesystem;

LoadWatch load_watch(const Watch& watch) {
  return [&watch](int64_t, int64_t) { return !(watch.is_cancelled && watch.is_cancelled()); };
}

// What a step needs grows with the batch and with the area of its pictures.
Error smaller_pictures(const Error& refusal, const Tensor& latent) {
  const Value* room = refusal.details() ? refusal.details()->find("available_bytes") : nullptr;
  const Value* needed = refusal.details() ? refusal.details()->find("needed_bytes") : nullptr;
  if (refusal.code() != Code::kNoMemory || !room || !needed || needed->as_int() <= room->as_int()) return refusal;
  const double share = room->as_double() / needed->as_double();
  std::vector<governor::SmallerChoice> choices;
  const auto batch = static_cast<int64_t>(share * static_cast<double>(latent.dim(0)));
  if (batch >= 1) {
    choices.push_back({Value::object({{"batch_size", batch}}), fmt::format("a batch of {}", batch)});
  } else {
    constexpr int64_t kScale = 8, kStep = 64;  // pixels of a latent one; sides are multiples
    auto side = [&](int64_t latents) {
      return static_cast<int64_t>(std::sqrt(share * static_cast<double>(latent.dim(0))) *
                                  static_cast<double>(latents * kScale)) / kStep * kStep;
    };
    const int64_t width = side(latent.dim(3)), height = side(latent.dim(2));
    if (width < kStep || height < kStep) return refusal;
    choices.push_back({Value::object({{"batch_size", 1}, {"width", width}, {"height", height}}),
                       fmt::format("one picture of {}x{}", width, height)});
  }
  return governor::with_choices(refusal, choices);
}

[[noreturn]] void refuse(const PictureFile& file, const char* wanted) {
  throw Error(Code::kUnsupported, fmt::format("{} is {}; wanted {}", file.path, file.describe(), wanted));
}

}  // namespace

struct PictureEngine::Parts final : governor::Resider {
  Parts(Executor& executor_used, governor::LeasedAllocator& allocator, std::vector<std::string> folders,
        const ComputeOptions& compute)
      : executor(executor_used), memory(allocator), defaults(compute), residency(allocator),
        lane(executor_used, residency), words(std::move(folders)) {}

  /// The headers of a file, read again when it changes.
  std::shared_ptr<const PictureFile> open(const std::string& path);
  template <class Net, class Config>
  std::shared_ptr<const Part> use(const std::string& file_key, const PicturePart<Config>& part,
                                  const ComputeOptions& compute, const std::vector<LoraUse>& loras,
                                  const LoraNames& names, const LoraJudge& judge, const Watch& watch);
  VaeWork vae_work(const Vae& vae, const Watch& watch) {
    const VaeFile& file = *vae.base;
    const ComputeOptions compute = vae.compute.over(defaults);
    auto part = file.is_tiny() ? use<TinyVae>(file.key(), *file.file().tiny_vae, compute, {}, {}, {}, watch)
                               : use<KlVae>(file.key(), *file.file().vae, compute, {}, {}, {}, watch);
    return VaeWork(file, std::move(part), compute, lane, residency);
  }

  std::vector<governor::Resident> residents() const override { return residency.residents(); }
  bool evict(const std::string& key) override { return residency.evict(key); }
  bool give_spare() override { return lane.try_release(); }

  Executor& executor;
  governor::LeasedAllocator& memory;
  const ComputeOptions defaults;
  Residency residency;
  PictureLane lane;
  WordVectorFiles words;

  struct Opened {
    fs::file_time_type changed;
    std::shared_ptr<const PictureFile> file;
  };
  std::mutex mutex;
  std::map<std::string, Opened> opened;  // guarded by mutex
};

std::shared_ptr<const PictureFile> PictureEngine::Parts::open(const std::string& path) {
  std::error_code none;
  const fs::file_time_type changed = fs::last_write_time(path, none);
  {
    std::lock_guard lock(mutex);
    const auto known = opened.find(path);
    if (known != opened.end() && known->second.changed == changed) return known->second.file;
  }
  auto file = std::make_shared<const PictureFile>(open_picture_file(path));
  std::lock_guard lock(mutex);
  opened[path] = {changed, file};
  return file;
}

template <class Net, class Config>
std::shared_ptr<const Part> PictureEngine::Parts::use(const std::string& file_key, const PicturePart<Config>& part,
                                                      const ComputeOptions& compute, const std::vector<LoraUse>& loras,
                                                      const LoraNames& names, const LoraJudge& judge,
                                                      const Watch& watch) {
  const LoadWatch load = load_watch(watch);
  const std::string key = file_key + compute.weights_key();
  WeightOptions options{.scheme = compute.scheme()};
  auto base = residency.use(key, [&] { return load_net<Net>(part, key, residency, executor, load, options); });
  if (loras.empty()) return base;
  return residency.use(patched_key(key, loras), [&] {
    return load_patched<Net>(part, patched_key(key, loras), loras, names, judge, base, residency, executor, load,
                             options);
  });
}

PictureEngine::PictureEngine(Executor& executor, governor::LeasedAllocator& memory,
                             std::vector<std::string> embedding_folders, const ComputeOptions& compute)
    : parts_(std::make_unique<Parts>(executor, memory, std::move(embedding_folders), compute)) {}

PictureEngine::~PictureEngine() = default;

governor::LeasedAllocator& PictureEngine::memory() { return parts_->memory; }

void PictureEngine::free_unused() {
  parts_->lane.release();
  parts_->residency.evict_idle();
}

governor::Resider& PictureEngine::resider() { return *parts_; }

void PictureEngine::set_evictor(governor::Evictor& evictor) { parts_->residency.set_evictor(evictor); }

int64_t PictureEngine::running_bytes() const {
  if (!parts_->lane.is_running()) return 0;
  int64_t bytes = parts_->lane.arena_bytes();
  for (const governor::Resident& part : parts_->residency.residents()) bytes += part.is_busy ? part.bytes : 0;
  return bytes;
}

bool PictureEngine::abort(const Error& why) { return parts_->lane.abort(why); }

CheckpointParts PictureEngine::load_checkpoint(const std::string& path, const Watch&) {
  const auto file = parts_->open(path);
  CheckpointParts out;
  if (file->unet) out.model = Model{.base = std::make_shared<DiffusionFile>(file)};
  if (!file->text_encoders.empty()) {
    out.clip = TextEncoder{.base = std::make_shared<TextFiles>(std::vector{file})};
  }
  if (file->vae || file->tiny_vae) out.vae = Vae{.base = std::make_shared<VaeFile>(file)};
  if (!out.model && !out.clip && !out.vae) refuse(*file, "a checkpoint");
  return out;
}

Model PictureEngine::load_diffusion_model(const std::string& path, const Watch&) {
  const auto file = parts_->open(path);
  if (!file->unet) refuse(*file, "a diffusion model");
  return {.base = std::make_shared<DiffusionFile>(file)};
}

TextEncoder PictureEngine::load_text_encoder(const std::vector<std::string>& paths, const Watch&) {
  std::vector<std::shared_ptr<const PictureFile>> files;
  for (const std::string& path : paths) {
    files.push_back(parts_->open(path));
    if (files.back()->text_encoders.empty()) refuse(*files.back(), "a text encoder");
  }
  return {.base = std::make_shared<TextFiles>(std::move(files))};
}

Vae PictureEngine::load_vae(const std::string& path, const Watch&) {
  const auto file = parts_->open(path);
  if (!file->vae && !file->tiny_vae) refuse(*file, "a VAE");
  return {.base = std::make_shared<VaeFile>(file)};
}

Condition PictureEngine::encode_text(const TextEncoder& clip, const PromptWords& words, const Watch& watch) {
  const std::vector<TextFiles::Encoder>& encoders = clip.base->encoders();
  const ComputeOptions compute = clip.compute.over(parts_->defaults);
  std::vector<text::PromptTokens> tokens;
  for (const TextFiles::Encoder& encoder : encoders) {
    const int32_t pad = encoder.is_g ? 0 : text::kClipEnd;
    const bool gets_g = encoder.is_g && encoders.size() == 2;
    auto rows = [&](std::string_view name) { return parts_->words.rows(name, encoder.is_g, encoder.part.config.dim); };
    tokens.push_back(text::tokenize_prompt(gets_g ? words.g : words.l, {.pad = pad, .rows = rows}));
  }
  // Two encoders read equally many chunks when they are told different words.
  if (tokens.size() == 2 && words.l != words.g) {
    const size_t most = std::max(tokens[0].chunks.size(), tokens[1].chunks.size());
    for (size_t i = 0; i < 2; ++i) tokens[i].chunks.resize(most, empty_chunk(encoders[i].is_g ? 0 : text::kClipEnd));
  }
  LoraJudge judge{.part = LoraPart::kText, .names = {}};
  for (size_t i = 0; i < encoders.size() && !clip.loras.empty(); ++i) {
    judge.names.merge(text_lora_names(encoders[i].part, i, encoders.size()));
  }
  std::vector<EncodedWords> read;
  for (size_t i = 0; i < encoders.size(); ++i) {
    const TextFiles::Encoder& encoder = encoders[i];
    const LoraNames names = text_lora_names(encoder.part, i, encoders.size());
    const auto part = parts_->use<ClipText>(encoder.key, encoder.part, compute, clip.loras, names,
                                             i == 0 ? judge : LoraJudge(), watch);
    const ClipText& net = static_cast<const NetPart<ClipText>&>(*part).net();
    std::vector<WordVectors> embeddings;
    for (const std::string& name : tokens[i].embeddings) {
      embeddings.push_back(parts_->words.vectors(name, encoder.is_g, net.config().dim));
    }
    const bool was_set = clip.last_layer.has_value();
    read.push_back(encode_words(parts_->lane,
                                {.encoder = net,
                                 .key = encoder.key + compute.step_key(),
                                 .layer = was_set ? *clip.last_layer : clip.base->layer(),
                                 .normalise = clip.base->normalises(),
                                 .pad = encoder.is_g ? 0 : text::kClipEnd,
                                 .embeddings = std::move(embeddings),
                                 .attention = compute.attention_kind()},
                                tokens[i], watch.is_cancelled));
  }
  return join_words(read, parts_->residency);
}

ModelSampling PictureEngine::sampling_of(const Model& model) const {
  const PictureFile& file = model.base->file();
  const Prediction own = file.prediction == PicturePrediction::kV ? Prediction::kV : Prediction::kEps;
  const Prediction prediction = model.prediction.value_or(own);
  if (const auto& levels = model.continuous) {
    if (levels->is_angle) return continuous_v_sampling(levels->sigma_min, levels->sigma_max);
    return continuous_edm_sampling(prediction, levels->sigma_min, levels->sigma_max, levels->sigma_data);
  }
  DiscreteSchedule schedule;
  schedule.zero_terminal_snr = model.zero_terminal_snr.value_or(file.has_zero_terminal_snr);
  return discrete_sampling(prediction, schedule);
}

int64_t PictureEngine::latent_channels(const Model& model) const { return model.base->config().out_channels; }

PictureSize PictureEngine::native_size(const Model& model) const {
  const NativeSize size = diffuse::native_size(model.base->file());
  return {size.width, size.height};
}

Sampled PictureEngine::sample(const SampleRequest& request, const Watch& watch) {
  const Model& model = request.guider.model;
  const DiffusionFile& file = *model.base;
  const LoraNames names = model.loras.empty() ? LoraNames() : unet_lora_names(*file.file().unet);
  const ComputeOptions compute = model.compute.over(parts_->defaults);
  const auto part = parts_->use<Unet>(file.key(), *file.file().unet, compute, model.loras, names,
                                      {LoraPart::kDenoiser, names}, watch);
  SampleWork work(file, static_cast<const NetPart<Unet>&>(*part).net(), sampling_of(model), compute,
                  parts_->lane, parts_->residency);
  try {
    return work.run(request, watch);
  } catch (const Error& e) {
    throw smaller_pictures(e, request.latent.samples);
  }
}

Latent PictureEngine::add_noise(const Model& model, const Noise& noise, float sigma, const Latent& latent) {
  return noised(*model.base, sampling_of(model), noise, sigma, latent, parts_->residency);
}

Tensor PictureEngine::decode(const Vae& vae, const Tensor& samples, const VaeOptions& options, const Watch& watch) {
  return parts_->vae_work(vae, watch).decode(samples, options, watch);
}

Tensor PictureEngine::encode(const Vae& vae, const Tensor& pixels, const VaeOptions& options, const Watch& watch) {
  Vae half = vae;
  if (vae.encoder) half.base = vae.encoder;
  return parts_->vae_work(half, watch).encode(pixels, options, watch);
}

Tensor PictureEngine::preview(const Model& model, const Tensor& denoised) const {
  return latent_to_rgb(model.base->file().family, denoised, parts_->residency);
}

std::string PictureEngine::preview_decoder(const Model& model) const {
  return std::string(tiny_decoder_name(model.base->file().family));
}

Tensor PictureEngine::decode_preview(const Model& model, const Vae& tiny, const Tensor& denoised, const Watch& watch) {
  const Tensor first = first_for_vae(denoised, model.base->file().latent_scale, parts_->residency);
  return parts_->vae_work(tiny, watch).decode(first, {}, watch);
}

}  // namespace hearth::diffuse
