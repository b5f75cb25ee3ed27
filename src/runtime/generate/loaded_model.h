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
#include "runtime/generate/model_sizes.h"
#include "runtime/generate/sampling_defaults.h"
#include "text/template/template.h"
#include "text/tokenize/tokenizer.h"

namespace hearth {

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
