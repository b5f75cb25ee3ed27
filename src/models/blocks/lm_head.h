// The two ends of a language model: token embedding and output head, which may be one matrix.
#pragma once
#include "models/blocks/layers.h"
#include "models/lm/config.h"
#include "ops/index/index.h"

namespace hearth {

struct LmEnds {
  Weight embedding;   // [vocab, dim]
  RmsNorm norm;
  Linear head;        // the embedding itself when tied

  Tensor embed(Ctx& c, const Tensor& tokens) const { return hearth::embed(c, embedding, tokens); }
  /// Logits of the kept rows: [keep, vocab].
  Tensor logits(Ctx& c, const Tensor& x, const Tensor& keep) const { return head(c, norm(c, rows(c, x, keep))); }
};

inline LmEnds bind_ends(Weights& w, const LmConfig& f, float norm_plus = 0) {
  LmEnds ends;
  ends.embedding = w.matrix("token_embd.weight", f.vocab, f.dim);
  ends.norm = {w.vector("output_norm.weight", f.dim, norm_plus), f.eps};
  ends.head = f.has_tied_head ? Linear{ends.embedding, {}} : bind_linear(w, "output", f.dim, f.vocab);
  return ends;
}

}  // namespace hearth
