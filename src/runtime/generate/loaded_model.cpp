#include "runtime/generate/loaded_model.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/log.h"
#include "core/base/units.h"
#include "ops/index/copy.h"

namespace hearth {
namespace {

// One number a shape of step: 12 bits for each count of rows, 28 for the pages.
uint64_t graph_key(const BatchSizes& s) {
  check(s.rows < 1 << 12 && s.seqs < 1 << 12 && s.keep < 1 << 12 && s.max_pages < 1 << 28, "a step has no graph key");
  return static_cast<uint64_t>(((s.rows << 12 | s.seqs) << 12 | s.keep) << 28 | s.max_pages);
}

void go_on_unless(const std::stop_token& stop, const std::string& name) {
  if (stop.stop_requested()) throw Error(Code::kCancelled, fmt::format("loading {} was stopped", name));
}

}  // namespace

ModelFacts read_model_facts(const LoadOptions& options) {
  const LmConfig config = LmConfig::from(Checkpoint::open(options.path));
  return {config.architecture, context_of(options, config.context)};
}

std::unique_ptr<LoadedModel> LoadedModel::load(const LoadOptions& options, Executor& executor, Allocator& memory,
                                               const MakeRoom& make_room, const Progress& progress,
                                               const std::stop_token& stop) {
  const Checkpoint checkpoint = Checkpoint::open(options.path);
  std::unique_ptr<LoadedModel> loaded(new LoadedModel(options, executor));
  Weights sizing(checkpoint, executor.caps(), options.decodes_weights);
  std::unique_ptr<LanguageModel> sized = bind_language_model(sizing);
  loaded->size_everything(*sized, sizing, stop);
  for (;;) {
    try {
      loaded->take_memory(*sized, memory);
      break;
    } catch (const Error& e) {
      loaded->slab_ = {};
      loaded->state_ = {};
      loaded->lane_.reset();
      loaded->buffers_.reset();
      if (e.code() != Code::kNoMemory) throw;
      if (!make_room || !make_room(loaded->sizes_.total_bytes())) throw;
    }
  }
  go_on_unless(stop, options.name);
  loaded->read_text(checkpoint);

  Weights weights(checkpoint, executor.caps(), executor.device(), loaded->slab_, options.decodes_weights);
  loaded->model_ = bind_language_model(weights);
  // Nothing uses the arena before the first step.
  if (Arena& arena = loaded->lane_->arena(); executor.device().kind == DeviceKind::kCpu) {
    weights.lend_ring({arena.base(), static_cast<size_t>(arena.capacity_bytes())});
  } else if (executor.caps().is_integrated) {
    weights.lease_ring(memory, "loading " + options.name);
  }
  executor.run_on_pool([&](ThreadPool& pool) { weights.load(pool, progress, stop); }).value();
  return loaded;
}

void LoadedModel::read_text(const Checkpoint& checkpoint) {
  sampling_defaults_ = hearth::sampling_defaults(checkpoint);
  tokenizer_ = checkpoint.format == Checkpoint::Format::kGguf
                   ? text::Tokenizer::from_gguf(checkpoint.config)
                   : text::Tokenizer::from_json(checkpoint.tokenizer, checkpoint.tokenizer_config);
  std::string source = options_.chat_template.empty() ? checkpoint.chat_template() : options_.chat_template;
  if (source.empty()) {
    template_problem_ = fmt::format("model '{}' has no chat template; use /v1/completions or set chat_template in its "
                                    "profile", name());
    return;
  }
  Result<text::Template> parsed = text::Template::parse(source);
  // A broken template spoils chat only; the model still completes text.
  if (parsed) {
    template_ = std::move(*parsed);
  } else {
    template_problem_ = fmt::format(
        "model '{}' has a chat template that does not parse: {}; use /v1/completions or set "
        "another chat_template in its profile",
        name(), parsed.error().message());
    log::warn("{}", template_problem_);
  }
}

void LoadedModel::size_everything(const LanguageModel& sized, const Weights& sizing, const std::stop_token& stop) {
  const int64_t own = sized.config().context;
  if (options_.context > own) {
    log::warn("{}: context {} is beyond the {} the model was made for; using {}", name(), options_.context, own, own);
  }
  limits_ = limits_of(sized, options_);
  sizes_ = size_model(sized, sizing, options_, limits_, executor_.device(), stop);
}

void LoadedModel::take_memory(const LanguageModel& sized, Allocator& memory) {
  memory_ = &memory;
  // The whole of it first, so that a refusal is about the model and nothing is begun in vain.
  memory.book(sizes_.total_bytes(), "model " + name()).value();
  slab_ = memory.allocate_untouched(sizes_.weights_bytes, "weights " + name()).value();
  state_ = make_state(sized.state_spec(), limits_, options_.state_dtype,
                      memory.allocate(sizes_.state_bytes, "state " + name()).value());
  lane_ = std::make_unique<Lane>(name(), memory.device(),
                                 memory.allocate(sizes_.arena_bytes, "arena " + name()).value());
  buffers_ = std::make_unique<BatchBuffers>(memory, batch_capacity(sized, limits_), "batch " + name());
}

Result<void> LoadedModel::step(std::span<const Scheduler::Piece> pieces, WorkClass work_class,
                               FunctionRef<bool()> is_cancelled, StepObserver* observer) {
  const Batch batch = buffers_->fill(pieces, lane_->stream());
  auto body = [&](Ctx& c) { copy_into(c, model_->forward(c, batch, state_), buffers_->logits()); };
  const BatchSizes& s = batch.sizes;
  const uint64_t key = graph_key(s);
  const int64_t graph_bytes = lane_->graphs().driver_bytes();
  Result<void> done = executor_.run({.lane = *lane_, .work_class = work_class, .graph_key = key, .body = body,
                                     .is_cancelled = is_cancelled, .observer = observer});
  if (!done) return done;
  if (lane_->graphs().driver_bytes() != graph_bytes) book_graphs();
  int64_t kept = 0;
  for (const Scheduler::Piece& piece : pieces) kept += piece.kept_rows();
  buffers_->fetch_logits(kept, lane_->stream());
  return {};
}

// What the driver keeps for captured steps. Where the pool has no room for it the graphs go: steps then run eagerly.
void LoadedModel::book_graphs() {
  graphs_lease_ = {};
  Result<StorageRef> lease = memory_->book(lane_->graphs().driver_bytes(), "graphs " + name());
  if (lease) {
    graphs_lease_ = std::move(*lease);
    return;
  }
  log::warn("{}: no room for captured steps, running without: {}", name(), lease.error().message());
  lane_->graphs().set_enabled(false);
  lane_->graphs().clear();
}

}  // namespace hearth
