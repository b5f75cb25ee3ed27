// Decoder: embedding, a list of blocks, norm and head. Everything that tells architectures apart is in the Block type:
//   Tensor Block::forward(Ctx&, Tensor x, const LmConfig&, const Batch&, const State::Layer&) const;   // x [rows, dim]
#pragma once
#include <utility>
#include <vector>

#include "models/blocks/lm_head.h"
#include "models/lm/language_model.h"

namespace hearth {

template <class Block>
class Decoder final : public LanguageModel {
 public:
  /// embedding_scale multiplies the token embeddings; 1 leaves them alone.
  Decoder(const LmConfig& config, LmEnds ends, std::vector<Block> blocks, float embedding_scale = 1)
      : LanguageModel(config, make_state_spec(config)), ends_(std::move(ends)), blocks_(std::move(blocks)),
        embedding_scale_(embedding_scale) {}

  Tensor forward(Ctx& c, const Batch& b, const State& s) const override {
    Tensor x = ends_.embed(c, b.tokens);  // [rows, dim]
    if (embedding_scale_ != 1) x = scale(c, x, embedding_scale_);
    c.probe("embedding", -1, x);
    for (int i = 0; i < config().layers; ++i) {
      x = blocks_[i].forward(c, std::move(x), config(), b, s.layer(i, b));
      c.probe("block", i, x);
      c.cut();
    }
    Tensor logits = ends_.logits(c, x, b.keep);  // [keep, vocab]
    return config().final_softcap > 0 ? softcap(c, logits, config().final_softcap) : logits;
  }

 private:
  LmEnds ends_;
  std::vector<Block> blocks_;
  float embedding_scale_;
};

}  // namespace hearth
