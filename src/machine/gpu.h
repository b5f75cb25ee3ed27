// NVIDIA GPUs as the driver states them, without creating a context and without the CUDA toolkit: attributes from
// libcuda when it can be opened, gauges from nvidia-smi. On a GB10 many fields are "[N/A]": they stay empty.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "machine/root.h"

namespace hearth::machine {

struct Gpu {
  int index = 0;
  std::string name;
  std::optional<int> compute_capability;   // 121 for 12.1
  std::optional<int> multiprocessors;
  std::optional<bool> is_integrated;       // CPU and GPU share one memory
  std::optional<bool> uses_host_page_tables;
  std::optional<int64_t> memory_bytes;     // of its own; empty where it shares the host's
  std::optional<int64_t> l2_bytes, shared_bytes_per_block;  // the latter opt-in
  std::optional<int> clock_mhz, max_clock_mhz;              // of the multiprocessors: now, and the highest
  std::optional<double> power_w, temperature_c, utilisation_percent;
  std::optional<bool> is_persistent;       // nvidia-smi's persistence mode
};

struct NvidiaDriver {
  std::optional<std::string> kernel_version;   // of /proc/driver/nvidia/version: "580.95.05"
  std::optional<std::string> library_version;  // of libcuda's or NVML's file: what programs load
  std::optional<int> cuda_version;             // highest the driver serves: 13000
};

/// A recording holds /gpu/<index>/attributes with "name: value" lines: Name, ComputeCapabilityMajor, ...Minor,
/// MultiProcessorCount, Integrated, PageableMemoryAccessUsesHostPageTables, TotalMemory, L2CacheSize,
/// MaxSharedMemoryPerBlockOptin, ClockRate (kHz).
std::vector<Gpu> read_gpus(const Root& root = {});
NvidiaDriver read_nvidia_driver(const Root& root = {});

/// The lines of /gpu/<index>/attributes for the running machine, one text a GPU; empty without a driver.
std::vector<std::string> cuda_attribute_texts();

/// PCI devices of NVIDIA that draw or compute (class 0x03), as "000f:01:00.0 10de:2e12"; also without a driver.
std::vector<std::string> nvidia_pci_devices(const Root& root = {});

}  // namespace hearth::machine
