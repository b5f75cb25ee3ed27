// The machine this process runs on, as a Machine: memory as the kernel states it, and rates measured on the spot.
#pragma once
#include "machine/root.h"
#include "planner/catalogue/catalogue.h"
#include "planner/fit/machine.h"

namespace hearth::planner {

struct ThisMachineOptions {
  Caps caps;                          // what language models run on here
  int threads = 1;
  int64_t configured_bytes = 0, reserve_bytes = 0;
  int64_t gpu_memory_bytes = 0;       // of a card with memory of its own
  bool measures = true;               // false: no rates; sizes only
};

/// On a CPU its rates are measured (about half a second); those of a GPU are the catalogue's for its generation,
/// and source says so.
Machine this_machine(const ThisMachineOptions& options, const Catalogue& catalogue,
                     const machine::Root& root = {});

/// Bytes a second that `threads` threads read from memory together.
double measure_bandwidth(int threads);
/// Multiplications and additions a second, by this program's own matrix product over weights of `scheme`.
double measure_flops(const Caps& caps, int threads, DType scheme);

}  // namespace hearth::planner
