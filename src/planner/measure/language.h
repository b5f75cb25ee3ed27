// LanguageSubject: a language model whose code exists, from the headers of a checkpoint: the sizing pass that loading
// runs, and its steps counted on Meta.
#pragma once
#include <map>
#include <memory>
#include <tuple>

#include "models/load/weights.h"
#include "planner/measure/subject.h"
#include "runtime/generate/model_sizes.h"

namespace hearth::planner {

class LanguageSubject final : public Subject {
 public:
  /// `target`: what it would run on. Throws as loading does: kCorruptFile, kUnsupported.
  LanguageSubject(std::string name, Checkpoint checkpoint, const Caps& target);

  const SubjectFacts& facts() const override { return facts_; }
  SubjectFacts& facts() { return facts_; }
  Demand demand(const Ask& ask) const override;
  std::vector<Phase> phases(const Ask& ask) const override;
  int64_t layers() const { return model_->config().layers; }

 private:
  LoadOptions options(const Ask& ask) const;
  int64_t arena(const LoadOptions& options, const SchedulerLimits& limits, const std::stop_token& stop) const;
  void count(class CostCounter& counter, const LoadOptions& options, const BatchSizes& sizes) const;

  Checkpoint checkpoint_;
  Caps caps_;        // of the target
  Caps step_caps_;   // whose kernels the steps are measured with
  Device device_;
  std::unique_ptr<Weights> weights_;
  std::unique_ptr<LanguageModel> model_;
  SubjectFacts facts_;
  Math math_ = Math::kF16;
  double read_bytes_ = 0;  // weights that every step reads
  int64_t text_bytes_ = 0;
  using ArenaKey = std::tuple<int64_t, int64_t, int64_t, DType>;
  mutable std::map<ArenaKey, int64_t> arenas_;  // a step's tensors do not depend on the context
};

/// What a checkpoint's matrices are mostly encoded as.
DType main_scheme(const TensorFile& file);
/// The narrowest arithmetic that weights of this scheme allow: integers for blocks of codes, floats for the rest.
Math math_of(DType scheme);

}  // namespace hearth::planner
