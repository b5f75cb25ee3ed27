#include "core/device/device.h"

#include <cstdlib>
#include <iterator>

#include "core/base/log.h"

#if defined(__aarch64__)
#include <sys/auxv.h>
#elif defined(__x86_64__)
#include <cpuid.h>
#endif

namespace hearth {
namespace {

constexpr std::pair<CpuIsa, std::string_view> kIsaNames[] = {
    {CpuIsa::kPlain, "plain"}, {CpuIsa::kAvx2, "avx2"},       {CpuIsa::kAvx512Vnni, "avx512"},
    {CpuIsa::kNeon, "neon"},   {CpuIsa::kNeonDotprod, "dotprod"}, {CpuIsa::kNeonI8mm, "i8mm"}};

CpuIsa best_isa() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  unsigned a = 0, b = 0, features = 0, d = 0;
  bool f16c = __get_cpuid(1, &a, &b, &features, &d) && (features & bit_F16C);  // clang's builtin does not know it
  bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && f16c;
  bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                __builtin_cpu_supports("avx512vnni");
  if (avx2 && avx512) return CpuIsa::kAvx512Vnni;
  if (avx2) return CpuIsa::kAvx2;
  return CpuIsa::kPlain;
#elif defined(__aarch64__)
  constexpr unsigned long kAsimdDp = 1UL << 20;  // HWCAP_ASIMDDP
  constexpr unsigned long kI8mm = 1UL << 13;     // HWCAP2_I8MM
  bool dotprod = getauxval(AT_HWCAP) & kAsimdDp;
  if (dotprod && (getauxval(AT_HWCAP2) & kI8mm)) return CpuIsa::kNeonI8mm;
  return dotprod ? CpuIsa::kNeonDotprod : CpuIsa::kNeon;
#else
  return CpuIsa::kPlain;
#endif
}

CpuIsa asked_isa(CpuIsa best) {
  const char* asked = std::getenv("HEARTH_CPU_ISA");
  if (!asked) return best;
  for (auto [isa, known] : kIsaNames) {
    if (known != asked) continue;
    bool same_family = isa == CpuIsa::kPlain || (isa >= CpuIsa::kNeon) == (best >= CpuIsa::kNeon);
    if (isa <= best && same_family) return isa;
  }
  log::warn("HEARTH_CPU_ISA={} is unknown or beyond this CPU; using {}", asked, isa_name(best));
  return best;
}

}  // namespace

std::string Device::text() const {
  if (kind == DeviceKind::kCpu) return "cpu";
  if (kind == DeviceKind::kMeta) return "meta";
  return "cuda:" + std::to_string(index);
}

std::string_view isa_name(CpuIsa isa) {
  for (auto [known, name] : kIsaNames) {
    if (known == isa) return name;
  }
  return "unknown";
}

Caps cpu_caps(int threads) {
  Caps caps;
  caps.target = DeviceKind::kCpu;
  caps.isa = asked_isa(best_isa());
  caps.threads = threads;
  caps.name = "cpu";
  return caps;
}

}  // namespace hearth
