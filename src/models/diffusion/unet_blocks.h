// The blocks of a latent diffusion UNet: residual blocks told the timestep, and transformers over the pixels of a map
// that attend to themselves and to the text. Maps are [B, H, W, C]. Reference: Rombach et al., "High-Resolution Image
// Synthesis with Latent Diffusion Models"; huggingface/diffusers, models/resnet.py and models/attention.py.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "models/blocks/spatial.h"
#include "ops/attention/full_attention.h"

namespace hearth {

struct ResBlock {
  GroupNorm norm1, norm2;
  Conv conv1, conv2;
  Linear time;                // embedding of the step -> one number a channel; without weight: not told (VAE)
  std::optional<Conv> skip;   // where channels change

  /// x [B, H, W, in], emb [B, time_dim] after SiLU, or empty -> [B, H, W, out].
  Tensor forward(Ctx& c, const Tensor& x, const Tensor& emb) const;
};

ResBlock bind_res_block(Weights& w, const std::string& name, int64_t in, int64_t out, int64_t time_dim, int groups,
                        float eps);

struct CrossAttention {
  Linear q, k, v, o;
  int heads = 1;

  /// x [B, N, dim] attends to `to` [B, M, to_dim].
  Tensor forward(Ctx& c, const Tensor& x, const Tensor& to) const;
};

struct TransformerBlock {
  LayerNorm norm1, norm2, norm3;
  CrossAttention self, text;
  Linear ff_in, ff_out;  // ff_in: value and gate in one matrix

  Tensor forward(Ctx& c, Tensor x, const Tensor& context) const;  // x [B, N, dim]
};

struct SpatialTransformer {
  GroupNorm norm;
  Linear in, out;  // 1x1 convolutions in SD1: the same product
  std::vector<TransformerBlock> blocks;

  /// x [B, H, W, C], context [B, M, context_dim].
  Tensor forward(Ctx& c, const Tensor& x, const Tensor& context) const;
};

SpatialTransformer bind_spatial_transformer(Weights& w, const std::string& name, int64_t channels, int64_t context_dim,
                                            int depth, int heads, int groups);

}  // namespace hearth
