// The machine this process runs on, as a Machine: memory as the kernel states it, and rates measured on the spot.
#pragma once
#include <optional>
#include <span>

#include "core/device/allocator.h"
#include "machine/gpu.h"
#include "machine/root.h"
#include "planner/catalogue/catalogue.h"
#include "planner/fit/machine.h"

namespace hearth::planner {

/// What this machine's CPU has shown.
struct Rates {
  std::array<double, kMaths> flops{};  // a second, by arithmetic; 0: not known
  double bandwidth = 0;                // bytes read a second
  std::string source;
};

/// About half a second of all `threads`, and 300 MiB of `memory` for that time; where that is refused nothing is
/// known, and source says why.
Rates measure_rates(const Caps& caps, int threads, Allocator& memory);

struct ThisMachineOptions {
  Caps caps;                          // what language models run on here
  int threads = 1;
  int64_t configured_bytes = 0, reserve_bytes = 0;
  int64_t gpu_memory_bytes = 0;       // of a card with memory of its own
  double power_w = 0;                 // while working; 0: not known
  std::optional<Rates> rates{};       // of the CPU; absent: not measured
};

/// The rates of a GPU are the catalogue's for its generation, and source says so.
Machine this_machine(const ThisMachineOptions& options, const Catalogue& catalogue, const machine::Root& root = {});

/// The best of the GPUs the driver states; nothing when there is none whose generation is known.
std::optional<ThisMachineOptions> options_of_gpus(std::span<const machine::Gpu> gpus);

/// Bytes a second that `threads` threads read from memory together. Throws kNoMemory.
double measure_bandwidth(int threads, Allocator& memory);
/// Multiplications and additions a second, by this program's own matrix product over weights of `scheme`. Throws
/// kNoMemory.
double measure_flops(const Caps& caps, int threads, DType scheme, Allocator& memory);

}  // namespace hearth::planner
