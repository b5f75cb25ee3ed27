#include "workflow/picture_work.h"

namespace hearth::workflow {
namespace {

using namespace diffuse;  // NOLINT: the adapter speaks the engine's words

class EngineWork final : public PictureWork {
 public:
  explicit EngineWork(PictureEngine& engine) : engine_(engine) {}
  CheckpointParts load_checkpoint(const std::string& path, const Watch& watch) override {
    return engine_.load_checkpoint(path, watch);
  }
  Model load_diffusion_model(const std::string& path, const Watch& watch) override {
    return engine_.load_diffusion_model(path, watch);
  }
  TextEncoder load_text_encoder(const std::vector<std::string>& paths, const Watch& watch) override {
    return engine_.load_text_encoder(paths, watch);
  }
  Vae load_vae(const std::string& path, const Watch& watch) override { return engine_.load_vae(path, watch); }
  Condition encode_text(const TextEncoder& clip, const PromptWords& words, const Watch& watch) override {
    return engine_.encode_text(clip, words, watch);
  }
  ModelSampling sampling_of(const Model& model) override { return engine_.sampling_of(model); }
  int64_t latent_channels(const Model& model) override { return engine_.latent_channels(model); }
  Sampled sample(const SampleRequest& request, const Watch& watch) override { return engine_.sample(request, watch); }
  Tensor decode(const Vae& vae, const Tensor& samples, const VaeOptions& options, const Watch& watch) override {
    return engine_.decode(vae, samples, options, watch);
  }
  Tensor encode(const Vae& vae, const Tensor& pixels, const VaeOptions& options, const Watch& watch) override {
    return engine_.encode(vae, pixels, options, watch);
  }
  Latent add_noise(const Model& model, const Noise& noise, float sigma, const Latent& latent) override {
    return engine_.add_noise(model, noise, sigma, latent);
  }
  Tensor preview(const Model& model, const Tensor& denoised) override { return engine_.preview(model, denoised); }
  std::string preview_decoder(const Model& model) override { return engine_.preview_decoder(model); }
  Tensor decode_preview(const Model& model, const Vae& tiny, const Tensor& denoised, const Watch& watch) override {
    return engine_.decode_preview(model, tiny, denoised, watch);
  }
  void free_unused() override { engine_.free_unused(); }

 private:
  PictureEngine& engine_;
};

}  // namespace

std::unique_ptr<PictureWork> picture_work(PictureEngine& engine) { return std::make_unique<EngineWork>(engine); }

}  // namespace hearth::workflow
