// ClipText: the text encoders of SD1 (CLIP-L), SDXL (CLIP-L and OpenCLIP bigG) and SD2 (OpenCLIP H): causal
// transformers over the tokens of a prompt. Immutable once bound, shared by every request.
//   widths, layers, vocabulary and positions come from the weights. Two things leave no trace there:
//   heads       64 channels each, unless config.json's num_attention_heads says otherwise
//   activation  quick_gelu for weights under Hugging Face's names, gelu for OpenCLIP's and for widths of OpenCLIP's
//               models (1024, 1280), unless config.json's hidden_act says otherwise
#pragma once
#include <span>
#include <string>
#include <vector>

#include "models/blocks/spatial.h"
#include "models/load/named_tensors.h"

namespace hearth {

struct ClipConfig {
  enum class Activation { kQuickGelu, kGelu };
  int dim = 768, layers = 12, heads = 12, ffn = 3072, vocab = 49408, positions = 77;
  int projection = 0;  // width of the pooled vector after text_projection; 0: there is none
  Activation activation = Activation::kQuickGelu;

  /// `tensors` under Hugging Face's names; `is_open_clip` when the file had OpenCLIP's. Throws Error{kCorruptFile,
  /// kUnsupported}.
  static ClipConfig of(const NamedTensors& tensors, const Value& config, bool is_open_clip);
  int pooled_dim() const { return projection > 0 ? projection : dim; }
};

/// Vectors put in place of token embeddings (textual inversion): rows [row, row + n) of the flattened [B*T].
struct EmbeddingOverride {
  int64_t row = 0;
  Tensor vectors;  // [n, dim] f32
};

struct ClipRequest {
  Tensor ids;  // [B, T] i32, T at most config().positions; ids at overridden rows are any valid ones
  Tensor pool_at;  // [B] i32: the flattened row each pooled vector is read at, from pooled_rows(); empty: no pooling
  std::span<const EmbeddingOverride> overrides;
  int layer = -1;  // which layer's output is wanted: -1 the last, -2 the one before, ...
  bool normalise = true;  // the final norm over it: SD1 and SD2 always, SDXL never
};

struct ClipOutput {
  Tensor hidden;  // [B, T, dim]
  Tensor
      pooled;  // [B, pooled_dim()]: the last layer's vector at pool_at, normed, projected where there is a projection
};

class ClipText {
 public:
  static ClipText bind(Weights& w, const ClipConfig& config);

  /// Throws Error{kInvalidArgument} with got and wanted. The pooled vector is always of the last layer, so every layer
  /// runs when it is asked for.
  ClipOutput forward(Ctx& c, const ClipRequest& request) const;

  const ClipConfig& config() const { return config_; }

 private:
  struct Block {
    LayerNorm norm1, norm2;
    Linear q, k, v, o, fc1, fc2;
    Tensor forward(Ctx& c, const Tensor& x, const ClipConfig& f) const;  // [B, T, dim]
  };
  static Block bind_block(Weights& w, const ClipConfig& f, int i);
  void check_request(const ClipRequest& request) const;
  Tensor embed_tokens(Ctx& c, const ClipRequest& request) const;

  ClipConfig config_;
  Weight tokens_;  // [vocab, dim]
  Tensor positions_;  // [positions, dim]
  std::vector<Block> blocks_;
  LayerNorm norm_;
  Linear projection_;
};

/// The flattened row of the first `end` in each of the prompts [B, T], as ComfyUI pools: where there is none, the last.
std::vector<int32_t> pooled_rows(std::span<const int32_t> ids, int64_t tokens, int32_t end = 49407);

}  // namespace hearth
