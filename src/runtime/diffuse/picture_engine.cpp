#include "runtime/diffuse/picture_engine.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <mutex>
#include <set>

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

constexpr int64_t kLatentPixels = 8;  // a side of what one value of a latent stands for

LoadWatch load_watch(const Watch& watch) {
  return [&watch](int64_t, int64_t) { return !(watch.is_cancelled && watch.is_cancelled()); };
}

[[noreturn]] void refuse(const PictureFile& file, const char* wanted) {
  throw Error(Code::kUnsupported, fmt::format("{} is {}; wanted {}", file.path, file.describe(), wanted));
}

bool uses_negative_model(const Guider& guider) {
  return guider.kind == Guider::Kind::kDualModel && guider.negative_model && !is_one(guider.cfg);
}

// The files of the denoisers that sampling holds beside the first; what two models share counts once.
std::vector<const PictureFile*> denoisers_beside(const Guider& guider, const ComputeOptions& defaults) {
  std::set<std::string> keys;
  std::vector<const PictureFile*> files;
  auto add = [&](const std::string& key, const Model& model) {
    if (keys.insert(key).second) files.push_back(&model.base->file());
  };
  auto add_all = [&](const Model& model) {
    const std::string key = model.base->key() + model.compute.over(defaults).weights_key();
    add(key, model);
    if (!model.loras.empty()) add(patched_key(key, model.loras), model);
  };
  add_all(guider.model);
  if (uses_negative_model(guider)) add_all(*guider.negative_model);
  files.erase(files.begin());
  return files;
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
  std::shared_ptr<const Part> use_unet(const Model& model, const Watch& watch) {
    const DiffusionFile& file = *model.base;
    const LoraNames names = model.loras.empty() ? LoraNames() : unet_lora_names(*file.file().unet);
    return use<Unet>(file.key(), *file.file().unet, model.compute.over(defaults), model.loras, names,
                     {LoraPart::kDenoiser, names}, watch);
  }
  VaeWork vae_work(const Vae& vae, const Watch& watch) {
    const VaeFile& file = *vae.base;
    const ComputeOptions compute = vae.compute.over(defaults);
    auto part = file.is_tiny() ? use<TinyVae>(file.key(), *file.file().tiny_vae, compute, {}, {}, {}, watch)
                               : use<KlVae>(file.key(), *file.file().vae, compute, {}, {}, {}, watch);
    return VaeWork(file, std::move(part), compute, lane, residency);
  }

  // What pictures hold and use just now.
  int64_t busy_bytes() const {
    int64_t bytes = lane.arena_bytes();
    for (const governor::Resident& part : residency.residents()) bytes += part.is_busy ? part.bytes : 0;
    return bytes;
  }
  // `working_bytes`: what the refused work itself had taken when a step of it was refused.
  Error advised(const Error& refusal, PictureNeed need, int64_t working_bytes, const Watch& watch) const {
    const Value* details = refusal.details().get();
    const Value* wanted_by = details ? details->find("wanted_by") : nullptr;
    if (refusal.code() != Code::kNoMemory || !advisor || !wanted_by) return refusal;
    if (wanted_by->as_string() == kArena) need.held_bytes += working_bytes;
    need.held_bytes += lane.arena_bytes();
    const Value::List& leaving = details->at("could_leave").as_list();
    for (const governor::Resident& part : residency.residents()) {
      auto is_it = [&](const Value& idle) { return idle.at("holder").as_string() == part.name; };
      if (std::none_of(leaving.begin(), leaving.end(), is_it)) need.held_bytes += part.bytes;  // it was in use
    }
    return advisor(refusal, need, watch.is_cancelled);
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
  PictureAdvisor advisor;

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

void PictureEngine::set_advisor(PictureAdvisor advisor) { parts_->advisor = std::move(advisor); }

int64_t PictureEngine::running_bytes() const { return parts_->lane.is_running() ? parts_->busy_bytes() : 0; }

int64_t PictureEngine::held_bytes() const {
  int64_t bytes = parts_->lane.arena_bytes();
  for (const governor::Resident& part : parts_->residency.residents()) bytes += part.bytes;
  return bytes;
}

int64_t PictureEngine::spare_bytes() const { return parts_->lane.is_running() ? 0 : parts_->lane.arena_bytes(); }

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
  if (file.edm && !model.prediction) {
    const EdmLevels& edm = *file.edm;
    return edm.is_playground ? continuous_edm_sampling(Prediction::kEdm, edm.sigma_min, edm.sigma_max, kEdmSigmaData)
                             : continuous_edm_sampling(Prediction::kV, edm.sigma_min, edm.sigma_max);
  }
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

Sampled PictureEngine::sample(const SampleRequest& request, const Watch& watch) try {
  // Every part stays in memory until the sampling ends.
  auto work_with = [&](const Model& model, const std::shared_ptr<const Part>& part) {
    return SampleWork(model, static_cast<const NetPart<Unet>&>(*part).net(), sampling_of(model),
                      model.compute.over(parts_->defaults), parts_->lane, parts_->residency);
  };
  const Guider& guider = request.guider;
  const auto part = parts_->use_unet(guider.model, watch);
  SampleWork work = work_with(guider.model, part);
  std::shared_ptr<const Part> negative_part;
  std::optional<SampleWork> negative;
  if (uses_negative_model(guider)) {
    negative_part = parts_->use_unet(*guider.negative_model, watch);
    negative.emplace(work_with(*guider.negative_model, negative_part));
  }
  return work.run(request, watch, negative ? &*negative : nullptr);
} catch (const Error& e) {
  const Model& model = request.guider.model;
  const Tensor& latent = request.latent.samples;
  if (!latent || latent.rank() != 4) throw;
  throw parts_->advised(e, {.file = model.base->file(), .beside = denoisers_beside(request.guider, parts_->defaults),
                            .batch = latent.dim(0), .width = kLatentPixels * latent.dim(3),
                            .height = kLatentPixels * latent.dim(2), .is_guided = !is_one(request.guider.cfg),
                            .compute = model.compute.over(parts_->defaults), .held_bytes = latent.bytes()},
                        sampling_bytes(latent.bytes()), watch);
}

Latent PictureEngine::add_noise(const Model& model, const Noise& noise, float sigma, const Latent& latent) {
  return noised(latents_of(model), sampling_of(model), noise, sigma, latent, parts_->residency);
}

Tensor PictureEngine::decode(const Vae& vae, const Tensor& samples, const VaeOptions& options, const Watch& watch) try {
  return parts_->vae_work(vae, watch).decode(samples, options, watch);
} catch (const Error& e) {
  const ComputeOptions compute = vae.compute.over(parts_->defaults);
  if (!samples || samples.rank() != 4) throw;
  // With "auto" pieces were tried as well.
  const bool is_whole = options.tile <= 0 && compute.vae_tiling == Tiling::kOff;
  const int64_t tile = options.tile > 0 ? options.tile : compute.vae_tile.value_or(kDefaultTile);
  const int64_t batch = samples.dim(0), width = kLatentPixels * samples.dim(3), height = kLatentPixels * samples.dim(2);
  throw parts_->advised(e, {.file = vae.base->file(), .batch = batch, .width = width, .height = height,
                            .tile = is_whole ? 0 : tile, .compute = compute, .held_bytes = samples.bytes()},
                        row_bytes(DType::kF32, 3 * (batch + 1) * width * height), watch);
}

Tensor PictureEngine::encode(const Vae& vae, const Tensor& pixels, const VaeOptions& options, const Watch& watch) {
  Vae half = vae;
  if (vae.encoder) half.base = vae.encoder;
  return parts_->vae_work(half, watch).encode(pixels, options, watch);
}

Tensor PictureEngine::preview(const Model& model, const Tensor& denoised) const {
  return latent_to_rgb(colour_map(model), denoised, parts_->residency);
}

std::string PictureEngine::preview_decoder(const Model& model) const {
  return std::string(tiny_decoder_name(model.base->file().family));
}

Tensor PictureEngine::decode_preview(const Model& model, const Vae& tiny, const Tensor& denoised, const Watch& watch) {
  const Tensor first = first_for_vae(denoised, latents_of(model), parts_->residency);
  return parts_->vae_work(tiny, watch).decode(first, {}, watch);
}

}  // namespace hearth::diffuse
