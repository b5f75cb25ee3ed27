// Places: the folders a workflow reads and writes: model folders by kind, input, output and temp. Names that come from
// a workflow never lead outside of them. Thread-safe once built.
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace hearth::workflow {

/// Model folders as ComfyUI has them. Each kind ("checkpoints", "loras") has folders that are searched in order; the
/// first that holds a name wins. Listings are kept until a folder below changes.
class ModelFolders {
 public:
  /// `models` is ComfyUI's models folder; `output`, if given, adds its checkpoints, loras and so on as last places.
  explicit ModelFolders(const std::string& models, const std::string& output = "");
  ModelFolders(ModelFolders&&) noexcept;
  ~ModelFolders();

  /// extra_model_paths.yaml. kInvalidArgument naming the file and the section when it is not one.
  Result<void> add_yaml(const std::string& file);
  void add_folder(std::string_view kind, const std::string& folder, bool first = false);
  /// A folder of what comes with the program: searched last, and its names stand behind all others.
  void add_shipped(std::string_view kind, const std::string& folder);

  std::vector<std::string> kinds() const;
  bool has(std::string_view kind) const;
  std::vector<std::string> folders(std::string_view kind) const;
  /// Lower-case extensions with their dot; empty: any file; {"folder"}: folders.
  std::vector<std::string> extensions(std::string_view kind) const;
  /// Names relative to their folder, each once, sorted but for those that come with the program. Legacy kinds "unet"
  /// and "clip" are understood.
  std::vector<std::string> list(std::string_view kind) const;
  /// Which folder of folders(kind) a name of list(kind) comes from is in `folder`.
  struct File {
    std::string name;
    size_t folder = 0;
    bool is_shipped = false;
  };
  std::vector<File> files(std::string_view kind) const;
  /// The file a name stands for; kNotFound says where it was looked for.
  Result<std::string> resolve(std::string_view kind, std::string_view name) const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

struct Places {
  ModelFolders models;
  std::string input, output, temp;

  /// "output", "input" or "temp" -> its folder; nullptr for another word.
  const std::string* folder(std::string_view type) const;
  /// "name", "sub/name" or "name [output]" of a workflow -> path; kInvalidArgument when it would leave its folder.
  Result<std::string> annotated_path(std::string_view name) const;
  /// The checkpoint of a request that names none: the user's if there is one, else the one that comes with the program.
  /// kInvalidArgument naming them when the user has several, kNotFound when there is none at all.
  Result<std::string> default_checkpoint() const;
};

/// `name` below `root` with "." and ".." resolved; nothing when it is absolute or would climb out.
std::optional<std::string> path_below(const std::string& root, std::string_view name);

}  // namespace hearth::workflow
