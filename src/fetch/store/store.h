// The model store: one folder, one sub-folder a model, named as the user named it, with a manifest. A sub-folder
// appears under its name only when all its files are whole and durable: a fetch fills <root>/.incoming/NAME, install()
// moves it into place in one step, and what is there after a crash is either resumed or thrown away, never listed.
// Processes: changes of one name exclude each other by a lock file; reading needs no lock.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/files.h"
#include "fetch/store/manifest.h"

namespace hearth::fetch {

/// The right to fill one model's staging folder, and the folder itself. The lock is held until it is destroyed.
struct Incoming {
  std::string name;
  fs::path folder;
  FileLock lock;
  bool replaces = false;  // install() may take the place of a model of this name
};

class Store {
 public:
  /// Opens nothing: the folder is created by the first change.
  explicit Store(fs::path root = default_root()) : root_(std::move(root)) {}
  /// $XDG_DATA_HOME/hearth/models, else ~/.local/share/hearth/models.
  static fs::path default_root();
  const fs::path& root() const { return root_; }

  /// Models whose manifest can be read, by name; a damaged one is logged and left out. A missing root is empty.
  Result<std::vector<StoredModel>> list() const;
  /// kNotFound names the nearest model and how to get one.
  Result<StoredModel> find(std::string_view name) const;
  /// Deletes the model's folder (never what an external model points to). kNotFound, kBusy, and kInvalidArgument for
  /// a name or a link that leads out of the store.
  Result<void> remove(std::string_view name);
  /// Makes a file or folder elsewhere known under a name; nothing is copied.
  Result<StoredModel> add_external(std::string_view name, const fs::path& path);

  /// Starts or goes on with filling `name` from `source`; what another source left is thrown away. kBusy while another
  /// process fills it, kInvalidArgument when the model exists and `replace` is false.
  Result<Incoming> begin(std::string_view name, std::string_view source, bool replace);
  /// Writes the manifest and moves the staging folder into place. Files that `model` does not list are deleted.
  Result<StoredModel> install(const Incoming& incoming, StoredModel model);

 private:
  Result<FileLock> lock(std::string_view name);
  Result<void> discard(const fs::path& folder);
  fs::path folder_of(std::string_view name) const { return root_ / name; }

  fs::path root_;
};

/// Letters, digits, '.', '_', '-' and ':', beginning with a letter or digit, at most 96; kInvalidArgument otherwise.
Result<void> check_name(std::string_view name);

}  // namespace hearth::fetch
