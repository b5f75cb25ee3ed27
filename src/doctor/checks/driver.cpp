// Rows 1 to 5 and 22: the machine's architecture, the driver and what it says of the GPU.
#include <algorithm>

#include "core/base/units.h"
#include "doctor/checks/all.h"
#include "doctor/checks/common.h"
#include "doctor/programs.h"
#include "doctor/version.h"

namespace hearth::doctor {
namespace {

constexpr const char* kVersionFile = "/proc/driver/nvidia/version";

// Docker names architectures in Go's words.
std::string docker_word(const std::string& architecture) {
  if (architecture == "aarch64") return "arm64";
  return architecture == "x86_64" ? "amd64" : architecture;
}

// Images of another architecture than the machine's, of the first few.
std::vector<std::string> foreign_images(const Context& context, const std::string& own) {
  constexpr size_t kMostImages = 16;
  std::vector<std::string> foreign;
  size_t seen = 0;
  for (const std::string& id : machine::lines_of(context.said({"docker", "image", "ls", "-q"}).value_or(""))) {
    if (id.empty() || ++seen > kMostImages) continue;
    const Command inspect = {"docker", "image", "inspect", "--format", "{{.Architecture}} {{.RepoTags}}", id};
    const std::string said = trimmed(context.said(inspect).value_or(""));
    if (!said.empty() && !said.starts_with(own)) foreign.push_back(said);
  }
  return foreign;
}

Outcome architecture(const Context& context) {
  const std::string machine = context.architecture();
  if (machine.empty()) return unknown("`uname -m` did not answer");
  Outcome wrong = failure("programs of another architecture are installed: they end with \"exec format error\", or run "
                          "emulated and without the GPU");
  for (const Package& package : context.packages()) {
    const bool is_foreign = (contains(package.tag, "x86_64") && machine == "aarch64") ||
                            (contains(package.tag, "aarch64") && machine == "x86_64");
    if (!is_foreign) continue;
    wrong.saw(package.folder, package.name + " " + package.version + " is for " + package.tag);
    wrong.by_hand("pip install --force-reinstall " + package.name, "run it in that environment, on this machine");
  }
  for (const std::string& image : foreign_images(context, docker_word(machine))) {
    wrong.saw("docker image inspect", image);
    wrong.by_hand("docker pull --platform linux/" + docker_word(machine) + " IMAGE",
                  "where the image has a build for this machine; else take another image or build it here");
  }
  if (!wrong.evidence.empty()) return wrong.saw("uname -m", machine);
  return ok().saw("uname -m", machine);
}

Outcome driver_version(const Context& context) {
  if (std::optional<Outcome> outcome = without_nvidia(context)) return *outcome;
  const machine::NvidiaDriver& driver = context.driver();
  if (!driver.kernel_version) {
    const std::vector<std::string> devices = machine::nvidia_pci_devices(context.root());
    if (devices.empty()) return unknown(std::string(kVersionFile) + " could not be read");
    return failure("there is an NVIDIA GPU, and its driver is not loaded")
        .saw("/sys/bus/pci/devices", joined(devices)).saw(kVersionFile, "absent")
        .cure("sudo apt install nvidia-driver-580-open", "the branch that CUDA 13 needs; then reboot");
  }
  const bool is_too_old = is_below(*driver.kernel_version, "580");
  const bool serves_cuda_13 = driver.cuda_version.value_or(13000) >= 13000;
  if (!is_too_old && serves_cuda_13) return ok().saw(kVersionFile, *driver.kernel_version);
  Outcome old = failure("CUDA 13 needs a driver of the 580 branch or newer; this one serves older CUDA only");
  old.saw(kVersionFile, *driver.kernel_version);
  if (driver.cuda_version) old.saw("cuDriverGetVersion", std::to_string(*driver.cuda_version));
  if (context.is_gb10()) return old.cure("sudo apt update && sudo apt full-upgrade", "DGX OS brings 580.x; reboot "
                                                                                     "after");
  return old.cure("sudo apt install nvidia-driver-580-open", "or newer, from your distribution; reboot after");
}

Outcome driver_branch(const Context& context) {
  if (std::optional<Outcome> outcome = unless_gb10(context)) return *outcome;
  const std::string driver = context.driver().kernel_version.value_or("");
  const std::string kernel = trimmed(context.root().text("/proc/sys/kernel/osrelease").value_or(""));
  if (driver.empty()) return unknown(std::string(kVersionFile) + " could not be read");
  Outcome bad = warning("");
  const int branch = Version(driver).major();
  if (branch == 590 || branch == 595) bad.cause = "deadlocking graphs and leaking memory were reported of 590 and 595";
  if (branch >= 610) {
    bad.cause = "from 610 on the driver keeps freed system memory in pools, which looks like a leak";
    bad.cure("echo 'options nvidia NVreg_EnableSystemMemoryPools=0' | sudo tee /etc/modprobe.d/hearth-nvidia.conf && "
             "sudo update-initramfs -u", "gives freed pages back; reboot after");
  }
  if (kernel.starts_with("6.17.0-1008")) {
    bad.cause += std::string(bad.cause.empty() ? "" : "; ") + "a GPU dead after this kernel's panics was reported";
  }
  if (bad.cause.empty()) return ok().saw(kVersionFile, driver).saw("/proc/sys/kernel/osrelease", kernel);
  bad.by_hand("sudo apt update && sudo apt full-upgrade",
              "stay on the pair of kernel and driver that DGX OS 7.5 or newer ships; 580.x wedges too, but less is "
              "reported of it");
  return bad.saw(kVersionFile, driver).saw("/proc/sys/kernel/osrelease", kernel);
}

Outcome driver_library(const Context& context) {
  if (std::optional<Outcome> outcome = without_nvidia(context)) return *outcome;
  const machine::NvidiaDriver& driver = context.driver();
  const std::optional<machine::ToolOutput>& listed = context.run({"nvidia-smi", "-L"});
  const bool is_said = listed && contains(listed->text, "Driver/library version mismatch");
  const bool is_seen = driver.kernel_version && driver.library_version &&
                       *driver.kernel_version != *driver.library_version;
  if (is_said || is_seen) {
    Outcome mismatch = failure("the driver was updated and the old one is still loaded");
    if (is_said) mismatch.saw("nvidia-smi -L", trimmed(listed->text));
    mismatch.saw(kVersionFile, driver.kernel_version.value_or("not readable"));
    mismatch.saw("libcuda.so", driver.library_version.value_or("not found"));
    return mismatch.by_hand("sudo reboot", "loads the new module");
  }
  if (!driver.kernel_version || !driver.library_version) {
    return unknown("the versions of the loaded module and of libcuda.so are not both readable");
  }
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
  return ok().saw("compute capability", "12.1: builds for sm_120, 12.0f, sm_121 or 12.1a load; a cubin for sm_120a "
                                        "alone does not");
}

Outcome memory_fields(const Context& context) {
  if (std::optional<Outcome> outcome = unless_unified(context)) return *outcome;
  const std::string why = "nvidia-smi states no memory here ([N/A]): CPU and GPU share one, and /proc/meminfo states "
                          "it";
  if (context.root().has("/var/lib/kubelet/device-plugins")) {
    return note("a Kubernetes node: device plugins older than 0.17.4 fail with \"error getting memory info: Not "
                "Supported\" on a machine with one memory")
        .saw("/var/lib/kubelet/device-plugins", "present")
        .advise("use NVIDIA's device plugin 0.17.4 or newer");
  }
  return ok(why).saw("nvidia-smi", "memory.total [N/A]")
      .saw("/proc/meminfo", format_bytes(context.memory().total_bytes.value_or(0)));
}

constexpr Check kChecks[] = {
    {1, "architecture", Topic::kDriver, "Programs and images are of this machine's architecture",
     "exec format error; no matching manifest for linux/arm64", architecture},
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
