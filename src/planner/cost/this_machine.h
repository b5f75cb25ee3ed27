// The machine this process runs on, as a Machine: memory as the kernel states it, and rates measured on the spot.
#pragma once
#include <algorithm>
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

/// `threads` and, where the process is given less processor time than that, the share of it they get.
struct Processors {
  int threads = 1;
  std::optional<double> quota{};  // CPUs' worth of time; absent: no limit
  double at_once() const { return quota ? std::min<double>(threads, *quota) : threads; }
};

/// About a quarter of a second of all threads, and 32 MiB of `memory` for that time; where that is refused nothing is
/// known, and source says why. For a process that does nothing else meanwhile: its work would look like that of the
/// measurement.
Rates measure_rates(const Caps& caps, const Processors& processors, Allocator& memory);

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

/// Both of this machine: words where `words` says, pictures on its CPU, as this build draws them: in the same pool
/// where the GPU shares the host's memory, in a pool of their own beside a card that has its own.
Machines these_machines(const ThisMachineOptions& words, const Processors& processors,
                        const std::optional<Rates>& rates, const Catalogue& catalogue, const machine::Root& root = {});

/// The best of the GPUs the driver states; nothing when there is none whose generation is known.
std::optional<ThisMachineOptions> options_of_gpus(std::span<const machine::Gpu> gpus);

/// Bytes a second that the threads read from memory together. Throws kNoMemory.
double measure_bandwidth(const Processors& processors, Allocator& memory);
/// Multiplications and additions a second, by this program's own matrix product over weights of `scheme`. Throws
/// kNoMemory.
double measure_flops(const Caps& caps, const Processors& processors, DType scheme, Allocator& memory);

}  // namespace hearth::planner
