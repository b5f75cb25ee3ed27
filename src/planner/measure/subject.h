// Subject: one model somebody asks a plan for: what it holds and what its phases cost, as functions of what is asked.
// Implementations measure the real code on the Meta device (language.h, picture.h), or, where no model code exists yet,
// count published shapes by the same byte rules (catalogue/estimate.h) and say so. Pure; one thread at a time.
#pragma once
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "core/tensor/dtype.h"

namespace hearth::planner {

/// What a plan is asked for; a language model reads the first group, a picture model the second.
struct Ask {
  int64_t context = 0;         // tokens one request may use; 0: the model's own, at most 8192
  int64_t parallel = 8;        // sequences at once
  int64_t max_rows = 256;      // token rows of one step
  int64_t page_tokens = 32;
  int64_t prompt = 512;        // tokens of the prefill whose time is bounded
  DType state_dtype = DType::kF16;

  int64_t width = 0, height = 0;  // pixels; 0: the model's own
  int64_t batch = 1;              // pictures at once
  int64_t steps = 20;
  bool is_guided = true;          // with and without the prompt at every step (cfg above 1)
  int64_t tile = 0;               // pixels a side of what is decoded at once; 0: whole pictures

  std::stop_token stop{};  // nobody wants the answer any more: demand() and phases() throw kCancelled
  void check_is_wanted() const;
};

/// Bytes held while requests run.
struct Demand {
  int64_t weights_bytes = 0;
  int64_t state_bytes = 0;   // keys and values; for pictures latents and pixels in host memory
  int64_t arena_bytes = 0;   // the highest peak of a step's tensors and working spaces
  int64_t buffer_bytes = 0;  // batches and logits
  int64_t text_bytes = 0;    // the tables of a tokenizer, where they lie in the same pool
  int64_t total_bytes() const { return weights_bytes + state_bytes + arena_bytes + buffer_bytes + text_bytes; }
};

/// In what arithmetic a phase's products may run at best.
enum class Math : uint8_t { kF32, kF16, kI8, kF8, kF4 };
constexpr int kMaths = 5;

/// One phase of work, counted op by op.
struct Phase {
  std::string name;     // "prefill", "decode", "picture"
  double flops = 0;
  double bytes = 0;     // that no implementation can leave out: weights once a step, keys, values, results
  double op_bytes = 0;  // read and written when every op reads its operands anew, as those of this build do; 0: unknown
  double units = 1;     // tokens or pictures it yields
  Math math = Math::kF16;
};

struct SubjectFacts {
  std::string name;
  bool is_picture = false;
  bool is_estimate = false;       // counted from published shapes: no model code exists yet
  std::string quant;              // "q4_k_m", or what the file holds
  int64_t own_context = 0;        // positions the model was made for
  int64_t width = 0, height = 0;  // what a picture model was trained to draw
  double parameters = 0;
  int64_t kv_bytes_per_token = 0;  // of one sequence in the layers that keep every position, at f16
  std::vector<std::string> notes;  // what a reader must know about the numbers
};

class Subject {
 public:
  virtual ~Subject() = default;
  virtual const SubjectFacts& facts() const = 0;
  virtual Demand demand(const Ask& ask) const = 0;
  virtual std::vector<Phase> phases(const Ask& ask) const = 0;
};

}  // namespace hearth::planner
