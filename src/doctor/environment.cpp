#include "doctor/environment.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "core/base/nearest.h"
#include "doctor/programs.h"
#include "doctor/version.h"

namespace hearth::doctor {
namespace {

// "12.1a" for a GB10, "8.9" for another GPU.
std::string torch_target(const Context& context) {
  if (context.gpus().empty() || !context.gpus()[0].compute_capability) return "12.1a";
  const int capability = *context.gpus()[0].compute_capability;
  const char* suffix = capability >= 90 && capability != 100 ? "a" : "";
  return fmt::format("{}.{}{}", capability / 10, capability % 10, suffix);
}

std::string cmake_target(const Context& context) {
  std::string target = torch_target(context);
  std::erase(target, '.');
  return target + "-real";
}

struct Advisor {
  const Context& context;
  EnvironmentAdvice& advice;

  void set(const char* name, std::string value, const char* when, const char* why) {
    advice.lines.push_back({Need::kSet, name, std::move(value), when, why});
  }
  void unset(const char* name, const char* when, const char* why) {
    advice.lines.push_back({Need::kUnset, name, "", when, why});
  }
  void not_needed(const char* name, std::string when, const char* why) {
    advice.lines.push_back({Need::kNotNeeded, name, "", std::move(when), why});
  }
  void say(const char* note) { advice.notes.push_back(note); }

  // Versions of a program; each is noted as found.
  std::vector<std::string> versions(std::string_view program) {
    std::vector<std::string> found;
    for (const Program& known : find_programs(context)) {
      if (known.name != program) continue;
      found.push_back(known.version);
      advice.found.push_back(known.name + " " + known.version + " in " + known.place);
    }
    return found;
  }

  void assembler() {
    const std::vector<std::string> tritons = versions("Triton");
    const bool has_old = std::ranges::any_of(tritons, [](const std::string& v) { return is_below(v, "3.6"); });
    if (!tritons.empty() && !has_old) {
      not_needed("TRITON_PTXAS_PATH", "Triton 3.6 and newer, as found",
                 "they bring an assembler that knows sm_121a; a path may pin an older one");
      return;
    }
    set("TRITON_PTXAS_PATH", "/usr/local/cuda/bin/ptxas", "Triton 3.5 and older only",
        "their own ptxas 12.8 does not know sm_121a; the toolkit's must be 12.9 or newer");
  }

  void compiling() {
    set("TORCH_CUDA_ARCH_LIST", torch_target(context), "while compiling PyTorch extensions, with CUDA 12.9 or newer",
        "a plain 12.1 builds without the FP4 instructions");
    set("CUDA_HOME", "/usr/local/cuda", "while compiling", "the distribution's nvcc is 12.0");
  }

