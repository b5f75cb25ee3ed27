// ModelSizes: the exact bytes a language model will hold, from a sizing pass on Meta: no weights are read, nothing is
// allocated. Loading takes its leases by these numbers and the planner prints them, so that there is one truth.
#pragma once
#include <cstdint>
#include <stop_token>
#include <string>

#include "models/lm/language_model.h"
#include "models/load/weights.h"
#include "runtime/generate/batch_buffers.h"
#include "runtime/generate/scheduler.h"

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

struct ModelSizes {
  int64_t weights_bytes = 0, state_bytes = 0, arena_bytes = 0, batch_bytes = 0;
  int64_t total_bytes() const { return weights_bytes + state_bytes + arena_bytes + batch_bytes; }
};

/// Tokens one request may use of a model made for `own`.
int64_t context_of(const LoadOptions& options, int64_t own);

/// How much of a model `options` ask for: its context and the pages of each group of its state.
SchedulerLimits limits_of(const LanguageModel& sized, const LoadOptions& options);

/// Keys and values of all pages.
int64_t state_bytes(const StateSpec& spec, const SchedulerLimits& limits, DType dtype);

/// Every layer's keys and values, one after the other over one slab of state_bytes().
State make_state(const StateSpec& spec, const SchedulerLimits& limits, DType dtype, const StorageRef& slab);

/// What the steps within `limits` need at most. `caps` decide which kernels they take. Throws kCancelled.
int64_t arena_bytes(const LanguageModel& sized, const SchedulerLimits& limits, DType state_dtype, const Caps& caps,
                    const std::stop_token& stop = {});

BatchCapacity batch_capacity(const LanguageModel& model, const SchedulerLimits& limits);

/// All of it, as `device` rounds it. `sized` was bound over `sizing`, a sizing pass.
ModelSizes size_model(const LanguageModel& sized, const Weights& sizing, const LoadOptions& options,
                      const SchedulerLimits& limits, Device device, const std::stop_token& stop = {});

}  // namespace hearth
