#include "runtime/generate/model_sizes.h"

#include <algorithm>

#include "core/base/units.h"

namespace hearth {
namespace {

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

}  // namespace

int64_t context_of(const LoadOptions& options, int64_t own) {
  return std::min(own, options.context > 0 ? options.context : LoadOptions::default_context);
}

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

SchedulerLimits limits_of(const LanguageModel& sized, const LoadOptions& options) {
  const int64_t context = context_of(options, sized.config().context);
  const int64_t whole = round_up(context, options.page_tokens);  // a page belongs to one sequence
  int64_t state_tokens = options.state_tokens > 0 ? options.state_tokens : 2 * whole;
  state_tokens = std::clamp(state_tokens, whole, std::max<int64_t>(options.parallel, 1) * whole);
  return {.max_rows = options.max_rows, .max_running = options.parallel, .page_tokens = options.page_tokens,
          .context = context, .pages = page_counts(sized.state_spec(), options, state_tokens)};
}

int64_t state_bytes(const StateSpec& spec, const SchedulerLimits& limits, DType dtype) {
  int64_t bytes = 0;
  for (size_t g = 0; g < limits.pages.size(); ++g) {
    bytes += limits.pages[g] * spec.page_bytes(static_cast<int>(g), limits.page_tokens, dtype);
  }
  return bytes;
}

BatchCapacity batch_capacity(const LanguageModel& model, const SchedulerLimits& limits) {
  return {.rows = limits.max_rows, .seqs = limits.max_running,
          .max_pages = ceil_div(limits.context, limits.page_tokens), .page_tokens = limits.page_tokens,
          .groups = static_cast<int>(model.state_spec().groups.size()), .vocab = model.config().vocab};
}

// The highest peak of any step. Every row count is tried: a run freed at one count may be a few bytes too short for
// what went into it at another, so the widest step is not always the one that needs most. Behind the blocks only the
// kept rows matter; with fewer of them than tried here the last tensors may lie elsewhere, so they get a run of their
// own.
int64_t arena_bytes(const LanguageModel& sized, const SchedulerLimits& limits, DType state_dtype, const Caps& caps,
                    const std::stop_token& stop) {
  RawAllocator meta({DeviceKind::kMeta});
  const StorageRef pages = *meta.allocate(state_bytes(sized.state_spec(), limits, state_dtype), "sizing");
  const State state = make_state(sized.state_spec(), limits, state_dtype, pages);
  const int groups = static_cast<int>(sized.state_spec().groups.size());
  const BatchSizes widest{.rows = limits.max_rows, .seqs = limits.max_running, .keep = limits.max_running,
                          .max_pages = ceil_div(limits.context, limits.page_tokens)};
  int64_t peak = 0;
  for (int64_t rows = 1; rows <= widest.rows; ++rows) {
    if (stop.stop_requested()) throw Error(Code::kCancelled, "loading was stopped while its steps were measured");
    Arena arena;
    Ctx c{.device = {DeviceKind::kMeta}, .caps = caps, .arena = arena};
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

ModelSizes size_model(const LanguageModel& sized, const Weights& sizing, const LoadOptions& options,
                      const SchedulerLimits& limits, Device device, const std::stop_token& stop) {
  ModelSizes sizes;
  sizes.weights_bytes = allocation_bytes(device, sizing.bytes());
  sizes.state_bytes = allocation_bytes(device, state_bytes(sized.state_spec(), limits, options.state_dtype));
  sizes.arena_bytes =
      allocation_bytes(device, arena_bytes(sized, limits, options.state_dtype, sizing.caps(), stop));
  sizes.batch_bytes = batch_buffer_bytes(batch_capacity(sized, limits), device);
  return sizes;
}

}  // namespace hearth
