// LoadedModel: one language model ready to run: weights, tokenizer, chat template, pages, lane and batch buffers, all
// leased before they are allocated. Loading sizes everything on Meta first, so that the bytes are known exactly and a
// refusal costs nothing.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

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

/// Where a model lies: `models` on the device that runs it, `host` for its tokenizer and for what is read from disk.
/// One pool where the device is the CPU or shares its memory. All outlive the model.
struct ModelMemory {
  ModelMemory(Allocator& memory)  // NOLINT: implicit on purpose; nothing of the host's is leased beside a GPU
      : models(memory), host(memory.device().kind == DeviceKind::kCpu ? &memory : nullptr) {}
  ModelMemory(Allocator& models_on, Allocator& host_memory, bool one_pool)
      : models(models_on), host(&host_memory), is_one_pool(one_pool) {}

  Allocator& models;
  Allocator* host;
  bool is_one_pool = true;
};

class LoadedModel {
 public:
  /// Asked for `bytes` in one pool when a lease would fail; returns whether trying again makes sense (it unloaded
  /// something).
  using MakeRoom = std::function<bool(int64_t bytes)>;
  using Progress = std::function<void(const LoadProgress&)>;

  /// Throws Error: kNotFound, kCorruptFile, kUnsupported, kNoMemory with numbers, kCancelled within about a second of
  /// `stop` being asked for. Nothing stays behind.
  static std::unique_ptr<LoadedModel> load(const LoadOptions& options, Executor& executor, const ModelMemory& memory,
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
  /// What it leases in all: sizes() and the tokenizer.
  int64_t held_bytes() const { return sizes_.total_bytes() + text_bytes_; }
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
  LoadedModel(LoadOptions options, Executor& executor, const ModelMemory& memory)
      : options_(std::move(options)), executor_(executor), memory_(memory) {}
  void read_text(const Checkpoint& checkpoint);
  void size_everything(const LanguageModel& sized, const Weights& sizing, const std::stop_token& stop);
  void take_memory(const LanguageModel& sized);
  void lease_text(const MakeRoom& make_room);
  void give_memory_back();
  void lease_ring(Weights& weights, const MakeRoom& make_room);
  void book_graphs();

  LoadOptions options_;
  Executor& executor_;
  const ModelMemory memory_;
  SchedulerLimits limits_;
  ModelSizes sizes_;
  int64_t text_bytes_ = 0;
  StorageRef slab_, text_lease_, graphs_lease_;
  std::vector<StorageRef> untouched_;  // their pages are taken while weights are read
  int64_t steps_until_graphs_ = 0;  // eager ones; 0: steps are captured
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
