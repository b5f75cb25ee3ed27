#include "runtime/diffuse/picture_engine.h"

#include <charconv>
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

[[noreturn]] void refuse(const PictureFile& file, const char* wanted) {
  throw Error(Code::kUnsupported, fmt::format("{} is {}; wanted {}", file.path, file.describe(), wanted));
}

}  // namespace

struct PictureEngine::Parts {
  Parts(Executor& executor_used, governor::LeasedAllocator& allocator, std::vector<std::string> folders)
      : executor(executor_used), memory(allocator), residency(allocator), lane(executor_used, residency),
        words(std::move(folders)) {}

  /// The headers of a file, read again when it changes.
  std::shared_ptr<const PictureFile> open(const std::string& path);
  template <class Net, class Config>
  std::shared_ptr<const Part> use(const std::string& key, const PicturePart<Config>& part,
                                  const std::vector<LoraUse>& loras, const LoraNames& names, const Watch& watch);
  VaeWork vae_work(const VaeFile& file, const Watch& watch) {
    auto part = file.is_tiny() ? use<TinyVae>(file.key(), *file.file().tiny_vae, {}, {}, watch)
                               : use<KlVae>(file.key(), *file.file().vae, {}, {}, watch);
    return VaeWork(file, std::move(part), lane, residency);
  }

  Executor& executor;
  governor::LeasedAllocator& memory;
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
std::shared_ptr<const Part> PictureEngine::Parts::use(const std::string& key, const PicturePart<Config>& part,
                                                      const std::vector<LoraUse>& loras, const LoraNames& names,
                                                      const Watch& watch) {
  const LoadWatch load = load_watch(watch);
  auto base = residency.use(key, [&] { return load_net<Net>(part, key, residency, executor, load); });
  if (loras.empty()) return base;
  return residency.use(patched_key(key, loras), [&] {
    return load_patched<Net>(part, patched_key(key, loras), loras, names, base, residency, executor, load);
  });
}

PictureEngine::PictureEngine(Executor& executor, governor::LeasedAllocator& memory,
                             std::vector<std::string> embedding_folders)
    : parts_(std::make_unique<Parts>(executor, memory, std::move(embedding_folders))) {}

PictureEngine::~PictureEngine() = default;

governor::LeasedAllocator& PictureEngine::memory() { return parts_->memory; }

void PictureEngine::free_unused() {
  parts_->lane.release();
  parts_->residency.evict_idle();
}

bool PictureEngine::make_room() { return parts_->residency.evict_one() || parts_->lane.try_release(); }

void PictureEngine::set_make_room(Residency::MakeRoom make_room) {
  parts_->residency.set_make_room(std::move(make_room));
}

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
  std::vector<EncodedWords> read;
  for (size_t i = 0; i < encoders.size(); ++i) {
    const TextFiles::Encoder& encoder = encoders[i];
    const LoraNames names = text_lora_names(encoder.part, i, encoders.size());
    const auto part = parts_->use<ClipText>(encoder.key, encoder.part, clip.loras, names, watch);
    const ClipText& net = static_cast<const NetPart<ClipText>&>(*part).net();
    std::vector<WordVectors> embeddings;
    for (const std::string& name : tokens[i].embeddings) {
      embeddings.push_back(parts_->words.vectors(name, encoder.is_g, net.config().dim));
    }
    const bool was_set = clip.last_layer.has_value();
    read.push_back(encode_words(parts_->lane,
                                {.encoder = net, .key = encoder.key, .layer = was_set ? *clip.last_layer : clip.base->layer(),
                                 .normalise = clip.base->normalises(), .pad = encoder.is_g ? 0 : text::kClipEnd,
                                 .embeddings = std::move(embeddings)},
                                tokens[i], watch.is_cancelled));
  }
  return join_words(read, parts_->residency);
}

ModelSampling PictureEngine::sampling_of(const Model& model) const {
  const PictureFile& file = model.base->file();
  const Prediction own = file.prediction == PicturePrediction::kV ? Prediction::kV : Prediction::kEps;
  DiscreteSchedule schedule;
  schedule.zero_terminal_snr = model.zero_terminal_snr.value_or(file.has_zero_terminal_snr);
  return discrete_sampling(model.prediction.value_or(own), schedule);
}

int64_t PictureEngine::latent_channels(const Model& model) const { return model.base->config().out_channels; }

PictureSize PictureEngine::native_size(const Model& model) const {
  const PictureFile& file = model.base->file();
  if (const Value* said = file.unet->tensors->file().metadata.find("modelspec.resolution"); said && said->is_string()) {
    const std::string& text = said->as_string();
    PictureSize size;
    const size_t x = text.find('x');
    const char* end = text.data() + text.size();
    if (x != text.npos && std::from_chars(text.data(), end, size.width).ec == std::errc() &&
        std::from_chars(text.data() + x + 1, end, size.height).ec == std::errc() && size.width >= 8 && size.height >= 8) {
      return size;
    }
  }
  switch (file.family) {
    case PictureFamily::kSd1: return {512, 512};
    case PictureFamily::kSd2: return {768, 768};
    default: return {1024, 1024};
  }
}

Sampled PictureEngine::sample(const SampleRequest& request, const Watch& watch) {
  const Model& model = request.guider.model;
  const DiffusionFile& file = *model.base;
  const LoraNames names = model.loras.empty() ? LoraNames() : unet_lora_names(*file.file().unet);
  const auto part = parts_->use<Unet>(file.key(), *file.file().unet, model.loras, names, watch);
  SampleWork work(file, static_cast<const NetPart<Unet>&>(*part).net(), sampling_of(model), parts_->lane,
                  parts_->residency);
  return work.run(request, watch);
}

Tensor PictureEngine::decode(const Vae& vae, const Tensor& samples, const VaeOptions& options, const Watch& watch) {
  return parts_->vae_work(*vae.base, watch).decode(samples, options, watch);
}

Tensor PictureEngine::encode(const Vae& vae, const Tensor& pixels, const VaeOptions& options, const Watch& watch) {
  return parts_->vae_work(*vae.base, watch).encode(pixels, options, watch);
}

Tensor PictureEngine::preview(const Model& model, const Tensor& denoised) const {
  return latent_to_rgb(model.base->file().family, denoised, parts_->residency);
}

}  // namespace hearth::diffuse
