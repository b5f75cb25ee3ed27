#include "doctor/programs.h"

#include <algorithm>
#include <functional>
#include <optional>

#include "doctor/targets.h"
#include "doctor/version.h"

namespace hearth::doctor {
namespace {

constexpr const char* kTorchIndex =
    "pip install torch torchvision torchaudio --index-url https://download.pytorch.org/whl/cu130";

// A package beside another one, by the beginning of its name.
std::optional<Package> beside(const Context& context, const Package& package, std::string_view name) {
  for (const Package& other : context.packages()) {
    if (other.folder == package.folder && other.name.starts_with(name)) return other;
  }
  return std::nullopt;
}

// The CUDA release a build is for: "cu130" -> "13.0"; else that of the runtime library beside it.
std::string cuda_of(const Context& context, const Package& package) {
  const std::string local = Version(package.version).local();
  if (local.starts_with("cu") && local.size() >= 5) return local.substr(2, 2) + "." + local.substr(4, 1);
  const std::optional<Package> runtime = beside(context, package, "nvidia-cuda-runtime");
  return runtime ? runtime->version : "";
}

void judge_torch(const Context& context, const Package& package, Program& program) {
  const Version version(package.version);
  const std::string cuda = cuda_of(context, package);
  program.cure = kTorchIndex;
  if (contains(version.local(), "nv") || contains(version.text(), "nv")) {
    program.runs = Runs::kYes;
    program.why = "a build of NVIDIA's container";
  } else if (version.local() == "cpu" || cuda.empty()) {
    program.runs = Runs::kNo;
    program.lacks = "cuda";
    program.why = "a build for CPUs: no CUDA in its version and no CUDA runtime beside it";
  } else if (is_below(package.version, "2.7") || is_below(cuda, "12.8")) {
    program.runs = Runs::kNo;
    program.lacks = "sm_12x";
    program.why = "a build for CUDA " + cuda + " has no code for sm_120 or sm_121";
  } else if (is_below(cuda, "13")) {
    program.runs = Runs::kYes;
    program.why = "its sm_120 code loads on 12.1; built for CUDA " + cuda + ", slower and without FP4: cu130 is better";
  } else {
    program.runs = Runs::kYes;
    program.why = "its sm_120 code loads on 12.1; a warning about 12.1 is harmless";
  }
}

void judge_triton(const Context&, const Package& package, Program& program) {
  program.runs = Runs::kYes;
  if (is_below(package.version, "3.6")) {
    program.why = "only with TRITON_PTXAS_PATH: its own ptxas 12.8 does not know sm_121a";
    program.cure = "pip install 'triton>=3.6'";
  } else {
    program.why = "brings an assembler that knows sm_121a; no variable is needed";
  }
}

void judge_vllm(const Context& context, const Package& package, Program& program) {
  if (is_below(package.version, "0.11.1") || package.version.starts_with("0.11.1rc")) {
    program.runs = Runs::kNo;
    program.lacks = "sm_12x";
    program.why = "its scaled matrix products were not built for 12.x";
    program.cure = "pip install --upgrade vllm";
    return;
  }
  const std::optional<Package> torch = beside(context, package, "torch");
  if (!torch) {
    program.why = "there is no PyTorch beside it";
    return;
  }
  Program with;
  judge_torch(context, *torch, with);
  program.runs = with.runs == Runs::kNo ? Runs::kNo : Runs::kUnknown;
  program.why = with.runs == Runs::kNo ? "its PyTorch does not: " + with.why
                                       : "its PyTorch does; which of its own kernels are built for 12.x is not "
                                         "written in the package";
}

void judge_sage(const Context&, const Package&, Program& program) {
  program.why = "its kernels are compiled where it was installed, and the package does not say for what";
  program.cure = "TORCH_CUDA_ARCH_LIST=12.1a pip install --no-build-isolation --force-reinstall .";
}

void judge_onnx(const Context&, const Package& package, Program& program) {
  if (package.name == "onnxruntime") {
    program.runs = Runs::kNo;
    program.lacks = "cuda";
    program.why = "the CPU package";
  } else {
    program.why = "only the ARM wheels for CUDA 13, published since May 2026, run; they lack the TensorRT provider";
  }
  program.cure = "pip install --upgrade onnxruntime-gpu";
}

void judge_tensorrt(const Context&, const Package& package, Program& program) {
  const bool is_old = is_below(package.version, "10.14");
  program.runs = is_old ? Runs::kNo : Runs::kUnknown;
  program.lacks = is_old ? "sm_12x" : "";
  program.why = is_old ? "ARM builds for CUDA 13 exist from 10.14 on"
                       : "10.14 and newer exist for ARM and CUDA 13; nobody has confirmed them on 12.1";
  program.cure = is_old ? "pip install --upgrade tensorrt" : "";
}

struct Kind {
  const char* package;
  const char* name;
  void (*judge)(const Context&, const Package&, Program&);
};
constexpr Kind kKinds[] = {{"torch", "PyTorch", judge_torch}, {"triton", "Triton", judge_triton},
                           {"pytorch-triton", "Triton", judge_triton}, {"vllm", "vLLM", judge_vllm},
                           {"sageattention", "SageAttention", judge_sage}, {"onnxruntime", "ONNX Runtime", judge_onnx},
                           {"onnxruntime-gpu", "ONNX Runtime", judge_onnx}, {"tensorrt", "TensorRT", judge_tensorrt}};

void add_packages(const Context& context, std::vector<Program>& programs) {
  for (const Package& package : context.packages()) {
    for (const Kind& kind : kKinds) {
      if (package.name != kind.package) continue;
      Program program{.name = kind.name, .version = package.version, .place = package.folder};
      kind.judge(context, package, program);
      programs.push_back(std::move(program));
    }
  }
}

// libnvinfer.so.10.14.1 installed by the system's packages.
void add_system_tensorrt(const Context& context, std::vector<Program>& programs) {
  constexpr std::string_view kName = "libnvinfer.so.";
  for (const char* folder : {"/usr/lib/aarch64-linux-gnu", "/usr/lib/x86_64-linux-gnu"}) {
    for (const std::string& name : context.root().names(folder)) {
      if (!name.starts_with(kName) || std::ranges::count(name, '.') < 4) continue;
      const Package package{.name = "tensorrt", .version = name.substr(kName.size()), .folder = folder};
      Program program{.name = "TensorRT", .version = package.version, .place = folder};
      judge_tensorrt(context, package, program);
      program.cure = program.lacks.empty() ? "" : "sudo apt install --only-upgrade tensorrt";
      programs.push_back(std::move(program));
    }
  }
}

// ComfyUI is Python throughout: it runs where its PyTorch does, which is known when that lies in its own folder.
void judge_comfyui(const std::vector<Program>& programs, Program& comfyui) {
  const auto torch = std::ranges::find_if(programs, [&](const Program& program) {
    return program.name == "PyTorch" && program.place.starts_with(comfyui.place + "/");
  });
  comfyui.why = "it runs where its PyTorch does; SageAttention is used only with --use-sage-attention";
  if (torch == programs.end()) return;
  comfyui.runs = torch->runs;
  comfyui.why = "its PyTorch " + torch->version + ": " + torch->why +
                "; SageAttention is used only with --use-sage-attention";
}

void add_comfyui(const Context& context, std::vector<Program>& programs) {
  for (const std::string& folder : folders_with(context, "comfyui_version.py", {"ComfyUI", "comfyui", "comfy"})) {
    const std::string text = context.root().text(folder + "/comfyui_version.py").value_or("");
    Program comfyui{.name = "ComfyUI",
                    .version = machine::field_of(text, "__version__").value_or(""),
                    .place = folder};
    judge_comfyui(programs, comfyui);
    programs.push_back(std::move(comfyui));
  }
}

// A value of CMakeCache.txt: "NAME:TYPE=value".
std::string cached(const std::string& cache, const std::string& name) {
  for (const std::string& line : machine::lines_of(cache)) {
    if (line.starts_with(name + ":")) return trimmed(line.substr(std::min(line.find('=') + 1, line.size())));
  }
  return "";
}

void judge_llama_targets(Program& program) {
  const Loads loads = loads_on_121(program.built_for);
  if (loads == Loads::kUnknown) {
    program.why = "its build does not name the architectures it was made for";
    return;
  }
  program.runs = loads == Loads::kNothing ? Runs::kNo : Runs::kYes;
  program.lacks = loads == Loads::kNothing ? "sm_12x" : "";
  program.why = "built for " + program.built_for;
  if (loads == Loads::kPtx) program.why += ": the driver compiles it at the first start, without what 12.x adds";
}

void judge_llama(const std::string& cache, Program& program) {
  program.built_for = cached(cache, "CMAKE_CUDA_ARCHITECTURES");
  program.cure = "cmake -B build -DGGML_CUDA=ON -DCMAKE_CUDA_ARCHITECTURES=121a-real && cmake --build build -j";
  if (cache.empty()) {
    program.why = "its build/CMakeCache.txt cannot be read";
  } else if (cached(cache, "GGML_CUDA") != "ON") {
    program.runs = Runs::kNo;
    program.lacks = "cuda";
    program.why = "built without GGML_CUDA";
  } else {
    judge_llama_targets(program);
  }
}

void add_llama(const Context& context, std::vector<Program>& programs) {
  for (const std::string& folder : folders_with(context, "build/CMakeCache.txt", {"llama.cpp"})) {
    const std::string cache = context.root().text(folder + "/build/CMakeCache.txt").value_or("");
    if (!contains(cache, "GGML_")) continue;
    const std::string info = context.root().text(folder + "/build/common/build-info.cpp").value_or("");
    std::string number = machine::field_of(info, "int LLAMA_BUILD_NUMBER").value_or("");
    std::erase(number, ';');
    Program program{.name = "llama.cpp", .version = number.empty() ? "" : "b" + number, .place = folder};
    judge_llama(cache, program);
    programs.push_back(std::move(program));
  }
}

}  // namespace

std::string_view name_of(Runs runs) {
  constexpr std::string_view kNames[] = {"yes", "no", "unknown"};
  return kNames[static_cast<int>(runs)];
}

std::vector<Program> find_programs(const Context& context) {
  std::vector<Program> programs;
  add_packages(context, programs);
  add_system_tensorrt(context, programs);
  add_comfyui(context, programs);
  add_llama(context, programs);
  return programs;
}

}  // namespace hearth::doctor
