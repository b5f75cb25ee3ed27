// Machine: what a plan is made against: one memory pool with the governor's rules, and the highest rates its parts have
// shown. Plain values; those of known machines come from the catalogue, with the source of every figure.
#pragma once
#include <array>
#include <string>

#include "core/device/device.h"
#include "machine/memory.h"
#include "planner/measure/subject.h"

namespace hearth::planner {

struct Machine {
  std::string name, words;
  Caps caps;                       // of what language models run on
  bool is_unified = true;          // models share the host's memory; otherwise the card's own is the pool
  int64_t memory_bytes = 0;        // of that pool: MemTotal, or the card's
  int64_t configured_bytes = 0, reserve_bytes = 0;  // as in the configuration; 0: automatic
  int64_t cgroup_bytes = 0;        // limit of the process's cgroup; 0: none
  int64_t driver_bytes = 0;        // what a CUDA context and its modules take
  std::array<double, kMaths> flops{};  // a second, by arithmetic; 0: not known
  double bandwidth = 0;            // bytes read a second
  double power_w = 0;              // while working
  std::string source;              // of the rates

  /// What models may use together: the governor's budget less the driver's own.
  int64_t budget_bytes() const;
  int64_t kept_bytes() const { return memory_bytes - budget_bytes(); }
  /// `n` of them as one pool, work split without loss: an upper bound.
  Machine times(int64_t n) const;

  int64_t count = 1;
};

/// Where the models of one machine run: in one pool, or pictures in the host's memory beside a card that has its own.
struct Machines {
  Machine words, pictures;
  bool is_one_pool() const { return words.is_unified == pictures.is_unified; }
  const Machine& of(bool is_picture) const { return is_picture ? pictures : words; }
  Machines times(int64_t n) const { return {words.times(n), pictures.times(n)}; }
};

}  // namespace hearth::planner
