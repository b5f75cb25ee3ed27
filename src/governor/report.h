// Report: the memory of this process and its machine at one moment, for GET /memory, /metrics and `hearth top`. Plain
// data.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "core/base/value.h"
#include "governor/governor.h"
#include "governor/neighbour/neighbours.h"
#include "governor/residency/policy.h"

namespace hearth::governor {

struct PoolReport {
  std::string name;              // host, unified, cuda:0
  std::string gpu;               // PCI address of the GPU whose memory it is or shares; "" without one
  int64_t physical_bytes = 0;    // 0: unknown
  int64_t budget_bytes = 0, reserve_bytes = 0, leased_bytes = 0, peak_bytes = 0;
  int64_t free_bytes = 0;        // what a lease could have
  int64_t others_bytes = 0;      // taken without a lease, where that is known: on a GPU with memory of its own
  std::vector<Holding> holders;  // largest first
  Journal::Counts counts;
  std::vector<Journal::Entry> events;
};

struct Report {
  std::vector<PoolReport> pools;
  std::vector<Resident> residents;
  std::vector<Neighbours::Neighbour> neighbours;
  Level level = Level::kCalm;
  Floors floors;
  Reading reading;
  machine::HostMemory host;                            // what the reading was made from, a moment later
  std::optional<machine::SwapAndCompaction> swapping;  // counters since the machine began
  std::vector<Journal::Entry> events;  // levels, and requests that were ended
  uint64_t aborts = 0;
  machine::ProcessMemory process;
  int64_t host_leased_bytes = 0;  // leases that lie in this process's own memory
  std::string driver;             // version of the GPU's; "" without one
};

PoolReport report_on(Budget& budget, int64_t physical_bytes, int64_t reserve_bytes);
Value to_value(const Report& report);
/// In Prometheus' text format.
std::string to_metrics(const Report& report);

}  // namespace hearth::governor
