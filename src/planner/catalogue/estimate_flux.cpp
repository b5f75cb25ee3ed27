// FLUX.1 by its published shapes: 19 double and 38 single blocks of width 3072, text by T5-XXL and CLIP-L.
#include <algorithm>
#include <cmath>

#include "core/base/units.h"
#include "models/vae/kl_vae.h"
#include "planner/catalogue/estimate.h"
#include "planner/catalogue/synthetic.h"
#include "planner/measure/cost_counter.h"
#include "runtime/diffuse/picture_lane.h"

namespace hearth::planner {
namespace {

constexpr double kDim = 3072, kMlp = 12288, kDoubles = 19, kSingles = 38;
constexpr double kTextDim = 4096, kTextFfn = 10240, kTextLayers = 24, kTextVocab = 32128;
constexpr double kTextTokens = 512;

// Matrices an image or text token passes in a double block, or any token in a single one; modulation apart, which
// works on one row a picture.
constexpr double kStream = 4 * kDim * kDim + 2 * kDim * kMlp;
constexpr double kSingle = kDim * (3 * kDim + kMlp) + (kDim + kMlp) * kDim;
constexpr double kModulation = kDoubles * 2 * 6 * kDim * kDim + kSingles * 3 * kDim * kDim;
constexpr double kEnds = 2 * 64 * kDim + kTextDim * kDim + (2 * 256 + 768 + 3 * kDim) * kDim + 2 * kDim * kDim;

double transformer_parameters() { return kDoubles * 2 * kStream + kSingles * kSingle + kModulation + kEnds; }
double text_parameters() {
  return kTextLayers * (4 * kTextDim * kTextDim + 3 * kTextDim * kTextFfn) + kTextVocab * kTextDim;
}

class EstimatedFlux final : public Subject {
 public:
  EstimatedFlux(const std::string& name, const Quant& quant, const Caps& caps) : quant_(quant), caps_(caps) {
    const PicturePart<VaeConfig> vae = synthetic_vae(16, DType::kBF16);
    const PicturePart<ClipConfig> clip = synthetic_clip(false, DType::kBF16);
    vae_weights_ = std::make_unique<Weights>(*vae.tensors, caps_, WeightOptions{});
    vae_ = KlVae::bind(*vae_weights_, vae.config);
    Weights clip_weights(*clip.tensors, caps_, WeightOptions{});
    ClipText::bind(clip_weights, clip.config);
    auto bytes = [&](double elements) {
      const TensorNeed all{.name = "", .shape = {static_cast<int64_t>(elements) / 256, 256}, .role = Role::kMatrix};
      return quant_.bytes(all, 1);
    };
    transformer_bytes_ = bytes(transformer_parameters());
    text_bytes_ = bytes(text_parameters());
    weights_bytes_ = static_cast<int64_t>(transformer_bytes_ + text_bytes_) + vae_weights_->bytes() +
                     clip_weights.bytes();
    facts_ = {.name = name, .is_picture = true, .is_estimate = true, .quant = quant.name, .width = 1024,
              .height = 1024, .parameters = transformer_parameters()};
    facts_.notes.push_back("this build has no code for FLUX.1 yet: transformer and T5 follow from their published "
                           "shapes; CLIP-L and the VAE are measured");
  }

  const SubjectFacts& facts() const override { return facts_; }

  Demand demand(const Ask& ask) const override {
    ask.check_is_wanted();
    const auto [height, width] = size(ask);
    const double tokens = image_tokens(ask) + kTextTokens, batch = static_cast<double>(ask.batch);
    const auto step = static_cast<int64_t>(batch * tokens * (3 * kDim + 2 * kMlp + 4 * kDim) * 4);
    Arena arena;
    CostCounter counter;
    decode(arena, counter, height / 8, width / 8);
    return {.weights_bytes = weights_bytes_, .state_bytes = (ask.batch + 1) * height * width * 3 * 4,
            .arena_bytes = std::max(step, round_up(arena.peak_bytes(), 4 * KiB))};
  }

  std::vector<Phase> phases(const Ask& ask) const override {
    const auto [height, width] = size(ask);
    const double batch = static_cast<double>(ask.batch), steps = static_cast<double>(ask.steps);
    const double image = image_tokens(ask), all = image + kTextTokens;
    const double products = 2 * (kDoubles * kStream * all + kSingles * kSingle * all + kModulation + kEnds);
    const double attention = 4 * (kDoubles + kSingles) * all * all * kDim;
    Arena arena;
    CostCounter counter;
    decode(arena, counter, height / 8, width / 8);
    return {{.name = "text", .flops = 2 * text_parameters() * kTextTokens * batch, .bytes = text_bytes_,
             .units = batch, .math = quant_.math},
            {.name = "denoising", .flops = steps * batch * (products + attention), .bytes = steps * transformer_bytes_,
             .units = batch, .math = quant_.math},
            {.name = "decoding", .flops = batch * counter.flops(),
             .bytes = batch * static_cast<double>(vae_weights_->bytes() + 12 * height * width),
             .op_bytes = batch * counter.bytes(), .units = batch, .math = Math::kF16}};
  }

 private:
  struct Pixels {
    int64_t height, width;
  };
  static Pixels size(const Ask& ask) {
    return {ask.height > 0 ? ask.height : 1024, ask.width > 0 ? ask.width : 1024};
  }
  static double image_tokens(const Ask& ask) {
    const auto [height, width] = size(ask);
    return static_cast<double>((height / 16) * (width / 16));
  }
  void decode(Arena& arena, CostCounter& counter, int64_t height, int64_t width) const {
    Ctx c{.device = {DeviceKind::kMeta}, .caps = caps_, .arena = arena, .observer = &counter};
    vae_.decode(c, diffuse::upload_map(c, {}, 1, 16, height, width));
  }

  const Quant quant_;
  const Caps caps_;
  std::unique_ptr<Weights> vae_weights_;
  KlVae vae_;
  double transformer_bytes_ = 0, text_bytes_ = 0;
  int64_t weights_bytes_ = 0;
  SubjectFacts facts_;
};

}  // namespace

std::unique_ptr<Subject> estimated_flux(const std::string& name, const Quant& quant, const Caps& caps) {
  return std::make_unique<EstimatedFlux>(name, quant, caps);
}

}  // namespace hearth::planner
