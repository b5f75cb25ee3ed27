// AdapterProduct: the difference an adapter makes of its small tensors, before strength: the kinds LoRA (with LoCon's
// inner convolution), LoHa, LoKr, OFT and BOFT.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "models/load/adapter_change.h"

namespace hearth {

class AdapterProduct {
 public:
  virtual ~AdapterProduct() = default;
  virtual bool needs_all_rows() const { return false; }
  /// alpha over rank, 1 without alpha; what a DoRA scale's sum takes instead is decomposed_factor().
  virtual double factor() const = 0;
  virtual double decomposed_factor() const { return factor(); }
  /// Rows [first, first + n) of the difference, each with its axes in the order of checkpoints; `weight` has those rows
  /// as they are so far.
  virtual std::vector<float> rows(int64_t first, int64_t n, std::span<const float> weight) const = 0;
};

/// Null when the module has no such tensors, or, said in `misfit`, when they make no weight of `shape`.
std::unique_ptr<AdapterProduct> adapter_product(const std::shared_ptr<const AdapterFile>& from,
                                                const AdapterModule& module, const std::vector<int64_t>& shape,
                                                double strength, std::string& misfit);

}  // namespace hearth
