// Rows 2 to 5 and 22: the driver, what it says of the GPU, and programs that hold code for it.
#include <algorithm>

#include "core/base/units.h"
#include "doctor/checks/all.h"
#include "doctor/checks/common.h"
#include "doctor/programs.h"
#include "doctor/version.h"

namespace hearth::doctor {
namespace {

constexpr const char* kVersionFile = "/proc/driver/nvidia/version";
constexpr const char* kKernelFile = "/proc/sys/kernel/osrelease";

// A GPU is on the bus and no driver has taken it.
Outcome not_loaded(const Context& context) {
  const std::vector<std::string> devices = machine::nvidia_pci_devices(context.root());
  if (devices.empty()) return unknown(std::string(kVersionFile) + " could not be read");
  return failure("there is an NVIDIA GPU, and its driver is not loaded")
      .saw("/sys/bus/pci/devices", joined(devices))
      .saw(kVersionFile, "absent")
      .cure("sudo apt install nvidia-driver-580-open", "the branch that CUDA 13 needs; then reboot");
}

Outcome driver_version(const Context& context) {
  if (std::optional<Outcome> outcome = without_nvidia(context)) return *outcome;
  const machine::NvidiaDriver& driver = context.driver();
  if (!driver.kernel_version) return not_loaded(context);
  const bool serves_cuda_13 = driver.cuda_version.value_or(13000) >= 13000;
  if (serves_cuda_13 && !is_below(*driver.kernel_version, "580")) return ok().saw(kVersionFile, *driver.kernel_version);
  Outcome old = failure("CUDA 13 needs a driver of the 580 branch or newer; this one serves older CUDA only");
  old.saw(kVersionFile, *driver.kernel_version);
  if (driver.cuda_version) old.saw("cuDriverGetVersion", std::to_string(*driver.cuda_version));
  return context.is_gb10()
             ? old.cure("sudo apt update && sudo apt full-upgrade", "DGX OS brings 580.x; reboot after")
             : old.cure("sudo apt install nvidia-driver-580-open", "or newer, from your distribution; reboot after");
}

// What was reported of a driver's branch and of a kernel; "" nothing.
std::string trouble_of_branch(int branch) {
  if (branch == 590 || branch == 595) return "deadlocking graphs and leaking memory were reported of 590 and 595";
  return branch >= 610 ? "from 610 on the driver keeps freed system memory in pools, which looks like a leak" : "";
}

std::string trouble_of_kernel(const std::string& kernel) {
  return kernel.starts_with("6.17.0-1008") ? "a GPU dead after this kernel's panics was reported" : "";
}

Outcome driver_branch(const Context& context) {
  if (std::optional<Outcome> outcome = unless_gb10(context)) return *outcome;
  const std::string driver = context.driver().kernel_version.value_or("");
  const std::string kernel = trimmed(context.root().text(kKernelFile).value_or(""));
  if (driver.empty()) return unknown(std::string(kVersionFile) + " could not be read");
  const int branch = Version(driver).major();
  Outcome bad = warning("");
  for (const std::string& trouble : {trouble_of_branch(branch), trouble_of_kernel(kernel)}) {
    if (!trouble.empty()) add_cause(bad, trouble);
  }
  if (bad.cause.empty()) return ok().saw(kVersionFile, driver).saw(kKernelFile, kernel);
  if (branch >= 610) {
    bad.cure("echo 'options nvidia NVreg_EnableSystemMemoryPools=0' | sudo tee /etc/modprobe.d/hearth-nvidia.conf && "
             "sudo update-initramfs -u",
             "gives freed pages back; reboot after");
  }
  bad.by_hand("sudo apt update && sudo apt full-upgrade",
              "stay on the pair of kernel and driver that DGX OS 7.5 or newer ships; 580.x wedges too, but less is "
              "reported of it");
  return bad.saw(kVersionFile, driver).saw(kKernelFile, kernel);
}

Outcome driver_library(const Context& context) {
  if (std::optional<Outcome> outcome = without_nvidia(context)) return *outcome;
  const machine::NvidiaDriver& driver = context.driver();
  const std::optional<machine::ToolOutput>& listed = context.run({"nvidia-smi", "-L"});
  const bool is_said = listed && contains(listed->text, "Driver/library version mismatch");
  const bool are_known = driver.kernel_version && driver.library_version;
  if (is_said || (are_known && *driver.kernel_version != *driver.library_version)) {
    Outcome mismatch = failure("the driver was updated and the old one is still loaded");
    if (is_said) mismatch.saw("nvidia-smi -L", trimmed(listed->text));
    mismatch.saw(kVersionFile, driver.kernel_version.value_or("not readable"));
    mismatch.saw("libcuda.so", driver.library_version.value_or("not found"));
    return mismatch.by_hand("sudo reboot", "loads the new module");
  }
  if (!are_known) return unknown("the versions of the loaded module and of libcuda.so are not both readable");
  return ok().saw(kVersionFile, *driver.kernel_version).saw("libcuda.so", *driver.library_version);
}

Outcome kernel_images(const Context& context) {
  if (std::optional<Outcome> outcome = without_nvidia(context)) return *outcome;
  if (context.gpus().empty()) return unknown("the driver states no GPU: its compute capability is not known");
  if (!context.is_gb10()) return does_not_apply("it is about programs for sm_121; here is " + context.gpus()[0].name);
  Outcome lacking = failure("these builds hold no code that a GPU of compute capability 12.1 can load: neither sm_120 "
                            "nor sm_121, neither 12.0f nor PTX for it");
  for (const Program& program : find_programs(context)) {
    if (program.runs != Runs::kNo || program.lacks != "sm_12x") continue;
    lacking.saw(program.place, program.name + " " + program.version + ": " + program.why);
    lacking.by_hand(program.cure, "in its environment or source folder");
  }
  if (!lacking.evidence.empty()) return lacking;
  if (std::optional<Outcome> seen = seen_in_log(context, 5, Verdict::kFailure)) return *seen;
  return ok().saw("compute capability",
                  "12.1: builds for sm_120, 12.0f, sm_121 or 12.1a load; a cubin for sm_120a alone does not");
}

Outcome memory_fields(const Context& context) {
  constexpr const char* kPlugins = "/var/lib/kubelet/device-plugins";
  if (std::optional<Outcome> outcome = unless_unified(context)) return *outcome;
  if (context.root().has(kPlugins)) {
    return note("a Kubernetes node: device plugins older than 0.17.4 fail with \"error getting memory info: Not "
                "Supported\" on a machine with one memory")
        .saw(kPlugins, "present")
        .advise("use NVIDIA's device plugin 0.17.4 or newer");
  }
  return ok("nvidia-smi states no memory here ([N/A]): CPU and GPU share one, and /proc/meminfo states it")
      .saw("nvidia-smi", "memory.total [N/A]")
      .saw("/proc/meminfo", format_bytes(context.memory().total_bytes.value_or(0)));
}

constexpr Check kChecks[] = {
    {2, "driver-version", Topic::kDriver, "The NVIDIA driver is new enough for CUDA 13",
     "CUDA error 35: driver version is insufficient for CUDA runtime version", driver_version},
    {3, "driver-branch", Topic::kDriver, "Driver branch and kernel are a pair without reported trouble",
     "graphs deadlock, memory leaks, the GPU is gone after a panic", driver_branch},
    {4, "driver-library", Topic::kDriver, "Driver module and library have one version",
     "Driver/library version mismatch", driver_library},
    {5, "kernel-images", Topic::kDriver, "GPU programs found here hold code for this GPU",
     "no kernel image is available for execution on the device", kernel_images},
    {22, "memory-fields", Topic::kDriver, "Tools that ask the driver for its memory can cope with none of its own",
     "[N/A] or Not Supported in nvidia-smi; device plugin: error getting memory info", memory_fields},
};

}  // namespace

std::span<const Check> driver_checks() { return kChecks; }

}  // namespace hearth::doctor
