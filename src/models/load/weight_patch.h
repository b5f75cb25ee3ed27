// WeightPatch: what adapters change about a model's weights on their way into memory, and BoundWeights: the handles a
// model was bound to, which a patched copy of it shares wherever nothing changes.
#pragma once
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "core/tensor/weight.h"

namespace hearth {

class WeightPatch {
 public:
  virtual ~WeightPatch() = default;
  /// Whether the weight of that name changes.
  virtual bool touches(std::string_view name) const = 0;
  /// Whether apply() must be given every row of the weight at once.
  virtual bool needs_all_rows(std::string_view name) const { return false; }
  /// Adds the change to rows [first_row, first_row + n_rows) of the weight: float32, each row with its axes in the
  /// order of checkpoints (I, kh, kw). Called from many threads.
  virtual void apply(std::string_view name, int64_t first_row, int64_t n_rows, std::span<float> rows) const = 0;
};

/// Every weight of a bound model by the name bind code asked for. Vectors are weights of rank one. Copying it copies
/// handles.
using BoundWeights = std::map<std::string, Weight, std::less<>>;

}  // namespace hearth
