// LoadedModel: one language model ready to run: weights, tokenizer, chat template, pages, lane and batch buffers, all
// leased before they are allocated. Loading sizes everything on Meta first, so that the bytes are known exactly and a
// refusal costs nothing.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "governor/budget/budget.h"
#include "models/lm/language_model.h"
#include "models/load/weights.h"
#include "runtime/executor/executor.h"
#include "runtime/generate/batch_buffers.h"
#include "runtime/generate/sampling_defaults.h"
#include "text/template/template.h"
#include "text/tokenize/tokenizer.h"

namespace hearth {

struct LoadOptions {
  std::string name;               // in leases and logs
  std::string path;
  int64_t context = 0;            // tokens one request may use; 0: the model's own, at most default_context
  int64_t parallel = 8;           // sequences at once
  int64_t state_tokens = 0;       // tokens of state in all; 0: enough for two contexts, at most parallel contexts
  int64_t max_rows = 256;         // token rows of one step
  int64_t page_tokens = 32;
  DType state_dtype = DType::kF16;
  bool decodes_weights = false;   // keep weights as float32: the yardstick for what quantised arithmetic costs
  std::string chat_template;      // Jinja text that replaces the model's own
  static constexpr int64_t default_context = 8192;
};

/// Exact bytes a model will hold, computed on Meta before anything is allocated.
struct ModelSizes {
  int64_t weights_bytes = 0, state_bytes = 0, arena_bytes = 0, batch_bytes = 0;
  int64_t total_bytes() const { return weights_bytes + state_bytes + arena_bytes + batch_bytes; }
};

/// What a model's headers tell before it is loaded.
struct ModelFacts {
  std::string architecture;
  int64_t context = 0;  // tokens one request may use
};
/// Reads headers only. Throws as LoadedModel::load() does.
ModelFacts read_model_facts(const LoadOptions& options);

class LoadedModel {
 public:
  /// Asked for `bytes` in one pool when a lease would fail; returns whether trying again makes sense (it unloaded
  /// something).
  using MakeRoom = std::function<bool(int64_t bytes)>;
  using Progress = std::function<void(const LoadProgress&)>;

  /// Throws Error: kNotFound, kCorruptFile, kUnsupported, kNoMemory with numbers, kCancelled within about a second of
  /// `stop` being asked for. Nothing stays behind.
  static std::unique_ptr<LoadedModel> load(const LoadOptions& options, Executor& executor, Allocator& memory,
                                           const MakeRoom& make_room = {}, const Progress& progress = {},
                                           const std::stop_token& stop = {});

  const std::string& name() const { return options_.name; }
  const LanguageModel& model() const { return *model_; }
  const text::Tokenizer& tokenizer() const { return *tokenizer_; }
  /// Nothing when the model came without one.
  const std::optional<text::Template>& chat_template() const { return template_; }
  /// Why there is none, and what to do.
  const std::string& template_problem() const { return template_problem_; }
  /// What the model's own files recommend.
  const SamplingOptions& sampling_defaults() const { return sampling_defaults_; }
  int64_t context() const { return limits_.context; }
  const SchedulerLimits& scheduler_limits() const { return limits_; }
  const ModelSizes& sizes() const { return sizes_; }
  const State& state() const { return state_; }
  Executor& executor() { return executor_; }
  Lane& lane() { return *lane_; }
  BatchBuffers& buffers() { return *buffers_; }
  const std::string& architecture() const { return model_->config().architecture; }

  /// Runs one step over pieces a scheduler planned. Afterwards buffers().logits_row(i) belongs to the i-th sampled
  /// piece.
  Result<void> step(std::span<const Scheduler::Piece> pieces, WorkClass work_class, FunctionRef<bool()> is_cancelled,
                    StepObserver* observer = nullptr);

 private:
  LoadedModel(LoadOptions options, Executor& executor) : options_(std::move(options)), executor_(executor) {}
  void read_text(const Checkpoint& checkpoint);
  void size_everything(const LanguageModel& sized, const Weights& sizing, const std::stop_token& stop);
  int64_t measure_arena(const LanguageModel& sized, const std::stop_token& stop) const;
  BatchCapacity batch_capacity(const LanguageModel& model) const;
  void take_memory(const LanguageModel& sized, Allocator& memory);
  void book_graphs();

  LoadOptions options_;
  Executor& executor_;
  Allocator* memory_ = nullptr;  // outlives the model
  SchedulerLimits limits_;
  ModelSizes sizes_;
  StorageRef slab_, graphs_lease_;
  State state_;
  std::unique_ptr<Lane> lane_;
  std::unique_ptr<BatchBuffers> buffers_;
  std::unique_ptr<LanguageModel> model_;
  std::shared_ptr<const text::Tokenizer> tokenizer_;
  std::optional<text::Template> template_;
  std::string template_problem_;
  SamplingOptions sampling_defaults_;
};

}  // namespace hearth
