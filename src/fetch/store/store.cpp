#include "fetch/store/store.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include <unistd.h>

#include <fmt/format.h>

#include "core/base/log.h"
#include "core/base/nearest.h"
#include "core/base/units.h"

namespace hearth::fetch {
namespace {

constexpr const char* kIncoming = ".incoming";  // a name cannot begin with a dot: these are never listed
constexpr const char* kTrash = ".trash";
constexpr const char* kLocks = ".locks";
constexpr const char* kSourceName = "source.txt";
constexpr size_t kLongestName = 96;

std::string quoted_names(const std::vector<std::string>& names) {
  constexpr size_t kShown = 12;
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kShown); ++i) text += (i ? ", " : "") + names[i];
  return names.size() > kShown ? fmt::format("{} and {} more", text, names.size() - kShown) : text;
}

// The files of an external model, so that its size is known; their bytes are not read.
Result<std::vector<StoredFile>> external_files(const fs::path& path) {
  std::vector<StoredFile> files;
  std::error_code problem;
  if (fs::is_regular_file(path, problem)) {
    files.push_back({path.filename().string(), static_cast<int64_t>(fs::file_size(path)), ""});
    return files;
  }
  for (const auto& item : fs::directory_iterator(path, problem)) {
    if (!item.is_regular_file()) continue;
    files.push_back({item.path().filename().string(), static_cast<int64_t>(item.file_size()), ""});
  }
  if (problem) return unexpected(Code::kIo, fmt::format("cannot read {}: {}", path.string(), problem.message()));
  std::sort(files.begin(), files.end(), [](const StoredFile& a, const StoredFile& b) { return a.name < b.name; });
  return files;
}

// A folder that may not be looked into counts as absent: the next step then says why it fails.
bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

bool is_model_file(const StoredFile& file) {
  return file.name.ends_with(".gguf") || file.name.ends_with(".safetensors");
}

}  // namespace

Result<void> check_name(std::string_view name) {
  auto is_alnum = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
  auto allowed = [&](char c) { return is_alnum(c) || c == '.' || c == '_' || c == '-' || c == ':'; };
  if (!name.empty() && name.size() <= kLongestName && is_alnum(name.front()) &&
      std::all_of(name.begin(), name.end(), allowed)) {
    return {};
  }
  return unexpected(Code::kInvalidArgument,
                    fmt::format("'{}' cannot name a model; use letters, digits, '.', '_', '-' and ':', beginning with "
                                "a letter or digit, at most {}",
                                name, kLongestName));
}

fs::path Store::default_root() {
  if (const char* data = std::getenv("XDG_DATA_HOME"); data && *data == '/') return fs::path(data) / "hearth/models";
  const char* home = std::getenv("HOME");
  return fs::path(home && *home ? home : ".") / ".local/share/hearth/models";
}

Result<std::vector<StoredModel>> Store::list() const {
  std::vector<StoredModel> models;
  if (!is_there(root_)) return models;
  std::error_code problem;
  for (const auto& item : fs::directory_iterator(root_, problem)) {
    std::string name = item.path().filename().string();
    if (!item.is_directory() || !check_name(name)) continue;
    auto model = read_manifest(item.path(), name);
    if (model) {
      models.push_back(*std::move(model));
    } else {
      log::warn("model {} is left out: {}", name, model.error().message());
    }
  }
  if (problem) return unexpected(Code::kIo, fmt::format("cannot read {}: {}", root_.string(), problem.message()));
  std::sort(models.begin(), models.end(), [](const StoredModel& a, const StoredModel& b) { return a.name < b.name; });
  return models;
}

Result<StoredModel> Store::find(std::string_view name) const {
  if (auto valid = check_name(name); !valid) return unexpected(valid.error());
  auto model = read_manifest(folder_of(name), name);
  if (model || model.error().code() != Code::kNotFound) return model;
  auto models = list();
  if (!models) return unexpected(models.error());
  std::vector<std::string> names;
  for (const StoredModel& known : *models) names.push_back(known.name);
  if (names.empty()) {
    return unexpected(Code::kNotFound, fmt::format("no model '{}': {} holds none yet; get one with `hearth pull SOURCE "
                                                   "--as {}`",
                                                   name, root_.string(), name));
  }
  std::string nearest = nearest_name(name, names);
  std::string hint = nearest.empty() ? "" : fmt::format(", did you mean '{}'?", nearest);
  return unexpected(Code::kNotFound, fmt::format("no model '{}' in {}{} There are: {}", name, root_.string(),
                                                 hint.empty() ? "." : hint, quoted_names(names)));
}

