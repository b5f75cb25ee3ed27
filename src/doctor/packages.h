// Python packages on a machine, found by the dist-info folders of its environments. No Python is run.
#pragma once
#include <string>
#include <vector>

namespace hearth::doctor {

class Context;

struct Package {
  std::string name;     // lower case, '-' for '_': "onnxruntime-gpu"
  std::string version;  // "2.9.1+cu130"
  std::string folder;   // the site-packages folder it lies in
  std::string tag;      // of its wheel: "cp312-cp312-manylinux_2_28_aarch64"; "" unknown
};

/// Folders that can hold packages: the system's, /opt, conda and virtual environments in usual places below the home
/// folder, and what Options::look_in names (a site-packages folder, an environment, or a folder of environments).
std::vector<std::string> package_folders(const Context& context);

/// Those that matter here: frameworks, engines and the CUDA libraries beside them.
std::vector<Package> find_packages(const Context& context);

/// Folders of usual places below home and of look_in that hold `file`, such as "comfyui_version.py".
std::vector<std::string> folders_with(const Context& context, const std::string& file,
                                      const std::vector<std::string>& usual_names);

}  // namespace hearth::doctor
