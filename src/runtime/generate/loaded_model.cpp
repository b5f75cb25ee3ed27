#include "runtime/generate/loaded_model.h"

#include <algorithm>
#include <utility>

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

// What the smallest ring needs is made room for; a larger one is taken where there is room already.
constexpr int64_t kLeastRingBytes = 32 * MiB;

// Runs `take` until it has what it leases or nobody can make room any more.
template <class Take>
void with_room(const LoadedModel::MakeRoom& make_room, int64_t bytes, Take&& take) {
  for (;;) {
    try {
      return take();
    } catch (const Error& e) {
      if (e.code() != Code::kNoMemory || !make_room || !make_room(bytes)) throw;
    }
  }
}

}  // namespace

ModelFacts read_model_facts(const LoadOptions& options) {
  const LmConfig config = LmConfig::from(Checkpoint::open(options.path));
  return {config.architecture, context_of(options, config.context)};
}

std::unique_ptr<LoadedModel> LoadedModel::load(const LoadOptions& options, Executor& executor,
                                               const ModelMemory& memory, const MakeRoom& make_room,
                                               const Progress& progress, const std::stop_token& stop) {
  const Checkpoint checkpoint = Checkpoint::open(options.path);
  std::unique_ptr<LoadedModel> loaded(new LoadedModel(options, executor, memory));
  Weights sizing(checkpoint, executor.caps(), options.decodes_weights);
  std::unique_ptr<LanguageModel> sized = bind_language_model(sizing);
  loaded->size_everything(*sized, sizing, stop);
  loaded->read_text(checkpoint);
  go_on_unless(stop, options.name);
  loaded->lease_text(make_room);
  with_room(make_room, loaded->sizes_.total_bytes(), [&] {
    try {
      loaded->take_memory(*sized);
    } catch (...) {
      loaded->give_memory_back();
      throw;
    }
  });
  go_on_unless(stop, options.name);

  Weights weights(checkpoint, executor.caps(), executor.device(), loaded->slab_, options.decodes_weights);
  loaded->model_ = bind_language_model(weights);
  weights.map_files(executor.maps_files());
  for (StorageRef& storage : std::exchange(loaded->untouched_, {})) weights.take_beside(std::move(storage));
  loaded->lease_ring(weights, make_room);
  executor.run_on_pool([&](ThreadPool& pool) { weights.load(pool, progress, stop); }).value();
  return loaded;
}

// Beside a GPU the ring is memory of its own. On the CPU it is the arena, which nothing uses before the first step,
// unless that is small and the pool has room.
void LoadedModel::lease_ring(Weights& weights, const MakeRoom& make_room) {
  if (Arena& arena = lane_->arena(); executor_.device().kind == DeviceKind::kCpu) {
    const bool is_small = arena.capacity_bytes() < weights.ring_bytes();
    if (is_small && memory_.host && weights.try_lease_ring(*memory_.host, "loading " + name())) return;
    weights.lend_ring({arena.base(), static_cast<size_t>(arena.capacity_bytes())});
    return;
  }
  if (!memory_.host) return;
  auto lease = [&] { weights.lease_ring(*memory_.host, "loading " + name()); };
  with_room(memory_.is_one_pool ? make_room : MakeRoom(), kLeastRingBytes, lease);
}

void LoadedModel::read_text(const Checkpoint& checkpoint) {
  sampling_defaults_ = hearth::sampling_defaults(checkpoint);
  tokenizer_ = checkpoint.format == Checkpoint::Format::kGguf
                   ? text::Tokenizer::from_gguf(checkpoint.config)
                   : text::Tokenizer::from_json(checkpoint.tokenizer, checkpoint.tokenizer_config);
  text_bytes_ = memory_.host ? tokenizer_->bytes() : 0;
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

// The tables are there by now. Nobody leaves for them when the rest would have no room still, nor in a pool that is not
// the model's.
void LoadedModel::lease_text(const MakeRoom& make_room) {
  if (!memory_.host) return;
  with_room(memory_.is_one_pool ? make_room : MakeRoom(), held_bytes(),
            [&] { text_lease_ = memory_.host->book(text_bytes_, "tokenizer " + name()).value(); });
}

void LoadedModel::take_memory(const LanguageModel& sized) {
  Allocator& memory = memory_.models;
  // The whole of it first, so that a refusal is about the model and nothing is begun in vain.
  memory.may_allocate(sizes_.total_bytes(), "model " + name()).value();
  slab_ = memory.allocate_untouched(sizes_.weights_bytes, "weights " + name()).value();
  StorageRef state = memory.allocate_untouched(sizes_.state_bytes, "state " + name()).value();
  StorageRef arena = memory.allocate_untouched(sizes_.arena_bytes, "arena " + name()).value();
  untouched_ = {state, arena};
  state_ = make_state(sized.state_spec(), limits_, options_.state_dtype, std::move(state));
  lane_ = std::make_unique<Lane>(name(), memory.device(), std::move(arena));
  buffers_ = std::make_unique<BatchBuffers>(memory, batch_capacity(sized, limits_), "batch " + name());
}

// All but the tables of text, which stay where they are.
void LoadedModel::give_memory_back() {
  untouched_.clear();
  slab_ = {};
  state_ = {};
  lane_.reset();
  buffers_.reset();
}

Result<void> LoadedModel::step(std::span<const Scheduler::Piece> pieces, WorkClass work_class,
                               FunctionRef<bool()> is_cancelled, StepObserver* observer) {
  const Batch batch = buffers_->fill(pieces, lane_->stream());
  if (steps_until_graphs_ > 0 && --steps_until_graphs_ == 0) lane_->graphs().set_enabled(true);
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

// What the driver keeps for captured steps. Where the pool has no room for it the graphs go and steps run eagerly, but
// not for ever: what filled the pool may have been another model's loading.
void LoadedModel::book_graphs() {
  constexpr int64_t kEagerSteps = 512;
  graphs_lease_ = {};
  Result<StorageRef> lease = memory_.models.book(lane_->graphs().driver_bytes(), "graphs " + name());
  if (lease) {
    graphs_lease_ = std::move(*lease);
    return;
  }
  log::warn("{}: no room for captured steps, running without for a while: {}", name(), lease.error().message());
  steps_until_graphs_ = kEagerSteps;
  lane_->graphs().set_enabled(false);
  lane_->graphs().clear();
}

}  // namespace hearth
