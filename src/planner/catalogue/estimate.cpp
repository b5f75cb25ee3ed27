#include "planner/catalogue/estimate.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "core/base/units.h"
#include "planner/measure/words.h"

namespace hearth::planner {
namespace {

int64_t whole(double bytes) { return static_cast<int64_t>(std::llround(bytes)); }

class EstimatedLanguage final : public Subject {
 public:
  EstimatedLanguage(const std::string& name, const LmShape& shape, const Quant& quant, const Caps& target)
      : f_(shape), quant_(quant), text_bytes_(Words{shape.vocab, shape.vocab}.bytes(target)) {
    facts_ = {.name = name, .is_estimate = true, .quant = quant.name, .own_context = shape.context};
    int64_t odd_row = 0;
    for (const TensorNeed& tensor : tensors_of(shape)) {
      const double bytes = quant.bytes(tensor, shape.layers);
      if (quant.is_odd(tensor)) odd_row = tensor.shape.back();
      facts_.parameters += tensor.elements();
      weights_ += bytes;
      read_ += bytes * tensor.used;
      active_ += tensor.elements() * tensor.used;
      if (tensor.role == Role::kHead || (tensor.role == Role::kEmbedding && shape.has_tied_head)) {
        head_ = tensor.elements();
      }
      if (tensor.role == Role::kEmbedding && !shape.has_tied_head) continue;  // a token reads one row
      const bool is_expert = tensor.used < 1 && tensor.role != Role::kEmbedding;
      (is_expert ? expert_bytes_ : common_bytes_) += bytes;
    }
    for (int64_t i = 0; i < f_.layers; ++i) {
      if (!f_.is_window(i)) facts_.kv_bytes_per_token += whole(token_bytes(i, DType::kF16));
    }
    facts_.notes.push_back(fmt::format("this build has no code for {} yet: bytes and work follow from its published "
                                       "shapes",
                                       f_.architecture));
    if (odd_row > 0) {
      facts_.notes.push_back(fmt::format("rows of {} numbers are not whole blocks of {}: those matrices are counted in "
                                         "the next wider scheme",
                                         odd_row, quant.name));
    }
  }

  const SubjectFacts& facts() const override { return facts_; }

  Demand demand(const Ask& ask) const override {
    const int64_t context = std::min(f_.context, ask.context > 0 ? ask.context : 8192);
    const int64_t pages = round_up(context, ask.page_tokens);
    const int64_t contexts = std::min<int64_t>(2, std::max<int64_t>(ask.parallel, 1));  // as loading takes them
    double state = 0;
    for (int64_t i = 0; i < f_.layers; ++i) {
      int64_t tokens = contexts * pages;
      if (f_.is_window(i)) tokens = std::min(tokens, 2 * ask.parallel * (f_.window + ask.max_rows));
      state += token_bytes(i, ask.state_dtype) * static_cast<double>(tokens);
      if (f_.is_linear(i)) state += fixed_bytes() * static_cast<double>(ask.parallel);
    }
    const int64_t widest = std::max({f_.ffn, f_.expert_ffn * std::max<int64_t>(f_.experts_used, 1),
                                     f_.heads * std::max(f_.head_dim, f_.nope_dim + f_.rope_dim)});
    const int64_t arena = ask.max_rows * (3 * f_.dim + 3 * widest) * 4 + ask.parallel * (f_.vocab + 4 * f_.dim) * 4;
    return {.weights_bytes = whole(weights_), .state_bytes = whole(state), .arena_bytes = arena,
            .buffer_bytes = ask.parallel * f_.vocab * 4, .text_bytes = text_bytes_};
  }

  std::vector<Phase> phases(const Ask& ask) const override {
    const int64_t context = std::min(f_.context, ask.context > 0 ? ask.context : 8192);
    const double prompt = static_cast<double>(std::clamp<int64_t>(ask.prompt, 1, context));
    const double rows = std::min(prompt, static_cast<double>(ask.max_rows)), passes = std::ceil(prompt / rows);
    const double n = static_cast<double>(std::max<int64_t>(ask.parallel, 1)), at = static_cast<double>(context);
    const double per_token = 2 * (active_ - head_) + attention_flops(prompt / 2);
    return {{.name = "prefill", .flops = prompt * per_token + passes * 2 * head_,
             .bytes = passes * (common_bytes_ + expert_bytes_ * touched(rows)) + prompt * state_read(1, ask),
             .units = prompt, .math = quant_.math},
            {.name = "decode", .flops = 2 * active_ + attention_flops(at), .bytes = read_ + state_read(at, ask),
             .units = 1, .math = quant_.math},
            {.name = fmt::format("decode of {} sequences", ask.parallel),
             .flops = n * (2 * active_ + attention_flops(at)),
             .bytes = common_bytes_ + expert_bytes_ * touched(n) + n * state_read(at, ask), .units = n,
             .math = quant_.math}};
  }

 private:
  // Keys and values, or the latent that stands for both, of one token in one layer.
  double token_bytes(int64_t layer, DType dtype) const {
    if (f_.is_linear(layer)) return 0;
    const int64_t values = f_.kv_rank > 0 ? f_.kv_rank + f_.rope_dim : 2 * f_.kv_heads * f_.head_dim;
    return static_cast<double>(values) * info(dtype).block_bytes / info(dtype).block_elements;
  }
  // What a Gated DeltaNet layer keeps of a sequence whatever its length, in float32.
  double fixed_bytes() const {
    const int64_t k = f_.linear_k_heads * f_.linear_k_dim, v = f_.linear_v_heads * f_.linear_v_dim;
    return 4.0 * static_cast<double>(f_.linear_v_heads * f_.linear_k_dim * f_.linear_v_dim +
                                     (f_.conv - 1) * (2 * k + v));
  }
  double seen(int64_t layer, double context) const {
    return f_.is_window(layer) ? std::min(context, static_cast<double>(f_.window)) : context;
  }
  double state_read(double context, const Ask& ask) const {
    double bytes = 0;
    for (int64_t i = 0; i < f_.layers; ++i) {
      bytes += f_.is_linear(i) ? 2 * fixed_bytes() : token_bytes(i, ask.state_dtype) * seen(i, context);
    }
    return bytes;
  }
  double attention_flops(double context) const {
    double flops = 0;
    const int64_t width = f_.kv_rank > 0 ? f_.kv_rank + f_.rope_dim : f_.head_dim;
    for (int64_t i = 0; i < f_.layers; ++i) {
      if (!f_.is_linear(i)) flops += 4.0 * static_cast<double>(f_.heads * width) * seen(i, context);
    }
    return flops;
  }
  // Share of the experts that `tokens` tokens choose among them, choices taken as even.
  double touched(double tokens) const {
    if (f_.experts == 0) return 1;
    const double one = static_cast<double>(f_.experts_used) / static_cast<double>(f_.experts);
    return 1 - std::pow(1 - one, tokens);
  }

  const LmShape f_;
  const Quant quant_;
  const int64_t text_bytes_;
  SubjectFacts facts_;
  double weights_ = 0, read_ = 0, active_ = 0, head_ = 0, expert_bytes_ = 0, common_bytes_ = 0;
};

}  // namespace

std::unique_ptr<Subject> estimated_language(const std::string& name, const LmShape& shape, const Quant& quant,
                                            const Caps& target) {
  return std::make_unique<EstimatedLanguage>(name, shape, quant, target);
}

}  // namespace hearth::planner
