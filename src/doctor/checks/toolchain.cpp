// Rows 6, 7, 8, 12 and 13: compilers that must know sm_121.
#include <algorithm>

#include "doctor/checks/all.h"
#include "doctor/checks/common.h"
#include "doctor/programs.h"
#include "doctor/targets.h"
#include "doctor/version.h"

namespace hearth::doctor {
namespace {

constexpr const char* kToolkitNvcc = "/usr/local/cuda/bin/nvcc";
// The oldest release of CUDA whose compilers know sm_121a.
constexpr const char* kFirstWith121 = "12.9";

// "Cuda compilation tools, release 12.0, V12.0.140" -> "12.0"
std::string release_of(const std::string& text) {
  const size_t at = text.find("release ");
  if (at == text.npos) return "";
  const std::string rest = text.substr(at + 8);
  return rest.substr(0, rest.find_first_not_of("0123456789."));
}

Outcome nvcc_not_on_path(bool has_toolkit) {
  if (!has_toolkit) return ok("no nvcc on PATH: only who compiles CUDA needs one");
  return note("the CUDA toolkit is installed and its nvcc is not on PATH: builds find none, or another one")
      .saw(kToolkitNvcc, "present")
      .saw("which -a nvcc", "nothing")
      .cure("export PATH=/usr/local/cuda/bin:$PATH", "for this shell; in ~/.profile for all");
}

Outcome nvcc(const Context& context) {
  const std::vector<std::string> paths = machine::lines_of(context.said({"which", "-a", "nvcc"}).value_or(""));
  const bool has_toolkit = context.root().has(kToolkitNvcc);
  if (paths.empty()) return nvcc_not_on_path(has_toolkit);
  const std::string release = release_of(context.said({"nvcc", "--version"}).value_or(""));
  if (release.empty()) return unknown("`nvcc --version` did not answer");
  const bool is_shadowed = paths[0] == "/usr/bin/nvcc" && has_toolkit;
  const bool is_too_old = context.is_gb10() && is_below(release, kFirstWith121);
  if (!is_shadowed && !is_too_old) return ok().saw("which -a nvcc", joined(paths)).saw("nvcc --version", release);
  return warning("the nvcc that builds find first is too old for this GPU or hides the one in /usr/local/cuda: the "
                 "distribution's package nvidia-cuda-toolkit")
      .saw("which -a nvcc", joined(paths))
      .saw("nvcc --version", release)
      .cure("sudo apt remove nvidia-cuda-toolkit", "leaves the toolkit of /usr/local/cuda alone")
      .cure("export CUDACXX=/usr/local/cuda/bin/nvcc",
            "or -DCMAKE_CUDA_COMPILER=/usr/local/cuda/bin/nvcc, for one build");
}

struct Library {
  std::string version, place;
};

// libnvrtc.so.13.0.88 of toolkits and of pip's packages.
std::vector<Library> nvrtc_libraries(const Context& context) {
  std::vector<Library> found;
  constexpr std::string_view kName = "libnvrtc.so.";
  for (const char* folder : {"/usr/local/cuda/lib64", "/usr/lib/aarch64-linux-gnu", "/usr/lib/x86_64-linux-gnu"}) {
    for (const std::string& name : context.root().names(folder)) {
      if (!name.starts_with(kName) || std::ranges::count(name, '.') < 4) continue;
      found.push_back({name.substr(kName.size()), folder});
    }
  }
  for (const Package& package : context.packages()) {
    if (package.name.starts_with("nvidia-cuda-nvrtc")) found.push_back({package.version, package.folder});
  }
  return found;
}

Outcome nvrtc(const Context& context) {
  if (std::optional<Outcome> outcome = unless_gb10(context)) return *outcome;
  Outcome old = failure("this NVRTC does not know sm_121: programs that compile while they run fail");
  Outcome good = ok();
  for (const Library& library : nvrtc_libraries(context)) {
    const bool is_old = is_below(library.version, kFirstWith121);
    (is_old ? old : good).saw(library.place, "NVRTC " + library.version);
  }
  if (!old.evidence.empty()) {
    return old.cure("pip install torch torchvision --index-url https://download.pytorch.org/whl/cu130",
                    "in that environment: brings NVRTC 13; 12.9 is the oldest that knows sm_121");
  }
  return good.evidence.empty() ? ok("no NVRTC in the usual places: nothing compiles with it") : good;
}

// What TRITON_PTXAS_PATH names: "" good, else what is wrong with it.
std::string trouble_of_assembler(const Context& context, const std::string& path) {
  if (!context.root().has(path)) return path + " does not exist";
  if (!path.ends_with("/ptxas")) return "";  // only the assembler itself is asked for its release
  const std::string release = release_of(context.said({path, "--version"}).value_or(""));
  if (release.empty() || !is_below(release, kFirstWith121)) return "";
  return path + " is of CUDA " + release + ", which does not know sm_121a either";
}

Outcome old_triton(const Context& context, const std::optional<Variable>& path) {
  const std::string trouble = path ? trouble_of_assembler(context, path->value) : "";
  if (path && trouble.empty()) return ok();
  return warning("Triton 3.5 and older bring ptxas 12.8, which does not know sm_121a" +
                 (trouble.empty() ? "" : "; " + trouble))
      .by_hand("pip install 'triton>=3.6'", "brings an assembler that knows it; no variable is needed then")
      .by_hand("export TRITON_PTXAS_PATH=/usr/local/cuda/bin/ptxas",
               "Triton 3.5 and older only, as long as you cannot update");
}

Outcome new_triton(const std::optional<Variable>& path) {
  if (!path) return ok();
  return note("TRITON_PTXAS_PATH is set though this Triton brings its own assembler: it may pin an older one")
      .cure("unset TRITON_PTXAS_PATH", "and take it out of your profile");
}

Outcome triton_assembler(const Context& context) {
  if (std::optional<Outcome> outcome = unless_gb10(context)) return *outcome;
  const std::optional<Variable> path = variable_named(context, "TRITON_PTXAS_PATH");
  Outcome tritons = ok();
  const auto is_triton = [](const Package& p) { return p.name == "triton" || p.name == "pytorch-triton"; };
  if (!saw_packages(context, tritons, is_triton)) return ok("no Triton found: nothing to assemble");
  const bool has_old = std::ranges::any_of(
      context.packages(), [&](const Package& p) { return is_triton(p) && is_below(p.version, "3.6"); });
  Outcome result = has_old ? old_triton(context, path) : new_triton(path);
  for (const Evidence& triton : tritons.evidence) result.saw(triton.where, triton.what);
  if (path) result.saw(path->where, "TRITON_PTXAS_PATH=" + path->value);
  return result;
}

void add_plain_variables(const Context& context, Outcome& plain) {
  for (const char* name : {"TORCH_CUDA_ARCH_LIST", "CMAKE_CUDA_ARCHITECTURES", "CUDAARCHS"}) {
    const std::optional<Variable> variable = variable_named(context, name);
    if (!variable || !names_plain_target(variable->value)) continue;
    plain.saw(variable->where, variable->name + "=" + variable->value);
    const bool is_torch = variable->name.starts_with("TORCH");
    plain.by_hand("export " + variable->name + (is_torch ? "=12.1a" : "=121a-real"),
                  is_torch ? "or 12.0f, which RTX 50 cards load too" : "or 120f-real");
  }
}

void add_plain_builds(const Context& context, Outcome& plain) {
  for (const Program& program : find_programs(context)) {
    if (program.name != "llama.cpp" || !names_plain_target(program.built_for)) continue;
    plain.saw(program.place, "built for " + program.built_for);
    plain.by_hand(program.cure, "in " + program.place);
  }
}

Outcome architecture_list(const Context& context) {
  if (std::optional<Outcome> outcome = unless_gb10(context)) return *outcome;
  Outcome plain = warning("the plain targets 12.0 and 12.1 build without the FP4 and block-scaled instructions: NVFP4 "
                          "is then missing, or slower than FP8");
  add_plain_variables(context, plain);
  add_plain_builds(context, plain);
  if (!plain.evidence.empty()) return plain;
  return ok().saw("environment and units", "no list that names a plain 12.0 or 12.1");
}

bool names_12x_for_scaled_products(const std::string& cmake_lists) {
  return std::ranges::any_of(machine::lines_of(cmake_lists), [](const std::string& line) {
    return contains(line, "SCALED_MM_ARCHS \"") && contains(line, "12.");
  });
}

Outcome vllm_source(const Context& context) {
  if (std::optional<Outcome> outcome = unless_gb10(context)) return *outcome;
  Outcome lacking = note("this vLLM source builds its scaled matrix products for no 12.x GPU (as v0.11.1rc3 did)");
  bool has_source = false;
  for (const std::string& folder : folders_with(context, "vllm/version.py", {"vllm", "vllm-install/vllm"})) {
    const std::string lists = context.root().text(folder + "/CMakeLists.txt").value_or("");
    if (!contains(lists, "SCALED_MM_ARCHS")) continue;
    has_source = true;
    if (!names_12x_for_scaled_products(lists)) lacking.saw(folder + "/CMakeLists.txt", "SCALED_MM_ARCHS without 12.x");
  }
  if (!has_source) return ok("no vLLM source tree found");
  if (lacking.evidence.empty()) return ok().saw("CMakeLists.txt of vLLM", "SCALED_MM_ARCHS names 12.x");
  return lacking.by_hand("git fetch --tags && git checkout $(git tag -l 'v*' --sort=-v:refname | grep -v rc | head -1)",
                         "in that folder, then build again: newer releases name 12.x");
}

constexpr Check kChecks[] = {
    {6, "nvcc", Topic::kToolchain, "The first nvcc is one that knows this GPU",
     "nvcc 12.0 from /usr/bin; Unsupported gpu architecture 'compute_121'", nvcc},
    {7, "nvrtc", Topic::kToolchain, "NVRTC libraries know sm_121",
     "nvrtc: error: invalid value for --gpu-architecture (-arch)", nvrtc},
    {8, "triton-ptxas", Topic::kToolchain, "Triton's assembler knows sm_121a",
     "ptxas fatal : Value 'sm_121a' is not defined for option 'gpu-name'", triton_assembler},
    {12, "architecture-list", Topic::kToolchain, "Builds name 12.1a or 12.0f, not plain 12.1",
     "FP4 kernels missing; NVFP4 slower than FP8", architecture_list},
    {13, "vllm-source", Topic::kToolchain, "A vLLM source tree builds its kernels for 12.x",
     "scaled-mm kernels are absent", vllm_source},
};

}  // namespace

std::span<const Check> toolchain_checks() { return kChecks; }

}  // namespace hearth::doctor
