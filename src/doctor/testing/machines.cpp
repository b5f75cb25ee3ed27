#include "doctor/testing/machines.h"

#include <cstdlib>

#include <fmt/format.h>

namespace hearth::doctor::testing {

const Command kGauges = {"nvidia-smi",
                         "--query-gpu=index,name,compute_cap,memory.total,clocks.sm,clocks.max.sm,power.draw,"
                         "temperature.gpu,utilization.gpu,persistence_mode",
                         "--format=csv,noheader,nounits"};
const Command kApps = {"nvidia-smi", "--query-compute-apps=pid,process_name,used_memory",
                       "--format=csv,noheader,nounits"};
const Command kReasons = {"nvidia-smi",
                          "--query-gpu=clocks_event_reasons.sw_thermal_slowdown,"
                          "clocks_event_reasons.hw_thermal_slowdown,clocks_event_reasons.hw_power_brake_slowdown",
                          "--format=csv,noheader"};
const Command kKernelLog = {"journalctl", "-k", "-b", "--no-pager", "-o", "short-iso", "-n", "3000"};
const Command kServiceLog = {"journalctl", "-b", "--no-pager", "-o", "short-iso", "-n", "2000", "-u", "hearth*",
                             "-u", "vllm*", "-u", "llama*", "-u", "comfyui*"};
const Command kLastBoot = {"journalctl", "-k", "-b", "-1", "--no-pager", "-o", "short-iso", "-n", "400"};
const Command kLastEnd = {"journalctl", "-b", "-1", "--no-pager", "-o", "short-iso", "-n", "5", "-u",
                          "systemd-journald"};
const Command kRuntimes = {"docker", "info", "--format", "{{json .Runtimes}}"};
const Command kUpdates = {"fwupdmgr", "get-updates", "--no-metadata-check", "--no-unreported-check"};
const std::vector<std::string> kForbidden = {
    "boost-slider", "dgx-cluster", "--break-system-packages", "| bash", "|bash", "| sh ", "enable_flash_sdp",
    "enable_mem_efficient_sdp", "-v /usr/local/cuda", "libgl1-mesa-glx", "CACHING=1", "-lgc 3003", "nvidia/comfyui",
    "cuda:12.3", "setup_comfyui", "shm-size=64", "FORCE_DEVICE_ALLOC=1", "--fp16-vae", "GID_INDEX=0", "gpu-only"};
const std::string kSite = "/home/user/work/.venv/lib/python3.12/site-packages";

std::string machine_folder(const std::string& name) {
  const char* source = std::getenv("HEARTH_SOURCE_DIR");
  return std::string(source ? source : ".") + "/tests/machines/" + name;
}

void install(machine::testing::Recording& machine, const std::string& name, const std::string& version,
             const std::string& tag) {
  machine.put(kSite + "/" + name + "-" + version + ".dist-info/WHEEL", "Wheel-Version: 1.0\nTag: " + tag + "\n");
}

void gauge(machine::testing::Recording& machine, int mhz, double watts, int degrees, int busy, bool is_persistent) {
  machine.answer(kGauges, fmt::format("0, NVIDIA GB10, 12.1, [N/A], {}, 3003, {:.2f}, {}, {}, {}\n", mhz, watts,
      degrees,
                                      busy, is_persistent ? "Enabled" : "Disabled"));
}

}  // namespace hearth::doctor::testing
