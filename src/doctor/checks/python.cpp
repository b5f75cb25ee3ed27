// Rows 9 to 11, 14 to 19, 45 and 50: frameworks, kernels' packages and engines that are installed.
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
  for (const Package& torch : context.packages_named("torch")) {
    if (is_below(torch.version, "2.11")) warns.saw(torch.folder, "torch " + torch.version);
  }
  if (warns.evidence.empty()) return ok("no PyTorch older than 2.11 found");
  return warns.advise("ignore the warning; from 2.11 on it is partly gone");
}

std::string cuda_runtime_beside(const Context& context, const Package& package) {
  for (const Package& other : context.packages()) {
    if (other.folder == package.folder && other.name.starts_with("nvidia-cuda-runtime")) return other.version;
  }
  return "";
}

Outcome torch_cuda(const Context& context) {
  if (std::optional<Outcome> outcome = unless_gb10(context)) return *outcome;
  Outcome old = warning("a PyTorch for CUDA 12 on a CUDA 13 machine: training was measured at a third of the speed, "
                        "and "
                        "packages built beside it miss libcudart.so.12 or symbols");
  for (const Package& torch : context.packages_named("torch")) {
    const std::string local = Version(torch.version).local();
    const bool is_cuda_12 = local.starts_with("cu12") ||
                            (local.empty() && cuda_runtime_beside(context, torch).starts_with("12."));
    if (is_cuda_12) old.saw(torch.folder, "torch " + torch.version);
  }
  if (!old.evidence.empty()) return old.by_hand(kCu130, "in that environment");
  return ok("no PyTorch for CUDA 12 found");
}

Outcome torch_cpu(const Context& context) {
  if (std::optional<Outcome> outcome = without_nvidia(context)) return *outcome;
  Outcome cpu = warning("a PyTorch without CUDA: torch.cuda.is_available() is false. Older releases come so for ARM "
                        "when "
                        "no index is named");
  for (const Program& program : find_programs(context)) {
    if (program.name == "PyTorch" && program.lacks == "cuda") cpu.saw(program.place, "torch " + program.version);
  }
  if (!cpu.evidence.empty()) return cpu.by_hand(kCu130, "in that environment");
  return ok("no PyTorch without CUDA found");
}

Outcome attention(const Context& context) {
  if (std::optional<Outcome> outcome = unless_gb10(context)) return *outcome;
  if (std::optional<Outcome> seen = seen_in_log(context, 14, Verdict::kNote)) return *seen;
  Outcome risky = note("attention packages whose kernels may not be built for sm_121; FlashAttention 3 and trtllm-gen "
                       "never run on 12.x");
  for (const Package& package : context.packages()) {
    if (!package.name.starts_with("flash-attn") && package.name != "xformers") continue;
    risky.saw(package.folder, package.name + " " + package.version);
  }
  if (risky.evidence.empty()) return ok("no flash-attn or xformers found");
  return risky.advise("take cuDNN's attention (torch.nn.attention.sdpa_kernel([SDPBackend.CUDNN_ATTENTION])) or "
                      "FlashInfer with fa2 or XQA; uninstall what you do not use");
}

Outcome shared_memory(const Context& context) {
  if (std::optional<Outcome> outcome = unless_gb10(context)) return *outcome;
  if (std::optional<Outcome> seen = seen_in_log(context, 15, Verdict::kFailure)) return *seen;
  Outcome old = warning("CUTLASS before 4.4.2 sizes tiles for 228 KiB of shared memory; a block here has 99 KiB");
  for (const Package& package : context.packages()) {
    const bool is_old = package.name == "nvidia-cutlass" && is_below(package.version, "4.4.2");
    if (is_old) old.saw(package.folder, package.name + " " + package.version);
  }
  if (!old.evidence.empty()) return old.by_hand("pip install --upgrade 'nvidia-cutlass>=4.4.2'", "in that environment");
  return in_log(context, 15, Verdict::kFailure);
}

