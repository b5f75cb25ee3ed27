// LanguageModel: immutable weights and the architecture that uses them; shared by every session. forward() is a pure
// function of the batch and the state's pages and is what the planner runs on Meta.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "models/lm/batch.h"
#include "models/lm/config.h"
#include "models/lm/state.h"

namespace hearth {

class Weights;

class LanguageModel {
 public:
  virtual ~LanguageModel() = default;
  /// Runs one step. Writes the batch's keys and values into the state; returns logits [keep, vocab] f32.
  virtual Tensor forward(Ctx& c, const Batch& b, const State& s) const = 0;

  const LmConfig& config() const { return config_; }
  const StateSpec& state_spec() const { return spec_; }

 protected:
  LanguageModel(LmConfig config, StateSpec spec) : config_(std::move(config)), spec_(std::move(spec)) {}

 private:
  LmConfig config_;
  StateSpec spec_;
};

/// Binds the architecture the checkpoint names. Throws kUnsupported listing the known ones. See Weights for the two
/// passes (sizing, loading).
std::unique_ptr<LanguageModel> bind_language_model(Weights& weights);

/// Architectures bind_language_model knows, for messages and docs.
std::vector<std::string> language_architectures();

/// One group per state kind the configuration uses.
StateSpec make_state_spec(const LmConfig& config);

}  // namespace hearth
