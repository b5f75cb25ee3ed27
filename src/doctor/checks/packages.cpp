// Rows 14 to 16, 18 and 19: packages with GPU kernels of their own.
#include <algorithm>

#include "doctor/checks/all.h"
#include "doctor/checks/common.h"
#include "doctor/programs.h"
#include "doctor/version.h"

namespace hearth::doctor {
namespace {

Outcome attention(const Context& context) {
  if (std::optional<Outcome> outcome = unless_gb10(context)) return *outcome;
  if (std::optional<Outcome> seen = seen_in_log(context, 14, Verdict::kNote)) return *seen;
  Outcome risky = note("attention packages whose kernels may not be built for sm_121; FlashAttention 3 and trtllm-gen "
                       "never run on 12.x");
  const bool is_there = saw_packages(context, risky, [](const Package& package) {
    return package.name.starts_with("flash-attn") || package.name == "xformers";
  });
  if (!is_there) return ok("no flash-attn or xformers found");
  return risky.advise("take cuDNN's attention (torch.nn.attention.sdpa_kernel([SDPBackend.CUDNN_ATTENTION])) or "
                      "FlashInfer with fa2 or XQA; uninstall what you do not use");
}

Outcome shared_memory(const Context& context) {
  if (std::optional<Outcome> outcome = unless_gb10(context)) return *outcome;
  if (std::optional<Outcome> seen = seen_in_log(context, 15, Verdict::kFailure)) return *seen;
  Outcome old = warning("CUTLASS before 4.4.2 sizes tiles for 228 KiB of shared memory; a block here has 99 KiB");
  const bool has_old = saw_packages(context, old, [](const Package& package) {
    return package.name == "nvidia-cutlass" && is_below(package.version, "4.4.2");
  });
  if (has_old) return old.by_hand("pip install --upgrade 'nvidia-cutlass>=4.4.2'", "in that environment");
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

void add_wrong_packages(const Context& context, Outcome& wrong) {
  const bool has_dsl = saw_packages(context, wrong, [](const Package& package) {
    return package.name == "nvidia-cutlass-dsl" && Version(package.version) == Version("4.5.0");
  });
  const bool has_blas = saw_packages(context, wrong, [](const Package& package) {
    return package.name.starts_with("nvidia-cublas") && !is_below(package.version, "13.4.0") &&
           is_below(package.version, "13.4.1");
  });
  if (has_dsl) wrong.by_hand("pip install --upgrade 'nvidia-cutlass-dsl>=4.5.1'", "in that environment");
  if (has_blas) wrong.by_hand("pip install --upgrade 'nvidia-cublas>=13.4.1'", "in that environment");
}

void add_wrong_toolkit(const Context& context, Outcome& wrong) {
  constexpr const char* kFile = "/usr/local/cuda/version.json";
  const std::string toolkit = context.root().text(kFile).value_or("");
  const std::string cublas = toolkit_part(toolkit, "libcublas");
  const bool is_update_1 = toolkit_part(toolkit, "cuda").starts_with("13.2.1");
  if (!is_update_1 || cublas.empty() || !is_below(cublas, "13.4.1")) return;
  wrong.saw(kFile, "CUDA 13.2 update 1 with cuBLAS " + cublas);
  wrong.by_hand("sudo apt update && sudo apt install --only-upgrade libcublas-13-2", "13.4.1 has the fix");
}

Outcome nvfp4(const Context& context) {
  if (std::optional<Outcome> outcome = unless_gb10(context)) return *outcome;
  Outcome wrong = failure("a library that computes NVFP4 products wrongly: text of '!!!!' or noise");
  add_wrong_packages(context, wrong);
  add_wrong_toolkit(context, wrong);
  if (!wrong.evidence.empty()) return wrong;
  if (std::optional<Outcome> seen = seen_in_log(context, 16, Verdict::kFailure)) return *seen;
  return ok("none of the releases known to be wrong was found: CUTLASS DSL 4.5.0, cuBLAS 13.4.0 of CUDA 13.2 update 1");
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

bool has_no_arm_wheels(const Package& package) {
  return package.name == "paddlepaddle" || package.name == "paddlepaddle-gpu" || package.name == "easy-dwpose";
}

Outcome ecosystem(const Context& context) {
  if (std::optional<Outcome> outcome = unless_gb10(context)) return *outcome;
  Outcome found = note("packages without ready builds for ARM and sm_121");
  const bool has_sage =
      saw_packages(context, found, [](const Package& package) { return package.name == "sageattention"; });
  const bool has_others = saw_packages(context, found, has_no_arm_wheels);
  if (!has_sage && !has_others) return ok("neither SageAttention, PaddlePaddle nor easy_dwpose found");
  if (has_sage) {
    found.by_hand("TORCH_CUDA_ARCH_LIST=12.1a pip install --no-build-isolation --force-reinstall .",
                  "in SageAttention's source folder, if it says that no kernel image is available; its own support "
                  "for sm_121 was merged and taken back. ComfyUI uses it only with --use-sage-attention");
  }
  for (const Package& package : context.packages()) {
    if (has_no_arm_wheels(package)) {
      found.advise("leave " + package.name + " out of the requirements: there are no ARM wheels");
    }
  }
  return found;
}

constexpr Check kChecks[] = {
    {14, "attention", Topic::kPython, "Attention packages have kernels for sm_121",
     "FATAL: kernel fmha_cutlassF_... is for sm80-sm100, but was built for sm121", attention},
    {15, "shared-memory", Topic::kPython, "Kernels fit into 99 KiB of shared memory",
     "out of resource: shared memory, Required: 106496, Hardware limit: 101376", shared_memory},
    {16, "nvfp4", Topic::kPython, "No library with wrong NVFP4 products", "answers of '!!!!' or noise", nvfp4},
    {18, "onnx-tensorrt", Topic::kPython, "ONNX Runtime and TensorRT are builds that can use the GPU",
     "provider missing; no matching distribution found for onnxruntime-gpu", onnx_tensorrt},
    {19, "ecosystem", Topic::kPython, "No package without builds for ARM and sm_121",
     "SageAttention: no kernel image; no matching distribution for paddlepaddle", ecosystem},
};

}  // namespace

std::span<const Check> package_checks() { return kChecks; }

}  // namespace hearth::doctor
