#include "planner/cost/this_machine.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <limits>
#include <numeric>

#include <fmt/format.h>

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

#include "core/base/units.h"
#include "core/device/allocator.h"
#include "core/device/ctx.h"
#include "models/blocks/layers.h"
#include "models/load/weights.h"

namespace hearth::planner {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kMeasureSeconds = 0.08;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// The best of as many runs as fit in the time: the one that others disturbed least. The first warms up; `prepare` is
// not counted. A quota is used up in the first part of each of its periods: what such a part shows lasts as long.
template <class Prepare, class Run>
double best_rate(double units, const Processors& processors, Prepare prepare, Run run) {
  prepare();
  run();
  double least = std::numeric_limits<double>::infinity();
  for (const auto start = Clock::now(); seconds_since(start) < kMeasureSeconds;) {
    prepare();
    const auto begin = Clock::now();
    run();
    least = std::min(least, seconds_since(begin));
  }
  return units / std::max(least, 1e-9) * processors.at_once() / processors.threads;
}

// Out of every cache, so that what is read next comes from memory however little it is.
void leave_caches(const void* data, int64_t bytes) {
  constexpr int64_t kLine = 64;
  const char* at = static_cast<const char*>(data);
#if defined(__x86_64__)
  for (int64_t i = 0; i < bytes; i += kLine) _mm_clflush(at + i);
  _mm_mfence();
#elif defined(__aarch64__)
  for (int64_t i = 0; i < bytes; i += kLine) asm volatile("dc civac, %0" ::"r"(at + i) : "memory");
  asm volatile("dsb ish" ::: "memory");
#endif
}

// A GPU of the same generation and kind of memory.
const Machine* alike(const std::vector<Machine>& known, const Caps& caps) {
  for (const Machine& machine : known) {
    if (machine.caps.sm == caps.sm && machine.caps.is_integrated == caps.is_integrated) return &machine;
  }
  return nullptr;
}

}  // namespace

double measure_bandwidth(const Processors& processors, Allocator& memory) {
  constexpr int64_t kBytes = 16 * MiB, kPiece = 512 * KiB;
  const StorageRef held = memory.allocate(kBytes, "bandwidth").value();
  auto* words = reinterpret_cast<uint64_t*>(held->data());
  const int64_t n = kBytes / 8, piece = kPiece / 8;
  ThreadPool pool(processors.threads);
  pool.parallel_for(n / piece, 1, [&](int64_t begin, int64_t end) {
    std::fill(words + begin * piece, words + end * piece, uint64_t{1});
  });
  std::atomic<uint64_t> sum{0};
  auto forget = [&] {
    pool.parallel_for(n / piece, 1, [&](int64_t begin, int64_t end) {
      leave_caches(words + begin * piece, (end - begin) * kPiece);
    });
  };
  return best_rate(static_cast<double>(kBytes), processors, forget, [&] {
    pool.parallel_for(n / piece, 1, [&](int64_t begin, int64_t end) {
      uint64_t sums[8] = {};  // so that additions do not wait for each other
      for (int64_t i = begin * piece; i < end * piece; i += 8) {
        for (int64_t k = 0; k < 8; ++k) sums[k] += words[i + k];
      }
      sum += std::accumulate(std::begin(sums), std::end(sums), uint64_t{0});
    });
  });
}

double measure_flops(const Caps& caps, const Processors& processors, DType scheme, Allocator& memory) {
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
  ThreadPool pool(processors.threads);
  Arena arena(memory.allocate(8 * MiB, "product").value());
  Ctx c{.device = {DeviceKind::kCpu}, .caps = caps, .arena = arena, .pool = &pool};
  const Tensor x(memory.allocate(4 * kRows * kSide, "product").value(), DType::kF32, {kRows, kSide});
  std::fill_n(x.data<float>(), x.numel(), 0.25f);
  return best_rate(2.0 * kRows * kSide * kSide, processors, [] {}, [&] { layer(c, x); });
}

Rates measure_rates(const Caps& caps, const Processors& processors, Allocator& memory) try {
  Rates rates;
  rates.bandwidth = measure_bandwidth(processors, memory);
  const double floats = measure_flops(caps, processors, DType::kF32, memory);
  const double integers = measure_flops(caps, processors, DType::kQ8_0, memory);
  rates.flops[static_cast<size_t>(Math::kF32)] = floats;
  rates.flops[static_cast<size_t>(Math::kI8)] = integers;
  const bool is_limited = processors.at_once() < processors.threads;
  rates.source = fmt::format("measured here with {} threads{}: reads of {:.3g} GB/s, products of {:.3g} TFLOP/s in "
                             "float32 and {:.3g} in 8-bit integers; a busy machine shows less than it has",
                             processors.threads,
                             is_limited ? fmt::format(" that get the time of {:.3g} CPUs", processors.at_once()) : "",
                             rates.bandwidth / 1e9, floats / 1e12, integers / 1e12);
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

Machines these_machines(const ThisMachineOptions& words, const Processors& processors,
                        const std::optional<Rates>& rates, const Catalogue& catalogue, const machine::Root& root) {
  const bool has_own_memory = words.caps.target == DeviceKind::kCuda && !words.caps.is_integrated;
  const ThisMachineOptions cpu{.caps = cpu_caps(processors.threads), .threads = processors.threads,
                               // Beside a card the configured budget is the card's.
                               .configured_bytes = has_own_memory ? 0 : words.configured_bytes,
                               .reserve_bytes = words.reserve_bytes, .power_w = words.power_w, .rates = rates};
  Machines both{.words = this_machine(words, catalogue, root), .pictures = this_machine(cpu, catalogue, root)};
  if (words.caps.target == DeviceKind::kCpu) {
    both.words = both.pictures;
  } else if (!has_own_memory) {  // what stays free for the GPU counts for both
    both.pictures.caps.is_integrated = true;
    both.pictures.driver_bytes = both.words.driver_bytes;
  }
  return both;
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
