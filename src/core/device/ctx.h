// Ctx: everything an op needs to know about the step it runs in, passed by reference and never global. It lives as long
// as one step on one lane. Ops allocate results with make() and working space with scratch(); both come from the lane's
// arena and are gone when their handles are.
#pragma once
#include <algorithm>
#include <string_view>

#include "core/device/arena.h"
#include "core/device/device.h"
#include "core/device/thread_pool.h"

namespace hearth {

struct OpCost {
  std::string_view op;
  double flops = 0;
  double bytes = 0;  // read and written, each operand once
};

/// Watches a step: goldens and traces read intermediates, the planner counts on Meta.
class StepObserver {
 public:
  virtual ~StepObserver() = default;
  virtual void on_op(const OpCost& cost) {}
  /// A named intermediate; `index` is the block it belongs to, or -1.
  virtual void on_probe(std::string_view name, int index, const Tensor& value) {}
};

/// Called between blocks. May run other work, close a graph, or throw Error{kCancelled}.
class CutPoint {
 public:
  virtual ~CutPoint() = default;
  virtual void cut() = 0;
};

/// Which implementation attention takes where a device has several (ops/attention/full_attention.h lists them).
enum class AttentionKind : uint8_t { kAuto, kTiled, kExact };

struct Ctx {
  Device device;
  const Caps& caps;
  Arena& arena;
  ThreadPool* pool = nullptr;       // CPU
  void* stream = nullptr;           // CUDA
  StepObserver* observer = nullptr;
  CutPoint* cut_point = nullptr;
  AttentionKind attention = AttentionKind::kAuto;  // of this step

  bool is_meta() const { return device.kind == DeviceKind::kMeta; }
  Tensor make(DType dtype, Shape shape) { return arena.make(dtype, shape); }
  /// Working space for one op, released with the handle.
  Tensor scratch(int64_t bytes) { return arena.make(DType::kU8, {bytes}); }
  void count(std::string_view op, double flops, double bytes) const {
    if (observer) observer->on_op({op, flops, bytes});
  }
  void probe(std::string_view name, int index, const Tensor& value) const {
    if (observer) observer->on_probe(name, index, value);
  }
  /// Ends a slice: block lists call it between blocks.
  void cut() const {
    if (cut_point) cut_point->cut();
  }
  /// CPU work over [0, n); runs inline without a pool.
  void parallel_for(int64_t n, int64_t grain, FunctionRef<void(int64_t, int64_t)> body) const {
    if (pool) {
      pool->parallel_for(n, grain, body);
    } else if (n > 0) {
      body(0, n);
    }
  }
  /// CPU work of [0, n) tasks whose workers, fewer than caps.threads, each own a share of a working space.
  void parallel_tasks(int64_t n, FunctionRef<void(int64_t worker, int64_t task)> body) const {
    if (pool) return pool->parallel_tasks(n, std::max(1, caps.threads), body);
    for (int64_t task = 0; task < n; ++task) body(0, task);
  }
};

}  // namespace hearth
