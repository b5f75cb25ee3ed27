#include "planner/cost/this_machine.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <ctime>
#include <numeric>

#include <fmt/format.h>

#include "core/base/units.h"
#include "core/device/allocator.h"
#include "core/device/ctx.h"
#include "models/blocks/layers.h"
#include "models/load/weights.h"

namespace hearth::planner {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kMeasureSeconds = 0.15;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// The best of as many runs as fit in the time; the first warms up. Counted by what the threads had of the processor, so
// that others who run beside this do not make the machine look slow.
template <class Run>
double best_rate(double units, int threads, Run run) {
  run();
  double best = 0;
  for (const auto start = Clock::now(); seconds_since(start) < kMeasureSeconds;) {
    const double begin = cpu_seconds();
    run();
    best = std::max(best, units * threads / std::max(cpu_seconds() - begin, 1e-9));
  }
  return best;
}

// A GPU of the same generation and kind of memory.
const Machine* alike(const std::vector<Machine>& known, const Caps& caps) {
  for (const Machine& machine : known) {
    if (machine.caps.sm == caps.sm && machine.caps.is_integrated == caps.is_integrated) return &machine;
  }
  return nullptr;
}

}  // namespace

double measure_bandwidth(int threads) {
  constexpr int64_t kBytes = 256 * MiB, kPiece = 4 * MiB;  // well beyond any cache
  RawAllocator memory({DeviceKind::kCpu});
  const StorageRef held = memory.allocate(kBytes, "bandwidth").value();
  auto* words = reinterpret_cast<uint64_t*>(held->data());
  const int64_t n = kBytes / 8, piece = kPiece / 8;
  ThreadPool pool(threads);
  pool.parallel_for(n / piece, 1, [&](int64_t begin, int64_t end) {
    std::fill(words + begin * piece, words + end * piece, uint64_t{1});
  });
  std::atomic<uint64_t> sum{0};
  return best_rate(static_cast<double>(kBytes), threads, [&] {
    pool.parallel_for(n / piece, 1, [&](int64_t begin, int64_t end) {
      uint64_t sums[8] = {};  // so that additions do not wait for each other
      for (int64_t i = begin * piece; i < end * piece; i += 8) {
        for (int64_t k = 0; k < 8; ++k) sums[k] += words[i + k];
      }
      sum += std::accumulate(std::begin(sums), std::end(sums), uint64_t{0});
    });
  });
}

double measure_flops(const Caps& caps, int threads, DType scheme) {
  constexpr int64_t kSide = 1024, kRows = 256;
  // A matrix in the layout that loading gives it; its values do not matter.
  Checkpoint file;
  file.path = "product";
  file.config.set("general.architecture", "llama");
  file.file.tensors = {{.name = "matrix", .type = scheme, .shape = {kSide, kSide},
                        .bytes = row_bytes(scheme, kSide * kSide)}};
  seal(file.file);
  RawAllocator memory({DeviceKind::kCpu});
  Weights weights(file, caps, {DeviceKind::kCpu}, memory.allocate(8 * kSide * kSide, "product").value());
  const Linear layer{weights.matrix("matrix", kSide, kSide), {}};
  std::memset(layer.weight.data.raw(), 0, static_cast<size_t>(layer.weight.bytes()));
  ThreadPool pool(threads);
  Arena arena(memory.allocate(32 * MiB, "product").value());
  Ctx c{.device = {DeviceKind::kCpu}, .caps = caps, .arena = arena, .pool = &pool};
  const Tensor x(memory.allocate(4 * kRows * kSide, "product").value(), DType::kF32, {kRows, kSide});
  std::fill_n(x.data<float>(), x.numel(), 0.25f);
  return best_rate(2.0 * kRows * kSide * kSide, threads, [&] { layer(c, x); });
}

Machine this_machine(const ThisMachineOptions& o, const Catalogue& catalogue, const machine::Root& root) {
  const machine::HostMemory host = machine::read_host_memory(root);
  Machine m{.name = "this", .caps = o.caps, .configured_bytes = o.configured_bytes,
            .reserve_bytes = o.reserve_bytes};
  m.is_unified = o.caps.target == DeviceKind::kCpu || o.caps.is_integrated;
  m.memory_bytes = m.is_unified ? host.total_bytes.value_or(0) : o.gpu_memory_bytes;
  m.cgroup_bytes = m.is_unified ? host.cgroup_limit_bytes.value_or(0) : 0;
  if (o.caps.target == DeviceKind::kCpu) {
    m.words = fmt::format("this machine: {} CPU threads, {}", o.threads, isa_name(o.caps.isa));
    m.source = "not measured";
    if (!o.measures) return m;
    m.bandwidth = measure_bandwidth(o.threads);
    const double floats = measure_flops(o.caps, o.threads, DType::kF32);
    const double integers = measure_flops(o.caps, o.threads, DType::kQ8_0);
    m.flops[static_cast<size_t>(Math::kF32)] = floats;
    m.flops[static_cast<size_t>(Math::kI8)] = integers;
    m.source = fmt::format("measured just now with {} threads: reads of {:.3g} GB/s, products of {:.3g} TFLOP/s in "
                           "float32 and {:.3g} in 8-bit integers; a busy machine shows less than it has",
                           o.threads, m.bandwidth / 1e9, floats / 1e12, integers / 1e12);
    return m;
  }
  m.words = fmt::format("this machine: {}", o.caps.name);
  std::vector<Machine> known;
  for (const std::string& name : catalogue.machine_names()) known.push_back(catalogue.machine(name).value());
  if (const Machine* like = alike(known, o.caps)) {
    m.flops = like->flops;
    m.bandwidth = like->bandwidth;
    m.power_w = like->power_w;
    m.driver_bytes = like->driver_bytes;
    m.source = fmt::format("those of {}: {}", like->name, like->source);
  } else {
    m.source = "not known for this GPU; bytes only";
  }
  return m;
}

}  // namespace hearth::planner