// The toolkit states its parts in version.json: "libcublas" : { "name": ..., "version": "13.4.0.1" }.
std::string toolkit_part(const std::string& json, const std::string& part) {
  const size_t at = json.find("\"" + part + "\"");
  const size_t version = at == json.npos ? at : json.find("\"version\"", at);
  if (version == json.npos) return "";
  const size_t open = json.find('"', version + 9), close = json.find('"', open + 1);
  return close == json.npos ? "" : json.substr(open + 1, close - open - 1);
}

Outcome nvfp4(const Context& context) {
  if (std::optional<Outcome> outcome = unless_gb10(context)) return *outcome;
  Outcome wrong = failure("a library that computes NVFP4 products wrongly: text of '!!!!' or noise");
  for (const Package& package : context.packages()) {
    const bool is_dsl = package.name == "nvidia-cutlass-dsl" && Version(package.version) == Version("4.5.0");
    const bool is_blas = package.name.starts_with("nvidia-cublas") && !is_below(package.version, "13.4.0") &&
                         is_below(package.version, "13.4.1");
    if (!is_dsl && !is_blas) continue;
    wrong.saw(package.folder, package.name + " " + package.version);
    wrong.by_hand(is_dsl ? "pip install --upgrade 'nvidia-cutlass-dsl>=4.5.1'"
                         : "pip install --upgrade 'nvidia-cublas>=13.4.1'", "in that environment");
  }
  const std::string toolkit = context.root().text("/usr/local/cuda/version.json").value_or("");
  const std::string cublas = toolkit_part(toolkit, "libcublas");
  if (toolkit_part(toolkit, "cuda").starts_with("13.2.1") && !cublas.empty() && is_below(cublas, "13.4.1")) {
    wrong.saw("/usr/local/cuda/version.json", "CUDA 13.2 update 1 with cuBLAS " + cublas);
    wrong.by_hand("sudo apt update && sudo apt install --only-upgrade libcublas-13-2", "13.4.1 has the fix");
  }
  if (!wrong.evidence.empty()) return wrong;
  if (std::optional<Outcome> seen = seen_in_log(context, 16, Verdict::kFailure)) return *seen;
  return ok("none of the releases known to be wrong was found: CUTLASS DSL 4.5.0, cuBLAS 13.4.0 of CUDA 13.2 update 1");
}

Outcome packages_named(const Context& context, const std::vector<std::string>& names, Outcome found, Outcome absent) {
  for (const Package& package : context.packages()) {
    if (std::ranges::count(names, package.name)) found.saw(package.folder, package.name + " " + package.version);
  }
  return found.evidence.empty() ? absent : found;
}

Outcome tensorflow(const Context& context) {
  if (std::optional<Outcome> outcome = unless_gb10(context)) return *outcome;
  return packages_named(context, {"tensorflow", "tensorflow-cpu", "tensorflow-aarch64"},
                        note("there are no TensorFlow builds for the GB10's GPU: it computes on the CPU")
                            .advise("take NVIDIA's TensorFlow container, or another framework"),
                        ok("no TensorFlow found"));
}

Outcome onnx_tensorrt(const Context& context) {
  if (std::optional<Outcome> outcome = unless_gb10(context)) return *outcome;
  Outcome lacking = note("installed builds of ONNX Runtime or TensorRT that cannot use this GPU");
  Outcome fine = ok("no ONNX Runtime or TensorRT found that cannot run here");
  for (const Program& program : find_programs(context)) {
    if (program.name != "ONNX Runtime" && program.name != "TensorRT") continue;
    Outcome& side = program.runs == Runs::kNo ? lacking : fine;
    side.saw(program.place, program.name + " " + program.version + ": " + program.why);
    if (program.runs == Runs::kNo) side.by_hand(program.cure, "in that environment");
  }
  return lacking.evidence.empty() ? fine : lacking;
}

