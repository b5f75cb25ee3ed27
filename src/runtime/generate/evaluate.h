// Measuring a loaded model without sampling: teacher-forced logits, perplexity, divergence from other logits, and the
// speed of prefill and decode. For `hearth bench` and tests; the model must not be in use by a worker.
#pragma once
#include <functional>
#include <span>
#include <vector>

#include "runtime/generate/loaded_model.h"

namespace hearth {

/// A text fed to a model step by step; each step gives the logits after every token of it.
class TeacherForcing {
 public:
  TeacherForcing(LoadedModel& model, std::span<const int32_t> tokens);
  ~TeacherForcing() { scheduler_.remove(sequence_); }
  TeacherForcing(const TeacherForcing&) = delete;

  bool is_done() const { return sequence_.uncomputed() == 0; }
  /// Runs the next step; calls on_logits(i, logits) for its positions: the model's logits after tokens[0..i].
  void step(const std::function<void(int64_t, std::span<const float>)>& on_logits);

 private:
  LoadedModel& model_;
  Scheduler scheduler_;
  Sequence sequence_;
};

/// The whole text at once.
void teacher_force(LoadedModel& model, std::span<const int32_t> tokens,
                   const std::function<void(int64_t, std::span<const float>)>& on_logits);

struct Perplexity {
  double value = 0;
  int64_t scored_tokens = 0, chunks = 0;
};

/// llama-perplexity's protocol: chunks of `chunk` tokens, each starting with BOS where the model wants one, the second
/// half of every chunk scored.
Perplexity perplexity(LoadedModel& model, std::span<const int32_t> tokens, int64_t chunk,
                      const std::function<void(int64_t done, int64_t total)>& progress = {});

/// KL(reference || other) in nats of softmax over two rows of logits, in double precision.
double kl_divergence(std::span<const float> reference, std::span<const float> other);

/// Over the positions that perplexity() scores.
struct Divergence {
  double mean_kl = 0, max_kl = 0, same_top = 0;  // same_top: share of positions with equal argmax
  int64_t positions = 0;
};
Divergence divergence(LoadedModel& reference, LoadedModel& model, std::span<const int32_t> tokens, int64_t chunk,
                      const std::function<void(int64_t done, int64_t total)>& progress = {});

struct SpeedRun {
  int64_t prompt = 0, generated = 0, parallel = 1;
  double prefill_s = 0;      // all prompts to their first logits
  double decode_s = 0;       // the generated tokens of all sequences
  double prefill_rate() const { return static_cast<double>(prompt * parallel) / prefill_s; }
  double decode_rate() const { return static_cast<double>(generated * parallel) / decode_s; }
};

/// `parallel` sequences of `prompt` fixed tokens each, then `generate` greedy tokens each, without prefix reuse.
SpeedRun measure_speed(LoadedModel& model, int64_t prompt, int64_t generate, int64_t parallel);

}  // namespace hearth
