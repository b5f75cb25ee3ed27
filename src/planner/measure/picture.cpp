#include "planner/measure/picture.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/units.h"
#include "models/diffusion/unet.h"
#include "planner/measure/cost_counter.h"
#include "planner/measure/language.h"
#include "runtime/diffuse/model_files.h"
#include "runtime/diffuse/picture_lane.h"
#include "runtime/diffuse/sample_work.h"

namespace hearth::planner {
namespace {

constexpr int64_t kTokens = 77;  // of one chunk of a prompt

// A network bound without its weights.
template <class Net>
struct Sized {
  std::unique_ptr<Weights> weights;
  Net net;

  template <class Config>
  static Sized of(const PicturePart<Config>& part, const Caps& caps, const WeightOptions& options) {
    Sized sized;
    sized.weights = std::make_unique<Weights>(*part.tensors, caps, options);
    sized.net = Net::bind(*sized.weights, part.config);
    return sized;
  }
  int64_t bytes() const { return weights->bytes(); }
};

// Values a step is given; on Meta nobody reads them.
Tensor floats(Ctx& c, Shape shape) { return diffuse::upload(c, std::span<const float>(), shape); }
Tensor ints(Ctx& c, Shape shape) { return diffuse::upload(c, std::span<const int32_t>(), shape); }

}  // namespace

struct PictureSubject::Networks {
  std::optional<Sized<Unet>> unet;
  std::vector<Sized<ClipText>> text;
  std::optional<Sized<KlVae>> vae;
  std::optional<Sized<TinyVae>> tiny_vae;
  UnetConfig unet_config;
  int64_t weights_bytes = 0;
};

PictureSubject::~PictureSubject() = default;

PictureSubject::PictureSubject(std::string name, std::vector<PictureFile> files, const Caps& caps,
                               std::optional<DType> scheme)
    : files_(std::move(files)), caps_(caps) {
  const WeightOptions options{.scheme = scheme};
  for (const PictureFile& file : files_) {
    auto of = std::make_unique<Networks>();
    if (file.unet) {
      of->unet = Sized<Unet>::of(*file.unet, caps_, options);
      of->unet_config = file.unet->config;
      of->weights_bytes += of->unet->bytes();
    }
    for (const PicturePart<ClipConfig>& part : file.text_encoders) {
      of->text.push_back(Sized<ClipText>::of(part, caps_, options));
      of->weights_bytes += of->text.back().bytes();
    }
    const bool is_first = networks_.empty();
    if (file.vae && is_first) {  // a refiner's pictures are decoded by the base's
      of->vae = Sized<KlVae>::of(*file.vae, caps_, options);
      of->weights_bytes += of->vae->bytes();
    } else if (file.tiny_vae && is_first) {
      of->tiny_vae = Sized<TinyVae>::of(*file.tiny_vae, caps_, options);
      of->weights_bytes += of->tiny_vae->bytes();
    }
    networks_.push_back(std::move(of));
  }
  const PictureFile& first = files_.front();
  if (!first.unet || first.text_encoders.empty() || (!first.vae && !first.tiny_vae)) {
    throw Error(Code::kUnsupported, fmt::format("{} is {}; a plan of pictures needs a file with a denoiser, text "
                                                "encoders and a VAE",
                                                first.path, first.describe()));
  }
  const DType stored = main_scheme(first.unet->tensors->file());
  const diffuse::NativeSize size = diffuse::native_size(first);
  facts_ = {.name = std::move(name), .is_picture = true, .quant = std::string(hearth::name(scheme.value_or(stored))),
            .width = size.width, .height = size.height};
  for (const PictureFile& file : files_) {
    if (!file.unet) continue;
    for (const auto& [key, at] : file.unet->tensors->table()) facts_.parameters += static_cast<double>(at.elements());
  }
  math_ = math_of(scheme.value_or(stored));
}

PictureSubject::Work PictureSubject::read_words(const Networks& of) const {
  Work work;
  for (size_t i = 0; i < of.text.size(); ++i) {
    const ClipConfig& f = of.text[i].net.config();
    CostCounter counter;
    Arena arena;
    Ctx c{.device = {DeviceKind::kMeta}, .caps = caps_, .arena = arena, .observer = &counter};
    const bool is_only = of.text.size() == 1 && f.dim == 768;
    {
      const Tensor ids = ints(c, {1, kTokens});
      of.text[i].net.forward(c, {.ids = ids, .pool_at = ints(c, {1}), .overrides = {}, .layer = is_only ? -1 : -2,
                                 .normalise = is_only});
    }
    work.peak_bytes = std::max(work.peak_bytes, round_up(arena.peak_bytes(), 4 * KiB));
    work.flops += counter.flops();
    work.bytes += counter.bytes();
  }
  return work;
}

PictureSubject::Work PictureSubject::denoise(const Networks& of, int64_t rows, int64_t height, int64_t width) const {
  const UnetConfig& f = of.unet_config;
  CostCounter counter;
  Arena arena;
  Ctx c{.device = {DeviceKind::kMeta}, .caps = caps_, .arena = arena, .observer = &counter};
  {
    const Tensor map = diffuse::upload_map(c, {}, rows, f.in_channels, height, width);
    const Tensor told = f.adm_dim > 0 ? floats(c, {rows, f.adm_dim}) : Tensor();
    const Tensor text = floats(c, {rows, kTokens, f.context_dim});
    of.unet->net.forward(c, map, floats(c, {rows}), text, told);
  }
  return {round_up(arena.peak_bytes(), 4 * KiB), counter.flops(), counter.bytes()};
}

PictureSubject::Work PictureSubject::decode(int64_t pictures, int64_t height, int64_t width) const {
  const Networks& of = *networks_.front();
  CostCounter counter;
  Arena arena;
  Ctx c{.device = {DeviceKind::kMeta}, .caps = caps_, .arena = arena, .observer = &counter};
  if (of.vae) {
    of.vae->net.decode(c, diffuse::upload_map(c, {}, pictures, of.vae->net.config().latent_channels, height, width));
  } else {
    const int64_t channels = files_.front().tiny_vae->config.latent_channels;
    of.tiny_vae->net.decode(c, diffuse::upload_map(c, {}, pictures, channels, height, width));
  }
  return {round_up(arena.peak_bytes(), 4 * KiB), counter.flops(), counter.bytes()};
}

namespace {

struct Size {
  int64_t pixels_h, pixels_w, h, w, shrink;  // the last of the VAE
};

Size size_of(const Ask& ask, const SubjectFacts& facts, const PictureFile& file) {
  const int64_t shrink = file.vae ? file.vae->config.shrink() : file.tiny_vae->config.shrink();
  const int64_t height = ask.height > 0 ? ask.height : facts.height, width = ask.width > 0 ? ask.width : facts.width;
  return {height, width, std::max<int64_t>(height / 8, 1), std::max<int64_t>(width / 8, 1), shrink};
}

}  // namespace

Demand PictureSubject::demand(const Ask& ask) const {
  ask.check_is_wanted();
  const Size size = size_of(ask, facts_, files_.front());
  Demand demand;
  for (const auto& of : networks_) demand.weights_bytes += of->weights_bytes;
  for (const auto& of : networks_) {
    demand.arena_bytes = std::max(demand.arena_bytes, read_words(*of).peak_bytes);
    if (!of->unet) continue;
    const int64_t most = diffuse::rows_at_once(of->unet_config, size.h, size.w, kTokens);
    const int64_t both = ask.is_guided ? 2 * ask.batch : ask.batch;
    const int64_t rows = both <= most ? both : ask.batch;
    demand.arena_bytes = std::max(demand.arena_bytes, denoise(*of, rows, size.h, size.w).peak_bytes);
  }
  const int64_t tile = ask.tile > 0 ? std::max<int64_t>(ask.tile / size.shrink, 1) : 0;
  const int64_t piece_h = tile > 0 ? std::min(tile, size.h) : size.h;
  const int64_t piece_w = tile > 0 ? std::min(tile, size.w) : size.w;
  demand.arena_bytes = std::max(demand.arena_bytes, decode(1, piece_h, piece_w).peak_bytes);

  const int64_t channels = networks_.front()->unet_config.out_channels;
  const int64_t latent = row_bytes(DType::kF32, ask.batch * channels * size.h * size.w);
  const int64_t picture = row_bytes(DType::kF32, 3 * size.h * size.w * size.shrink * size.shrink);
  // The empty latent and the sampled ones; then what sampling keeps beside them, or pictures and the one being decoded.
  demand.state_bytes =
      3 * latent + std::max(diffuse::sampling_bytes(latent), ask.batch * picture + (tile > 0 ? 3 : 1) * picture);
  return demand;
}

std::vector<Phase> PictureSubject::phases(const Ask& ask) const {
  ask.check_is_wanted();
  const Size size = size_of(ask, facts_, files_.front());
  const double steps = static_cast<double>(ask.steps), batch = static_cast<double>(ask.batch);
  const int64_t both = ask.is_guided ? 2 * ask.batch : ask.batch;
  Phase words{.name = "text", .units = batch, .math = math_}, denoising{.name = "denoising", .units = batch,
                                                                       .math = math_};
  for (size_t i = 0; i < networks_.size(); ++i) {
    const Networks& of = *networks_[i];
    const Work read = read_words(of);
    words.flops += read.flops * (ask.is_guided ? 2 : 1);
    words.op_bytes += read.bytes * (ask.is_guided ? 2 : 1);
    for (const auto& text : of.text) words.bytes += static_cast<double>(text.bytes());
    if (!of.unet) continue;
    const int64_t most = diffuse::rows_at_once(of.unet_config, size.h, size.w, kTokens);
    const int64_t rows = both <= most ? both : ask.batch;
    const Work step = denoise(of, rows, size.h, size.w);
    // A refiner takes the last fifth of the steps from the base.
    const double share = networks_.size() == 1 ? 1 : i == 0 ? 0.8 : 0.2;
    const double calls = share * steps * static_cast<double>(both / rows);
    denoising.flops += calls * step.flops;
    denoising.op_bytes += calls * step.bytes;
    denoising.bytes += calls * static_cast<double>(of.unet->bytes());
  }
  const Work decoding = decode(1, size.h, size.w);
  const Networks& first = *networks_.front();
  const double weights = static_cast<double>(first.vae ? first.vae->bytes() : first.tiny_vae->bytes());
  const double pixels = 12 * static_cast<double>(size.h * size.w * size.shrink * size.shrink);
  return {words, denoising,
          {.name = "decoding", .flops = batch * decoding.flops, .bytes = batch * (weights + pixels),
           .op_bytes = batch * decoding.bytes, .units = batch, .math = math_}};
}

}  // namespace hearth::planner
