// CostCounter: sums what ops say they cost while a step runs on Meta.
#pragma once
#include "core/device/ctx.h"

namespace hearth::planner {

class CostCounter final : public StepObserver {
 public:
  void on_op(const OpCost& cost) override {
    flops_ += cost.flops;
    bytes_ += cost.bytes;
    if (cost.op == "attention" || cost.op == "kv_append") state_bytes_ += cost.bytes;
  }
  double flops() const { return flops_; }
  double bytes() const { return bytes_; }
  /// Of them, those of keys and values that outlast the step.
  double state_bytes() const { return state_bytes_; }

 private:
  double flops_ = 0, bytes_ = 0, state_bytes_ = 0;
};

}  // namespace hearth::planner
