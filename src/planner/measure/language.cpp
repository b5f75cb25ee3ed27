#include "planner/measure/language.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "core/base/units.h"
#include "planner/measure/cost_counter.h"
#include "planner/measure/words.h"

namespace hearth::planner {
namespace {

// This build may lack the target's kernels; then steps are measured with those of the CPU.
bool can_measure(const LanguageModel& model, const Caps& caps) {
  const LoadOptions options{.context = 64, .parallel = 1, .max_rows = 1};
  try {
    arena_bytes(model, limits_of(model, options), options.state_dtype, caps);
    return true;
  } catch (const Error& e) {
    if (e.code() != Code::kUnsupported || caps.target == DeviceKind::kCpu) throw;
    return false;
  }
}

}  // namespace

DType main_scheme(const TensorFile& file) {
  std::array<double, static_cast<size_t>(DType::kCount)> elements{};
  for (const TensorInfo& tensor : file.tensors) {
    if (tensor.shape.size() > 1) elements[static_cast<size_t>(tensor.type)] += static_cast<double>(tensor.elements());
  }
  return static_cast<DType>(std::max_element(elements.begin(), elements.end()) - elements.begin());
}

Math math_of(DType scheme) {
  switch (scheme) {
    case DType::kF32: return Math::kF32;
    case DType::kF8E4M3:
    case DType::kF8E5M2: return Math::kF8;
    case DType::kNVFP4:
    case DType::kMXFP4: return Math::kF4;
    default: return info(scheme).is_block ? Math::kI8 : Math::kF16;
  }
}

LanguageSubject::LanguageSubject(std::string name, Checkpoint checkpoint, const Caps& target)
    : checkpoint_(std::move(checkpoint)), caps_(target), step_caps_(target), device_{target.target} {
  weights_ = std::make_unique<Weights>(checkpoint_, caps_);
  model_ = bind_language_model(*weights_);
  const DType scheme = main_scheme(checkpoint_.file);
  const StateSpec& spec = model_->state_spec();
  facts_ = {.name = std::move(name), .quant = std::string(hearth::name(scheme)),
            .own_context = model_->config().context};
  for (const TensorInfo& tensor : checkpoint_.file.tensors) {
    facts_.parameters += static_cast<double>(tensor.elements());
  }
  for (size_t g = 0; g < spec.groups.size(); ++g) {
    if (spec.groups[g].kind == StateKind::kFullPages) {
      facts_.kv_bytes_per_token += spec.page_bytes(static_cast<int>(g), 1, DType::kF16);
    }
  }
  math_ = math_of(scheme);
  text_bytes_ = Words::of(checkpoint_, model_->config().vocab).bytes(target);
  read_bytes_ = static_cast<double>(weights_->bytes());
  // Of an embedding that is not the head too, a token reads one row.
  if (!model_->config().has_tied_head) {
    read_bytes_ -= static_cast<double>(weights_->bound().at("token_embd.weight").bytes());
  }
  if (!can_measure(*model_, caps_)) {
    step_caps_ = cpu_caps(1);
    facts_.notes.push_back("this build has no kernels of that GPU: the arena and the work of a step are those of the "
                           "CPU's kernels");
  }
}

LoadOptions LanguageSubject::options(const Ask& ask) const {
  return {.name = facts_.name, .context = ask.context, .parallel = ask.parallel, .max_rows = ask.max_rows,
          .page_tokens = ask.page_tokens, .state_dtype = ask.state_dtype};
}

int64_t LanguageSubject::arena(const LoadOptions& o, const SchedulerLimits& limits, const std::stop_token& stop) const {
  const ArenaKey key{o.parallel, o.max_rows, o.page_tokens, o.state_dtype};
  if (auto known = arenas_.find(key); known != arenas_.end()) return known->second;
  return arenas_[key] = arena_bytes(*model_, limits, o.state_dtype, step_caps_, stop);
}

Demand LanguageSubject::demand(const Ask& ask) const {
  ask.check_is_wanted();
  const LoadOptions o = options(ask);
  const SchedulerLimits limits = limits_of(*model_, o);
  return {.weights_bytes = allocation_bytes(device_, weights_->bytes()),
          .state_bytes = allocation_bytes(device_, hearth::state_bytes(model_->state_spec(), limits, o.state_dtype)),
          .arena_bytes = allocation_bytes(device_, arena(o, limits, ask.stop)),
          .buffer_bytes = batch_buffer_bytes(batch_capacity(*model_, limits), device_),
          .text_bytes = text_bytes_};
}

void LanguageSubject::count(CostCounter& counter, const LoadOptions& o, const BatchSizes& sizes) const {
  const SchedulerLimits limits = limits_of(*model_, o);
  RawAllocator meta({DeviceKind::kMeta});
  const StorageRef pages =
      *meta.allocate(hearth::state_bytes(model_->state_spec(), limits, o.state_dtype), "sizing");
  const State state = make_state(model_->state_spec(), limits, o.state_dtype, pages);
  Arena arena;
  Ctx c{.device = {DeviceKind::kMeta}, .caps = step_caps_, .arena = arena, .observer = &counter};
  model_->forward(c, meta_batch(sizes, static_cast<int>(model_->state_spec().groups.size()), meta), state);
}

std::vector<Phase> LanguageSubject::phases(const Ask& ask) const {
  const LoadOptions o = options(ask);
  const SchedulerLimits limits = limits_of(*model_, o);
  const int64_t prompt = std::clamp<int64_t>(ask.prompt, 1, limits.context);
  CostCounter prefill, decode, many;
  double passes = 0;
  for (int64_t done = 0; done < prompt;) {
    ask.check_is_wanted();
    const int64_t rows = std::min(limits.max_rows, prompt - done);
    done += rows;
    passes += 1;
    count(prefill, o, {.rows = rows, .seqs = 1, .keep = 1, .max_pages = ceil_div(done, limits.page_tokens)});
  }
  count(decode, o, {.rows = 1, .seqs = 1, .keep = 1, .max_pages = ceil_div(limits.context, limits.page_tokens)});
  count(many, o, {.rows = ask.parallel, .seqs = ask.parallel, .keep = ask.parallel,
                  .max_pages = ceil_div(limits.context, limits.page_tokens)});
  auto phase = [&](std::string name, const CostCounter& counter, double steps, double tokens) {
    return Phase{.name = std::move(name), .flops = counter.flops(),
                 .bytes = steps * read_bytes_ + counter.state_bytes(), .op_bytes = counter.bytes(), .units = tokens,
                 .math = math_};
  };
  return {phase("prefill", prefill, passes, static_cast<double>(prompt)), phase("decode", decode, 1, 1),
          phase(fmt::format("decode of {} sequences", ask.parallel), many, 1, static_cast<double>(ask.parallel))};
}

}  // namespace hearth::planner
