// SampleWork: one sampling with a UNet in memory: guidance and samplers on the host, the network in the picture lane.
#pragma once
#include "models/diffusion/unet.h"
#include "runtime/diffuse/model_files.h"
#include "runtime/diffuse/picture_engine.h"
#include "runtime/diffuse/picture_lane.h"
#include "runtime/diffuse/sampling/guidance.h"

namespace hearth::diffuse {

/// `latent` with noise of level `sigma` on it; what is not finite becomes 0.
Latent noised(const LatentFormat& latents, const ModelSampling& sampling, const Noise& noise, float sigma,
              const Latent& latent, Residency& memory);

/// How many rows (pictures, with and without the prompt) of a latent this large one call of the network takes at most.
int64_t rows_at_once(const UnetConfig& config, int64_t height, int64_t width, int64_t tokens);

/// Bytes of host memory that sampling a latent of `bytes` holds beside it.
int64_t sampling_bytes(int64_t bytes);

class SampleWork final : private NoisePredictor {
 public:
  /// Everything outlives this.
  SampleWork(const Model& model, const Unet& net, ModelSampling sampling, const ComputeOptions& compute,
             PictureLane& lane, Residency& memory)
      : file_(*model.base), latents_(latents_of(model)), net_(net), sampling_(std::move(sampling)), compute_(compute),
        lane_(lane), memory_(memory) {}

  /// `negative`: who sees the negative, where that is another model; outlives the call.
  Sampled run(const SampleRequest& request, const Watch& watch, SampleWork* negative = nullptr);

 private:
  int64_t max_rows(int64_t height, int64_t width, int64_t tokens) const override;
  void predict(const UnetCall& call, std::span<float> output) override;

  NegativeModel as_negative(const LatentTask& task, const LatentFormat& latents, const Watch& watch);
  LatentTask task_of(const SampleRequest& request) const;
  UnetInputs inputs() const;
  void check_request(const SampleRequest& request) const;

  const DiffusionFile& file_;
  const LatentFormat latents_;
  const Unet& net_;
  const ModelSampling sampling_;
  const ComputeOptions compute_;
  PictureLane& lane_;
  Residency& memory_;
  const Watch* watch_ = nullptr;
};

}  // namespace hearth::diffuse
