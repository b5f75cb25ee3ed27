// What op tests and benchmarks share: a Ctx at a chosen instruction set, random tensors, comparisons.
#pragma once
#include <cmath>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "core/base/units.h"
#include "core/device/allocator.h"
#include "core/device/ctx.h"

namespace hearth {

/// The levels this CPU has: the plain reference first, then every vector level up to the best.
inline std::vector<CpuIsa> cpu_levels() {
  std::vector<CpuIsa> levels = {CpuIsa::kPlain};
  CpuIsa best = cpu_caps(1).isa;
  CpuIsa lowest = best >= CpuIsa::kNeon ? CpuIsa::kNeon : CpuIsa::kAvx2;
  for (int isa = static_cast<int>(lowest); isa <= static_cast<int>(best); ++isa) {
    levels.push_back(static_cast<CpuIsa>(isa));
  }
  return levels;
}

/// A Ctx with an arena, a pool and memory of its own, on the CPU or on Meta standing for it.
class TestCtx {
 public:
  explicit TestCtx(CpuIsa isa = cpu_caps(1).isa, int threads = 2, DeviceKind kind = DeviceKind::kCpu,
                   int64_t arena_bytes = 256 * MiB)
      : memory_({kind}), pool_(threads), caps_(cpu_caps(threads)),
        arena_(kind == DeviceKind::kMeta ? nullptr : std::make_unique<Arena>(*memory_.allocate(arena_bytes, "arena"))) {
    caps_.isa = isa;
    if (!arena_) arena_ = std::make_unique<Arena>();
    c.reset(new Ctx{.device = {kind}, .caps = caps_, .arena = *arena_, .pool = &pool_});
  }

  Tensor empty(DType dtype, Shape shape) { return *memory_.tensor(dtype, shape, "test"); }
  Tensor random(Shape shape, unsigned seed, float spread = 1) {
    Tensor t = empty(DType::kF32, shape);
    std::mt19937 engine(seed);
    std::normal_distribution<float> normal(0, spread);
    for (int64_t i = 0; t.raw() && i < t.numel(); ++i) t.data<float>()[i] = normal(engine);
    return t;
  }
  Tensor ints(const std::vector<int32_t>& values, Shape shape) {
    Tensor t = empty(DType::kI32, shape);
    if (t.raw()) std::memcpy(t.raw(), values.data(), 4 * values.size());
    return t;
  }
  Tensor ints(const std::vector<int32_t>& values) { return ints(values, {static_cast<int64_t>(values.size())}); }

  Ctx& operator*() { return *c; }
  Arena& arena() { return *arena_; }
  ThreadPool& pool() { return pool_; }

 private:
  RawAllocator memory_;
  ThreadPool pool_;
  Caps caps_;
  std::unique_ptr<Arena> arena_;
  std::unique_ptr<Ctx> c;
};

inline bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.bytes())) == 0;
}

/// Largest |got - wanted| / (1 + |wanted|); NaN counts as infinite.
inline double worst_error(const Tensor& got, const std::vector<double>& wanted) {
  double worst = 0;
  for (int64_t i = 0; i < got.numel(); ++i) {
    double error = std::abs(got.data<float>()[i] - wanted[i]) / (1 + std::abs(wanted[i]));
    worst = error <= worst ? worst : std::isnan(error) ? INFINITY : error;
  }
  return worst;
}

/// The message of the Error that `body` throws; empty when it throws none.
inline std::string error_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.message();
  }
  return "";
}

/// Peak arena bytes of `step` on Meta and on the CPU: equal when an op takes the same space on both.
template <class Step>
std::pair<int64_t, int64_t> arena_peaks(Step step) {
  TestCtx meta(cpu_caps(1).isa, 2, DeviceKind::kMeta), real;
  step(meta), step(real);
  return {meta.arena().peak_bytes(), real.arena().peak_bytes()};
}

}  // namespace hearth
