// Rows 9 to 11, 17, 45 and 50: frameworks and engines that are installed, and where.
#include <algorithm>

#include "doctor/checks/all.h"
#include "doctor/checks/common.h"
#include "doctor/programs.h"
#include "doctor/version.h"

namespace hearth::doctor {
namespace {

constexpr const char* kCu130 =
    "pip install torch torchvision torchaudio --index-url https://download.pytorch.org/whl/cu130";

Outcome torch_range(const Context& context) {
  if (std::optional<Outcome> outcome = unless_gb10(context)) return *outcome;
  Outcome warns = note("this PyTorch warns that capability 12.1 lies outside its range (8.0) - (12.0): its metadata "
                       "only, sm_120 code runs");
  const bool has_old = saw_packages(context, warns, [](const Package& package) {
    return package.name == "torch" && is_below(package.version, "2.11");
  });
  if (!has_old) return ok("no PyTorch older than 2.11 found");
  return warns.advise("ignore the warning; from 2.11 on it is partly gone");
}

std::string cuda_runtime_beside(const Context& context, const Package& package) {
  for (const Package& other : context.packages()) {
    if (other.folder == package.folder && other.name.starts_with("nvidia-cuda-runtime")) return other.version;
  }
  return "";
}

bool is_for_cuda_12(const Context& context, const Package& torch) {
  const std::string local = Version(torch.version).local();
  return local.starts_with("cu12") || (local.empty() && cuda_runtime_beside(context, torch).starts_with("12."));
}

Outcome torch_cuda(const Context& context) {
  if (std::optional<Outcome> outcome = unless_gb10(context)) return *outcome;
  Outcome old = warning("a PyTorch for CUDA 12 on a CUDA 13 machine: training was measured at a third of the speed, "
                        "and packages built beside it miss libcudart.so.12 or symbols");
  const bool has_old = saw_packages(context, old, [&](const Package& package) {
    return package.name == "torch" && is_for_cuda_12(context, package);
  });
  return has_old ? old.by_hand(kCu130, "in that environment") : ok("no PyTorch for CUDA 12 found");
}

Outcome torch_cpu(const Context& context) {
  if (std::optional<Outcome> outcome = without_nvidia(context)) return *outcome;
  Outcome cpu = warning("a PyTorch without CUDA: torch.cuda.is_available() is false. Older releases come so for ARM "
                        "when no index is named");
  for (const Program& program : find_programs(context)) {
    if (program.name == "PyTorch" && program.lacks == "cuda") cpu.saw(program.place, "torch " + program.version);
  }
  if (cpu.evidence.empty()) return ok("no PyTorch without CUDA found");
  return cpu.by_hand(kCu130, "in that environment");
}

Outcome tensorflow(const Context& context) {
  if (std::optional<Outcome> outcome = unless_gb10(context)) return *outcome;
  Outcome found = note("there are no TensorFlow builds for the GB10's GPU: it computes on the CPU");
  const bool is_there = saw_packages(context, found, [](const Package& package) {
    return package.name == "tensorflow" || package.name == "tensorflow-cpu" || package.name == "tensorflow-aarch64";
  });
  if (!is_there) return ok("no TensorFlow found");
  return found.advise("take NVIDIA's TensorFlow container, or another framework");
}

// PEP 668: the distribution marks its Python as its own.
bool is_managed(const machine::Root& root) {
  return std::ranges::any_of(root.names("/usr/lib"), [&](const std::string& name) {
    return name.starts_with("python3") && root.has("/usr/lib/" + name + "/EXTERNALLY-MANAGED");
  });
}

Outcome system_python(const Context& context) {
  if (!is_managed(context.root())) return ok("the system's Python is not marked as managed by the distribution");
  Outcome mixed = note("packages were installed into the system's own Python, which the distribution manages (PEP "
                       "668): its updates and yours break each other");
  const bool has_some = saw_packages(
      context, mixed, [](const Package& package) { return package.folder.starts_with("/usr/local/lib/"); });
  if (!has_some) return ok().saw("/usr/local/lib", "no framework in the system's Python");
  return mixed.by_hand("python3 -m venv ~/venv && ~/venv/bin/pip install ...",
                       "an environment for each project; `uv venv` does the same faster");
}

Outcome engine_age(const Context& context) {
  constexpr const char* kFirst = "7186";
  Outcome old = note("this llama.cpp is older than b7186, which brought Gated DeltaNet: Qwen3-Next and "
                     "Qwen3-Coder-Next answer wrongly or not at all; they also need the key_gdiff fix of February "
                     "2026");
  for (const Program& program : find_programs(context)) {
    if (program.name != "llama.cpp" || program.version.empty()) continue;
    if (!is_below(program.version.substr(1), kFirst)) continue;
    old.saw(program.place, "llama.cpp " + program.version);
    old.by_hand("git pull && " + program.cure, "in " + program.place);
  }
  if (!old.evidence.empty()) return old;
  if (std::optional<Outcome> seen = seen_in_log(context, 50, Verdict::kNote)) return *seen;
  return ok("no llama.cpp older than b7186 found");
}

constexpr Check kChecks[] = {
    {9, "torch-range", Topic::kPython, "PyTorch's warning about capability 12.1 is harmless",
     "Found GPU0 NVIDIA GB10 which is of cuda capability 12.1 ... (8.0) - (12.0)", torch_range},
    {10, "torch-cuda", Topic::kPython, "PyTorch is built for CUDA 13",
     "slow training; libcudart.so.12: cannot open shared object file; undefined symbol", torch_cuda},
    {11, "torch-cpu", Topic::kPython, "PyTorch is built with CUDA at all", "torch.cuda.is_available() is false",
     torch_cpu},
    {17, "tensorflow", Topic::kPython, "TensorFlow is not expected to use the GPU", "TensorFlow sees no GPU",
     tensorflow},
    {45, "system-python", Topic::kPython, "Frameworks live in environments of their own",
     "error: externally-managed-environment", system_python},
    {50, "engine-age", Topic::kPython, "llama.cpp knows the architectures of current models",
     "wrong answers, or unknown model architecture", engine_age},
};

}  // namespace

std::span<const Check> python_checks() { return kChecks; }

}  // namespace hearth::doctor
