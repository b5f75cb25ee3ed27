// Device: where a step runs, and Caps: what that place can do. Code never keys on a device's name: kernels and layouts
// are picked from Caps, and Meta carries the Caps of the machine it stands for, so it makes the same choices.
#pragma once
#include <cstdint>
#include <string>

#include "core/base/result.h"

namespace hearth {

enum class DeviceKind : uint8_t { kCpu, kCuda, kMeta };

struct Device {
  DeviceKind kind = DeviceKind::kCpu;
  int index = 0;
  friend bool operator==(Device, Device) = default;
  std::string text() const;  // "cpu", "cuda:0", "meta"
};

/// Instruction sets the CPU kernels know, best last within one architecture.
enum class CpuIsa : uint8_t { kPlain, kAvx2, kAvx512Vnni, kNeon, kNeonDotprod, kNeonI8mm };

struct Caps {
  DeviceKind target = DeviceKind::kCpu;  // what the work runs on, also when the Device is Meta
  // CPU
  CpuIsa isa = CpuIsa::kPlain;
  int threads = 1;
  // CUDA
  int sm = 0;                    // 90, 120, 121
  int multiprocessors = 0;
  int64_t shared_bytes = 0;      // per block, opt-in
  bool is_integrated = false;    // CPU and GPU share one memory
  std::string name;
};

/// Caps of this machine's CPU. HEARTH_CPU_ISA=plain|avx2|avx512|neon|dotprod|i8mm lowers the choice (debugging, tests).
Caps cpu_caps(int threads);
std::string_view isa_name(CpuIsa isa);

}  // namespace hearth