Outcome ecosystem(const Context& context) {
  if (std::optional<Outcome> outcome = unless_gb10(context)) return *outcome;
  Outcome found = note("packages without ready builds for ARM and sm_121");
  for (const Package& package : context.packages()) {
    const bool is_sage = package.name == "sageattention";
    const bool has_none = package.name == "paddlepaddle" || package.name == "paddlepaddle-gpu" ||
                          package.name == "easy-dwpose";
    if (!is_sage && !has_none) continue;
    found.saw(package.folder, package.name + " " + package.version);
    if (is_sage) {
      found.by_hand("TORCH_CUDA_ARCH_LIST=12.1a pip install --no-build-isolation --force-reinstall .",
                    "in SageAttention's source folder, if it says that no kernel image is available; its own support "
                    "for sm_121 was merged and taken back. ComfyUI uses it only with --use-sage-attention");
    } else {
      found.advise("leave " + package.name + " out of the requirements: there are no ARM wheels");
    }
  }
  return found.evidence.empty() ? ok("neither SageAttention, PaddlePaddle nor easy_dwpose found") : found;
}

Outcome system_python(const Context& context) {
  Outcome mixed = note("packages were installed into the system's own Python, which the distribution manages (PEP "
                       "668): "
                       "its updates and yours break each other");
  bool is_managed = false;
  for (const std::string& name : context.root().names("/usr/lib")) {
    is_managed |= name.starts_with("python3") && context.root().has("/usr/lib/" + name + "/EXTERNALLY-MANAGED");
  }
  if (!is_managed) return ok("the system's Python is not marked as managed by the distribution");
  for (const Package& package : context.packages()) {
    if (package.folder.starts_with("/usr/local/lib/")) mixed.saw(package.folder, package.name + " " + package.version);
  }
  if (mixed.evidence.empty()) return ok().saw("/usr/local/lib", "no framework in the system's Python");
  return mixed.by_hand("python3 -m venv ~/venv && ~/venv/bin/pip install ...", "an environment for each project; `uv "
                                                                               "venv` "
                                                                              "does the same faster");
}

Outcome engine_age(const Context& context) {
  Outcome old = note("this llama.cpp is older than b7186, which brought Gated DeltaNet: Qwen3-Next and "
                     "Qwen3-Coder-Next "
                     "answer wrongly or not at all; they also need the key_gdiff fix of February 2026");
  for (const Program& program : find_programs(context)) {
    if (program.name != "llama.cpp" || program.version.empty()) continue;
    if (!is_below(program.version.substr(1), "7186")) continue;
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
    {14, "attention", Topic::kPython, "Attention packages have kernels for sm_121",
     "FATAL: kernel fmha_cutlassF_... is for sm80-sm100, but was built for sm121", attention},
    {15, "shared-memory", Topic::kPython, "Kernels fit into 99 KiB of shared memory",
     "out of resource: shared memory, Required: 106496, Hardware limit: 101376", shared_memory},
    {16, "nvfp4", Topic::kPython, "No library with wrong NVFP4 products", "answers of '!!!!' or noise", nvfp4},
    {17, "tensorflow", Topic::kPython, "TensorFlow is not expected to use the GPU", "TensorFlow sees no GPU",
     tensorflow},
    {18, "onnx-tensorrt", Topic::kPython, "ONNX Runtime and TensorRT are builds that can use the GPU",
     "provider missing; no matching distribution found for onnxruntime-gpu", onnx_tensorrt},
    {19, "ecosystem", Topic::kPython, "No package without builds for ARM and sm_121",
     "SageAttention: no kernel image; no matching distribution for paddlepaddle", ecosystem},
    {45, "system-python", Topic::kPython, "Frameworks live in environments of their own",
     "error: externally-managed-environment", system_python},
    {50, "engine-age", Topic::kPython, "llama.cpp knows the architectures of current models",
     "wrong answers, or unknown model architecture", engine_age},
};

}  // namespace

std::span<const Check> python_checks() { return kChecks; }

}  // namespace hearth::doctor