Result<FileLock> Store::lock(std::string_view name) {
  if (auto valid = check_name(name); !valid) return unexpected(valid.error());
  if (auto made = make_folders(root_ / kLocks); !made) return unexpected(made.error());
  return FileLock::take(root_ / kLocks / name, fmt::format("model '{}'", name));
}

// Out of sight in one step first: a crash in the middle of deleting leaves no half model under its name.
Result<void> Store::discard(const fs::path& folder) {
  if (auto made = make_folders(root_ / kTrash); !made) return made;
  fs::path grave = root_ / kTrash / fmt::format("{}.{}", folder.filename().string(), ::getpid());
  std::error_code problem;
  fs::remove_all(grave, problem);
  if (auto moved = rename_durably(folder, grave); !moved) return moved;
  fs::remove_all(grave, problem);
  if (problem) return unexpected(Code::kIo, fmt::format("cannot delete {}: {}", grave.string(), problem.message()));
  return {};
}

Result<void> Store::remove(std::string_view name) {
  auto held = lock(name);
  if (!held) return unexpected(held.error());
  fs::path folder = folder_of(name);
  std::error_code ignored;
  if (fs::is_symlink(folder, ignored)) {
    return unexpected(Code::kInvalidArgument,
                      fmt::format("{} is a link that leads out of the store; only models inside "
                                  "the store are removed: delete the link yourself",
                                  folder.string()));
  }
  if (is_there(root_ / kIncoming / name)) {
    if (auto gone = discard(root_ / kIncoming / name); !gone) return gone;
    if (!is_there(folder)) return {};
  }
  if (!is_there(folder)) return unexpected(find(name).error());
  return discard(folder);
}

Result<StoredModel> Store::add_external(std::string_view name, const fs::path& path) {
  std::error_code problem;
  fs::path whole = fs::canonical(path, problem);
  if (problem) return unexpected(Code::kNotFound, fmt::format("{}: {}", path.string(), problem.message()));
  auto files = external_files(whole);
  if (!files) return unexpected(files.error());
  if (std::none_of(files->begin(), files->end(), is_model_file)) {
    return unexpected(Code::kInvalidArgument,
                      fmt::format("{} holds no model; expected a .gguf or .safetensors file", whole.string()));
  }
  auto incoming = begin(name, "external:" + whole.string(), false);
  if (!incoming) return unexpected(incoming.error());
  return install(*incoming, {.source = "file:" + whole.string(), .files = *std::move(files), .external = whole});
}

Result<Incoming> Store::begin(std::string_view name, std::string_view source, bool replace) {
  auto held = lock(name);
  if (!held) return unexpected(held.error());
  if (is_there(folder_of(name)) && !replace) {
    return unexpected(Code::kInvalidArgument,
                      fmt::format("a model '{}' exists already; choose another name, remove it, "
                                  "or replace it (--replace)",
                                  name));
  }
  fs::path folder = root_ / kIncoming / name;
  auto before = read_text(folder / kSourceName, MiB);
  if (is_there(folder) && (!before || *before != source)) {
    if (auto gone = discard(folder); !gone) return unexpected(gone.error());
  }
  if (auto made = make_folders(folder); !made) return unexpected(made.error());
  if (auto noted = write_text(folder / kSourceName, source); !noted) return unexpected(noted.error());
  return Incoming{std::string(name), folder, *std::move(held), replace};
}

Result<StoredModel> Store::install(const Incoming& incoming, StoredModel model) {
  model.name = incoming.name;
  model.date = utc_now();
  std::error_code ignored;
  for (const auto& item : fs::directory_iterator(incoming.folder, ignored)) {
    std::string name = item.path().filename().string();
    bool is_listed = model.external.empty() && std::any_of(model.files.begin(), model.files.end(),
                                                           [&](const StoredFile& file) { return file.name == name; });
    if (!is_listed) fs::remove_all(item.path(), ignored);
  }
  if (auto written = write_manifest(incoming.folder, model); !written) return unexpected(written.error());
  fs::path target = folder_of(incoming.name);
  if (is_there(target) && incoming.replaces) {
    if (auto swapped = exchange_durably(incoming.folder, target); !swapped) return unexpected(swapped.error());
    if (auto gone = discard(incoming.folder); !gone) log::warn("the replaced model stays: {}", gone.error().message());
  } else if (auto moved = rename_durably(incoming.folder, target); !moved) {
    return unexpected(moved.error());
  }
  return read_manifest(target, incoming.name);
}

}  // namespace hearth::fetch
