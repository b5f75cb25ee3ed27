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

double measure_bandwidth(int threads, Allocator& memory) {
  constexpr int64_t kBytes = 256 * MiB, kPiece = 4 * MiB;  // well beyond any cache
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

double measure_flops(const Caps& caps, int threads, DType scheme, Allocator& memory) {
  constexpr int64_t kSide = 1024, kRows = 256;
  // A matrix in the layout that loading gives it; its values do not matter.
  Checkpoint file;
  file.path = "product";
  file.config.set("general.architecture", "llama");
  file.file.tensors = {{.name = "matrix", .type = scheme, .shape = {kSide, kSide},
                        .bytes = row_bytes(scheme, kSide * kSide)}};
  seal(file.file);
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

Rates measure_rates(const Caps& caps, int threads, Allocator& memory) try {
  Rates rates;
  rates.bandwidth = measure_bandwidth(threads, memory);
  const double floats = measure_flops(caps, threads, DType::kF32, memory);
  const double integers = measure_flops(caps, threads, DType::kQ8_0, memory);
  rates.flops[static_cast<size_t>(Math::kF32)] = floats;
  rates.flops[static_cast<size_t>(Math::kI8)] = integers;
  rates.source = fmt::format("measured here with {} threads: reads of {:.3g} GB/s, products of {:.3g} TFLOP/s in "
                             "float32 and {:.3g} in 8-bit integers; a busy machine shows less than it has",
                             threads, rates.bandwidth / 1e9, floats / 1e12, integers / 1e12);
  return rates;
} catch (const Error& e) {
  if (e.code() != Code::kNoMemory) throw;
  return {.source = "not measured: " + e.message()};
}

Machine this_machine(const ThisMachineOptions& o, const Catalogue& catalogue, const machine::Root& root) {
  const machine::HostMemory host = machine::read_host_memory(root);
  Machine m{.name = "this", .caps = o.caps, .configured_bytes = o.configured_bytes,
            .reserve_bytes = o.reserve_bytes};
  m.power_w = o.power_w;
  m.is_unified = o.caps.target == DeviceKind::kCpu || o.caps.is_integrated;
  m.memory_bytes = m.is_unified ? host.total_bytes.value_or(0) : o.gpu_memory_bytes;
  m.cgroup_bytes = m.is_unified ? host.cgroup_limit_bytes.value_or(0) : 0;
  if (o.caps.target == DeviceKind::kCpu) {
    const Rates rates = o.rates.value_or(Rates{.source = "not measured"});
    m.words = fmt::format("this machine: {} CPU threads, {}", o.threads, isa_name(o.caps.isa));
    m.flops = rates.flops;
    m.bandwidth = rates.bandwidth;
    m.source = rates.source;
    return m;
  }
  m.words = fmt::format("this machine: {}", o.caps.name);
  std::vector<Machine> known;
  for (const std::string& name : catalogue.machine_names()) known.push_back(catalogue.machine(name).value());
  if (const Machine* like = alike(known, o.caps)) {
    m.flops = like->flops;
    m.bandwidth = like->bandwidth;
    if (m.power_w <= 0) m.power_w = like->power_w;
    m.driver_bytes = like->driver_bytes;
    m.source = fmt::format("those of {}: {}", like->name, like->source);
  } else {
    m.source = "not known for this GPU; bytes only";
  }
  return m;
}

std::optional<ThisMachineOptions> options_of_gpus(std::span<const machine::Gpu> gpus) {
  std::optional<ThisMachineOptions> best;
  for (const machine::Gpu& gpu : gpus) {
    if (!gpu.compute_capability) continue;
    ThisMachineOptions o;
    o.caps = {.target = DeviceKind::kCuda, .sm = *gpu.compute_capability,
              .multiprocessors = gpu.multiprocessors.value_or(0), .name = gpu.name};
    o.caps.is_integrated = gpu.is_integrated.value_or(!gpu.memory_bytes);
    o.gpu_memory_bytes = gpu.memory_bytes.value_or(0);
    if (!best || o.gpu_memory_bytes > best->gpu_memory_bytes) best = std::move(o);
  }
  return best;
}

}  // namespace hearth::planner
