#include "runtime/generate/loaded_model.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/log.h"
#include "core/base/units.h"
#include "ops/index/copy.h"

namespace hearth {
namespace {

// Every layer's keys and values, one after the other over one slab of state_bytes().
State make_state(const StateSpec& spec, const SchedulerLimits& limits, DType dtype, const StorageRef& slab) {
  State state;
  state.group_of_layer = spec.group_of_layer;
  int64_t offset = 0;
  for (int group : spec.group_of_layer) {
    Shape shape{limits.pages[group], spec.kv_heads, limits.page_tokens, spec.head_dim};
    const int64_t bytes = row_bytes(dtype, shape.numel());
    state.layers.push_back({Tensor(slab, dtype, shape, offset), Tensor(slab, dtype, shape, offset + bytes)});
    offset += 2 * bytes;
  }
  return state;
}

// Pages per group, scratch included: enough for `state_tokens`; a window group needs only what windows can show, and
// as much again for prefixes worth keeping.
std::vector<int64_t> page_counts(const StateSpec& spec, const LoadOptions& o, int64_t state_tokens) {
  std::vector<int64_t> counts;
  for (const StateGroup& group : spec.groups) {
    int64_t pages = ceil_div(state_tokens, o.page_tokens);
    if (group.kind == StateKind::kWindowPages) {
      int64_t per_sequence = ceil_div(group.window + o.max_rows, o.page_tokens) + 2;
      pages = std::min(pages, 2 * o.parallel * per_sequence);
    }
    counts.push_back(pages + 1);
  }
  return counts;
}

// One number a shape of step: 12 bits for each count of rows, 28 for the pages.
uint64_t graph_key(const BatchSizes& s) {
  check(s.rows < 1 << 12 && s.seqs < 1 << 12 && s.keep < 1 << 12 && s.max_pages < 1 << 28, "a step has no graph key");
  return static_cast<uint64_t>(((s.rows << 12 | s.seqs) << 12 | s.keep) << 28 | s.max_pages);
}

void go_on_unless(const std::stop_token& stop, const std::string& name) {
  if (stop.stop_requested()) throw Error(Code::kCancelled, fmt::format("loading {} was stopped", name));
}

// Tokens one request may use of a model made for `own`.
int64_t context_of(const LoadOptions& options, int64_t own) {
  return std::min(own, options.context > 0 ? options.context : LoadOptions::default_context);
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
      if (e.code() != Code::kNoMemory || !make_room || !make_room(loaded->sizes_.total_bytes())) throw;
    }
  }
  go_on_unless(stop, options.name);
  loaded->read_text(checkpoint);

  Weights weights(checkpoint, executor.caps(), executor.device(), loaded->slab_, options.decodes_weights);
  loaded->model_ = bind_language_model(weights);
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
  const int64_t context = context_of(options_, own);
  if (options_.context > own) {
    log::warn("{}: context {} is beyond the {} the model was made for; using {}", name(), options_.context, own, own);
  }
  const int64_t whole = round_up(context, options_.page_tokens);  // a page belongs to one sequence
  int64_t state_tokens = options_.state_tokens > 0 ? options_.state_tokens : 2 * whole;
  state_tokens = std::clamp(state_tokens, whole, std::max<int64_t>(options_.parallel, 1) * whole);
  limits_ = {.max_rows = options_.max_rows, .max_running = options_.parallel, .page_tokens = options_.page_tokens,
             .context = context, .pages = page_counts(sized.state_spec(), options_, state_tokens)};

  sizes_.weights_bytes = sizing.bytes();
  for (size_t g = 0; g < limits_.pages.size(); ++g) {
    sizes_.state_bytes += limits_.pages[g] * sized.state_spec().page_bytes(static_cast<int>(g), options_.page_tokens,
                                                                          options_.state_dtype);
  }
  sizes_.arena_bytes = measure_arena(sized, stop);
  const Device device = executor_.device();
  for (int64_t* bytes : {&sizes_.weights_bytes, &sizes_.state_bytes, &sizes_.arena_bytes}) {
    *bytes = allocation_bytes(device, *bytes);
  }
  sizes_.batch_bytes = batch_buffer_bytes(batch_capacity(sized), device);
}

BatchCapacity LoadedModel::batch_capacity(const LanguageModel& model) const {
  return {.rows = limits_.max_rows, .seqs = limits_.max_running,
          .max_pages = ceil_div(limits_.context, limits_.page_tokens), .page_tokens = limits_.page_tokens,
          .groups = static_cast<int>(model.state_spec().groups.size()), .vocab = model.config().vocab};
}

// The highest peak of any step. Every row count is tried: a run freed at one count may be a few bytes too short for
// what went into it at another, so the widest step is not always the one that needs most. Behind the blocks only the
// kept rows matter; with fewer of them than tried here the last tensors may lie elsewhere, so they get a run of their
// own.
int64_t LoadedModel::measure_arena(const LanguageModel& sized, const std::stop_token& stop) const {
  RawAllocator meta({DeviceKind::kMeta});
  const StorageRef pages = *meta.allocate(sizes_.state_bytes, "sizing");
  State state = make_state(sized.state_spec(), limits_, options_.state_dtype, pages);
  const int groups = static_cast<int>(sized.state_spec().groups.size());
  const BatchSizes widest{.rows = limits_.max_rows, .seqs = limits_.max_running, .keep = limits_.max_running,
                          .max_pages = ceil_div(limits_.context, limits_.page_tokens)};
  int64_t peak = 0;
  for (int64_t rows = 1; rows <= widest.rows; ++rows) {
    go_on_unless(stop, name());
    Arena arena;
    Ctx c{.device = {DeviceKind::kMeta}, .caps = executor_.caps(), .arena = arena};
    BatchSizes sizes = widest;
    sizes.rows = rows;
    sizes.seqs = sizes.keep = std::min(rows, widest.seqs);
    sized.forward(c, meta_batch(sizes, groups, meta), state);
    peak = std::max(peak, arena.peak_bytes());
  }
  constexpr int64_t kSmallTensors = 64 * KiB;
  const int64_t per_kept_row = row_bytes(DType::kF32, sized.config().vocab + 4 * sized.config().dim);
  return round_up(peak + widest.keep * per_kept_row + kSmallTensors, 4 * KiB);
}

void LoadedModel::take_memory(const LanguageModel& sized, Allocator& memory) {
  memory_ = &memory;
  slab_ = memory.allocate(sizes_.weights_bytes, "weights " + name()).value();
  state_ = make_state(sized.state_spec(), limits_, options_.state_dtype,
                      memory.allocate(sizes_.state_bytes, "state " + name()).value());
  lane_ = std::make_unique<Lane>(name(), memory.device(),
                                 memory.allocate(sizes_.arena_bytes, "arena " + name()).value());
  buffers_ = std::make_unique<BatchBuffers>(memory, batch_capacity(sized), "batch " + name());
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
