// PictureWork: the picture engine as the nodes see it, so that tests can put another in its place. Semantics, threads
// and failures are those of PictureEngine.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "runtime/diffuse/picture_engine.h"

namespace hearth::workflow {

class PictureWork {
 public:
  virtual ~PictureWork() = default;
  virtual diffuse::CheckpointParts load_checkpoint(const std::string& path, const diffuse::Watch& watch) = 0;
  virtual diffuse::Model load_diffusion_model(const std::string& path, const diffuse::Watch& watch) = 0;
  virtual diffuse::TextEncoder load_text_encoder(const std::vector<std::string>& paths,
                                                 const diffuse::Watch& watch) = 0;
  virtual diffuse::Vae load_vae(const std::string& path, const diffuse::Watch& watch) = 0;
  virtual diffuse::Condition encode_text(const diffuse::TextEncoder& clip, const diffuse::PromptWords& words,
                                         const diffuse::Watch& watch) = 0;
  virtual diffuse::ModelSampling sampling_of(const diffuse::Model& model) = 0;
  virtual int64_t latent_channels(const diffuse::Model& model) = 0;
  virtual diffuse::Sampled sample(const diffuse::SampleRequest& request, const diffuse::Watch& watch) = 0;
  virtual Tensor decode(const diffuse::Vae& vae, const Tensor& samples, const diffuse::VaeOptions& options,
                        const diffuse::Watch& watch) = 0;
  virtual Tensor encode(const diffuse::Vae& vae, const Tensor& pixels, const diffuse::VaeOptions& options,
                        const diffuse::Watch& watch) = 0;
  virtual diffuse::Latent add_noise(const diffuse::Model& model, const diffuse::Noise& noise, float sigma,
                                    const diffuse::Latent& latent) = 0;
  virtual Tensor preview(const diffuse::Model& model, const Tensor& denoised) = 0;
  virtual std::string preview_decoder(const diffuse::Model& model) = 0;
  virtual Tensor decode_preview(const diffuse::Model& model, const diffuse::Vae& tiny, const Tensor& denoised,
                                const diffuse::Watch& watch) = 0;
  virtual void free_unused() = 0;
};

/// `engine` outlives what is returned.
std::unique_ptr<PictureWork> picture_work(diffuse::PictureEngine& engine);

}  // namespace hearth::workflow
