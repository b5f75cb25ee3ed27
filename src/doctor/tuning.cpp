#include "doctor/tuning.h"

#include <fmt/format.h>

#include "core/base/units.h"

namespace hearth::doctor {
namespace {

std::string file(const Context& context, const char* path) {
  const std::string text = trimmed(context.root().text(path).value_or(""));
  return text.empty() ? "unknown" : text;
}

std::string bytes(const std::optional<int64_t>& value) { return value ? format_bytes(*value) : "unknown"; }

std::string clocks(const Context& context) {
  if (context.gpus().empty()) return "unknown";
  const machine::Gpu& gpu = context.gpus()[0];
  auto mhz = [](const std::optional<int>& value) { return value ? fmt::format("{} MHz", *value) : "unknown"; };
  return mhz(gpu.clock_mhz) + " now, " + mhz(gpu.max_clock_mhz) + " at most";
}

std::string persistence(const Context& context) {
  if (context.gpus().empty() || !context.gpus()[0].is_persistent) return "unknown";
  return *context.gpus()[0].is_persistent ? "on" : "off";
}

std::string frames(const Context& context) {
  std::string text;
  for (const Interface& network : context.interfaces()) {
    if (network.is_physical) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", network.name, network.mtu);
  }
  return text.empty() ? "unknown" : text;
}

}  // namespace

std::vector<Setting> read_settings(const Context& context) {
  const machine::HostMemory& memory = context.memory();
  return {
      {"GPU clocks (nvidia-smi -lgc)", clocks(context),
       "a cap of 2000 to 2200 MHz: 47 to 50 W and 70 C instead of 78 W and 86 C at the same decoding speed "
       "(measured); one unit of three stopped hanging, and lockups of the network card ended",
       "prompt and picture work lose about a tenth; locking 3003 MHz gains nothing: 2.4 GHz is what holds under load",
       "cap it when the machine is hot or hangs: `sudo nvidia-smi -lgc 300,2200`; it ends with a reboot"},
      {"Persistence mode", persistence(context), "the first call does not wait for the driver to load",
       "a few watts when idle", "on: `sudo systemctl enable --now nvidia-persistenced`"},
      {"Boost slider", "unknown", "named in guides; no measurement was found", "what it does on a GB10 is not known",
       "leave it alone"},
      {"Swap", bytes(memory.swap_total_bytes) + ", swappiness " + file(context, "/proc/sys/vm/swappiness"),
       "idle programs can make room",
       "the GPU's pages cannot be swapped: an overshoot thrashed for 9.5 hours instead of ending; zram takes its room "
       "from the same memory",
       "16 GiB or less, swappiness 10 or less, no zram"},
      {"Page cache", bytes(memory.cached_bytes) + " cached",
       "files are read again without the disk",
       "cudaMemGetInfo counts it as used; a scan of 110 GB filled it and machines went down",
       "read models directly; drop_caches as a diagnosis only"},
      {"Huge pages", memory.huge_pages ? std::to_string(*memory.huge_pages) + " reserved" : "unknown",
       "fewer page-table misses for programs that ask for them",
       "CUDA does not use them: a reservation is lost for all",
       "none reserved"},
      {"Transparent huge pages", file(context, "/sys/kernel/mm/transparent_hugepage/enabled"),
       "with madvise, programs that know ask for them", "`always` makes small programs larger", "madvise"},
      {"vm.min_free_kbytes", file(context, "/proc/sys/vm/min_free_kbytes"),
       "a reserve for the kernel itself when memory falls fast", "4 GiB here lower MemAvailable by 6.2 GiB",
       "leave the default"},
      {"vm.watermark_boost_factor", file(context, "/proc/sys/vm/watermark_boost_factor"),
       "fights small pieces", "15000 can hold back 15 GiB on this size",
       "leave the default; 0 where memory is missing"},
      {"vm.overcommit_memory", file(context, "/proc/sys/vm/overcommit_memory"), "2 refuses early",
       "programs that reserve address space (Python, CUDA) fail, and the driver is not counted", "leave 0"},
      {"net.core.rmem_max", file(context, "/proc/sys/net/core/rmem_max"), "16 MiB for 200 Gb/s with TCP",
       "NCCL over RDMA does not use it", "only for TCP between machines"},
      {"Frames (MTU)", frames(context), "9000 on the link between machines: NCCL reaches 20 to 24 GB/s",
       "every machine on a wire must have the same; 9000 towards a router that has 1500 loses connections",
       "9000 on the link only, in /etc/netplan; look again after firmware updates"},
  };
}

}  // namespace hearth::doctor