  void debugging_switches() {
    unset("PYTORCH_NO_CUDA_MEMORY_CACHING", "always",
          "a switch for debugging: every tensor becomes a cudaMalloc, the dangerous call on one memory");
    unset("CUDA_MANAGED_FORCE_DEVICE_ALLOC", "always", "concerns machines with several discrete GPUs");
    if (contains(context.variable("LD_LIBRARY_PATH").value_or(""), "cudnn")) {
      unset("LD_LIBRARY_PATH", "as it is set here", "it names a cuDNN that comes before PyTorch's own");
    }
  }
};

void advise_pytorch(Advisor& a) {
  a.versions("PyTorch");
  a.compiling();
  a.assembler();
  a.debugging_switches();
  a.say("torch.compile needs no variable from Triton 3.6 on. With an older one, TORCHDYNAMO_DISABLE=1 is the last "
        "resort.");
  a.say("Which wheel matters more than any variable: --index-url https://download.pytorch.org/whl/cu130.");
}

void advise_triton(Advisor& a) { a.assembler(); }

void advise_vllm(Advisor& a) {
  a.versions("vLLM");
  a.compiling();
  a.assembler();
  a.debugging_switches();
  a.not_needed("VLLM_USE_FLASHINFER_MXFP4_MOE", "MXFP4 models such as gpt-oss only",
               "named in guides; no measurement on a GB10 was found: compare with and without");
  a.unset("NCCL_IB_GID_INDEX", "two machines", "the index moves; an empty value counts as 0");
  a.say("TORCH_CUDA_ARCH_LIST also counts while it runs: FlashInfer compiles kernels at the first request.");
  a.say("Memory is a flag: --gpu-memory-utilization 0.85 at most, of all memory, and MemAvailable decides.");
}

void advise_comfyui(Advisor& a) {
  a.versions("ComfyUI");
  a.versions("PyTorch");
  a.versions("SageAttention");
  a.assembler();
  a.debugging_switches();
  a.say("SageAttention is used only with the flag --use-sage-attention; --force-fp16 does not switch it on.");
  a.say("SDXL's original VAE overflows in FP16: --bf16-vae or --fp32-vae, not --fp16-vae.");
}

void advise_build(Advisor& a) {
  a.set("PATH", "/usr/local/cuda/bin:$PATH", "always", "before /usr/bin, where an nvcc 12.0 may lie");
  a.set("CUDACXX", "/usr/local/cuda/bin/nvcc", "CMake", "CMake takes this compiler whatever PATH says");
  a.set("CUDAARCHS", cmake_target(a.context), "CMake, with CUDA 12.9 or newer",
        "the default of CMAKE_CUDA_ARCHITECTURES; a plain 121 builds without the FP4 instructions");
  a.compiling();
  a.say("nvcc alone: -gencode arch=compute_120f,code=sm_120f loads on RTX 50 cards and on a GB10.");
}

struct Stack {
  const char* name;
  void (*advise)(Advisor&);
};
constexpr Stack kStacks[] = {{"pytorch", advise_pytorch}, {"triton", advise_triton}, {"vllm", advise_vllm},
                             {"comfyui", advise_comfyui}, {"build", advise_build}};

const char* name_of(Need need) {
  constexpr const char* kNames[] = {"set", "unset", "not needed"};
  return kNames[static_cast<int>(need)];
}

}  // namespace

const std::vector<std::string>& environment_stacks() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Stack& stack : kStacks) all.push_back(stack.name);
    return all;
  }();
  return names;
}

Result<EnvironmentAdvice> environment_for(const Context& context, std::string_view name) {
  for (const Stack& stack : kStacks) {
    if (stack.name != name) continue;
    EnvironmentAdvice advice{.stack = std::string(name)};
    Advisor advisor{context, advice};
    stack.advise(advisor);
    if (context.gpus().empty()) advice.notes.push_back("No GPU is stated here: the values are those of a GB10.");
    return advice;
  }
  const std::string nearest = nearest_name(name, environment_stacks());
  return unexpected(Code::kInvalidArgument,
                    fmt::format("--env: unknown stack '{}'{}; there are pytorch, triton, vllm, comfyui, build", name,
                                nearest.empty() ? "" : ", did you mean '" + nearest + "'?"));
}

std::string as_shell(const EnvironmentAdvice& advice) {
  std::string text = "# " + advice.stack + " on this machine\n";
  for (const std::string& found : advice.found) text += "# found: " + found + "\n";
  if (advice.found.empty()) text += "# found: nothing of it in the usual places; --look-in FOLDER names others\n";
  for (const EnvironmentLine& line : advice.lines) {
    text += fmt::format("\n# {}: {}\n", line.when, line.why);
    switch (line.need) {
      case Need::kSet: text += fmt::format("export {}={}\n", line.name, line.value); break;
      case Need::kUnset: text += fmt::format("unset {}\n", line.name); break;
      case Need::kNotNeeded: text += fmt::format("# {} is not needed\n", line.name); break;
    }
  }
  if (!advice.notes.empty()) text += "\n";
  for (const std::string& note : advice.notes) text += "# " + note + "\n";
  return text;
}

Value as_value(const EnvironmentAdvice& advice) {
  Value lines = Value::list(), found = Value::list(), notes = Value::list();
  for (const EnvironmentLine& line : advice.lines) {
    lines.push(Value::object({{"need", name_of(line.need)}, {"name", line.name}, {"value", line.value},
                              {"when", line.when}, {"why", line.why}}));
  }
  for (const std::string& text : advice.found) found.push(text);
  for (const std::string& text : advice.notes) notes.push(text);
  return Value::object({{"stack", advice.stack}, {"found", std::move(found)}, {"variables", std::move(lines)},
                        {"notes", std::move(notes)}});
}

}  // namespace hearth::doctor
