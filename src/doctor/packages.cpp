#include "doctor/packages.h"

#include <algorithm>
#include <cctype>
#include <set>
#include <string_view>

#include "doctor/context.h"

namespace hearth::doctor {
namespace {

// Beginnings of names that some check reads. The rest of what people install is nobody's business here.
constexpr std::string_view kKnown[] = {
    "torch", "pytorch-triton", "triton", "vllm", "sageattention", "onnxruntime", "tensorrt", "flash-attn", "xformers",
    "flashinfer", "tensorflow", "paddlepaddle", "easy-dwpose", "nvidia-cutlass", "nvidia-cublas", "nvidia-cuda-nvrtc",
    "nvidia-cuda-runtime", "nvidia-cudnn", "bitsandbytes"};

constexpr std::string_view kInfo = ".dist-info";

class Places {
 public:
  explicit Places(const Context& context) : root_(context.root()) {}

  // A folder with packages in it.
  void add_folder(const std::string& folder) {
    if (root_.has(folder) && seen_.insert(folder).second) folders_.push_back(folder);
  }

  // An installation: <prefix>/lib/python3.12/site-packages.
  void add_prefix(const std::string& prefix) {
    for (const char* lib : {"/lib", "/lib64"}) {
      const std::optional<std::string> target = root_.link(prefix + lib);
      if (target == "lib" || target == prefix + "/lib") continue;  // an environment's lib64
      for (const std::string& name : root_.names(prefix + lib)) {
        if (!name.starts_with("python3")) continue;
        add_folder(prefix + lib + "/" + name + "/site-packages");
        add_folder(prefix + lib + "/" + name + "/dist-packages");
      }
    }
  }

  // A folder of a project: an environment itself, or with one in it.
  void add_project(const std::string& folder) {
    add_prefix(folder);
    for (const char* name : {"/.venv", "/venv", "/env"}) add_prefix(folder + name);
  }

  void add_conda(const std::string& folder) {
    if (!root_.has(folder)) return;
    add_prefix(folder);
    for (const std::string& name : root_.names(folder + "/envs")) add_prefix(folder + "/envs/" + name);
  }

  std::vector<std::string> take() { return std::move(folders_); }

 private:
  const machine::Root& root_;
  std::set<std::string> seen_;
  std::vector<std::string> folders_;
};

std::string normalised(std::string_view name) {
  std::string text = lower(name);
  std::ranges::replace(text, '_', '-');
  std::ranges::replace(text, '.', '-');
  return text;
}

bool is_known(const std::string& name) {
  return std::ranges::any_of(kKnown, [&](std::string_view known) { return name.starts_with(known); });
}

std::string wheel_tag(const Context& context, const std::string& info) {
  const std::optional<std::string> wheel = context.root().text(info + "/WHEEL");
  return wheel ? machine::field_of(*wheel, "Tag").value_or("") : "";
}

}  // namespace

std::vector<std::string> package_folders(const Context& context) {
  Places places(context);
  const machine::Root& root = context.root();
  for (const std::string& folder : context.options().look_in) {
    places.add_folder(folder);
    places.add_project(folder);
    for (const std::string& name : root.names(folder)) places.add_project(folder + "/" + name);
  }
  for (const char* name : {"VIRTUAL_ENV", "CONDA_PREFIX"}) {
    if (const std::optional<std::string> prefix = context.variable(name)) places.add_prefix(*prefix);
  }
  for (const char* prefix : {"/usr", "/usr/local"}) places.add_prefix(prefix);
  places.add_conda("/opt/conda");
  for (const std::string& name : root.names("/opt")) places.add_project("/opt/" + name);
  const std::string home = context.home();
  if (home.empty() || home == "/") return places.take();
  places.add_prefix(home + "/.local");
  places.add_project(home);
  for (const char* name : {"/miniconda3", "/anaconda3", "/miniforge3", "/mambaforge", "/.conda"}) {
    places.add_conda(home + name);
  }
  for (const std::string& name : root.names(home)) {
    if (name[0] != '.') places.add_project(home + "/" + name);
  }
  return places.take();
}

std::vector<Package> find_packages(const Context& context) {
  std::vector<Package> packages;
  for (const std::string& folder : package_folders(context)) {
    for (const std::string& entry : context.root().names(folder)) {
      if (!entry.ends_with(kInfo)) continue;
      const std::string stem = entry.substr(0, entry.size() - kInfo.size());
      const size_t dash = stem.find('-');
      if (dash == stem.npos) continue;
      Package package{.name = normalised(stem.substr(0, dash)), .version = stem.substr(dash + 1), .folder = folder};
      if (!is_known(package.name)) continue;
      package.tag = wheel_tag(context, folder + "/" + entry);
      packages.push_back(std::move(package));
    }
  }
  return packages;
}

std::vector<std::string> folders_with(const Context& context, const std::string& file,
                                      const std::vector<std::string>& usual_names) {
  std::vector<std::string> found;
  auto consider = [&](const std::string& folder) {
    if (!std::ranges::count(found, folder) && context.root().has(folder + "/" + file)) found.push_back(folder);
  };
  for (const std::string& folder : context.options().look_in) {
    consider(folder);
    for (const std::string& name : context.root().names(folder)) consider(folder + "/" + name);
  }
  for (const std::string& base : {context.home(), std::string("/opt"), std::string("/workspace")}) {
    for (const std::string& name : usual_names) consider(base + "/" + name);
  }
  return found;
}

}  // namespace hearth::doctor
