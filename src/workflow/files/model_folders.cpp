#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include "workflow/files/places.h"

namespace hearth::workflow {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kWeights = ".ckpt .pt .pt2 .bin .pth .safetensors .pkl .sft";
constexpr int kMaxDepth = 32;  // of folders below a model folder; ends loops of links

struct KindSpec {
  std::string_view kind;
  std::string_view folders;  // below models/, the first is searched first
  std::string_view extensions;  // "" any file, "folder" folders
};

constexpr KindSpec kKinds[] = {
    {"checkpoints", "checkpoints", kWeights},
    {"configs", "configs", ".yaml"},
    {"loras", "loras", kWeights},
    {"vae", "vae", kWeights},
    {"text_encoders", "text_encoders clip", kWeights},
    {"diffusion_models", "unet diffusion_models", kWeights},
    {"clip_vision", "clip_vision", kWeights},
    {"style_models", "style_models", kWeights},
    {"embeddings", "embeddings", kWeights},
    {"diffusers", "diffusers", "folder"},
    {"vae_approx", "vae_approx", kWeights},
    {"controlnet", "controlnet t2i_adapter", kWeights},
    {"gligen", "gligen", kWeights},
    {"upscale_models", "upscale_models", kWeights},
    {"latent_upscale_models", "latent_upscale_models", kWeights},
    {"hypernetworks", "hypernetworks", kWeights},
    {"photomaker", "photomaker", kWeights},
    {"classifiers", "classifiers", ""},
    {"model_patches", "model_patches", kWeights},
    {"audio_encoders", "audio_encoders", kWeights},
};

constexpr std::pair<std::string_view, std::string_view> kInOutput[] = {
    {"checkpoints", "checkpoints"},           {"text_encoders", "clip"}, {"vae", "vae"},
    {"diffusion_models", "diffusion_models"}, {"loras", "loras"},
};

std::vector<std::string> words(std::string_view text) {
  std::istringstream in{std::string(text)};
  std::vector<std::string> out;
  for (std::string word; in >> word;) out.push_back(word);
  return out;
}

std::string_view modern_name(std::string_view kind) {
  if (kind == "unet") return "diffusion_models";
  return kind == "clip" ? "text_encoders" : kind;
}

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

using Stamp = std::pair<std::string, fs::file_time_type>;

// What one folder holds, and the times of every folder that was looked into: adding or removing a file changes one.
struct Listing {
  std::vector<std::string> names;
  std::vector<Stamp> stamps;
  bool is_made = false;
};

void stamp(const fs::path& folder, Listing& into) {
  std::error_code failed;
  fs::file_time_type time = fs::last_write_time(folder, failed);
  into.stamps.emplace_back(folder.string(), failed ? fs::file_time_type::min() : time);
}

bool is_current(const Listing& listing) {
  if (!listing.is_made) return false;
  return std::all_of(listing.stamps.begin(), listing.stamps.end(), [](const Stamp& old) {
    std::error_code failed;
    fs::file_time_type time = fs::last_write_time(old.first, failed);
    return (failed ? fs::file_time_type::min() : time) == old.second;
  });
}

void collect(const fs::path& folder, const std::string& prefix, const std::vector<std::string>& extensions, int depth,
             Listing& into) {
  stamp(folder, into);
  std::error_code failed;
  for (fs::directory_iterator entry(folder, failed), end; !failed && entry != end; entry.increment(failed)) {
    std::string name = entry->path().filename().string();
    std::error_code ignored;
    bool wants_folders = extensions.size() == 1 && extensions[0] == "folder";
    if (entry->is_directory(ignored)) {
      if (wants_folders && fs::exists(entry->path() / "model_index.json", ignored)) into.names.push_back(prefix + name);
      if (name != ".git" && depth < kMaxDepth) collect(entry->path(), prefix + name + "/", extensions, depth + 1, into);
    } else if (!wants_folders) {
      std::string extension = lower(entry->path().extension().string());
      bool fits = extensions.empty() || std::find(extensions.begin(), extensions.end(), extension) != extensions.end();
      if (fits) into.names.push_back(prefix + name);
    }
  }
}

// "~" and $NAME or ${NAME} as a shell would; unknown names stay.
std::string expanded(std::string path) {
  if (path.starts_with("~/") || path == "~") {
    if (const char* home = std::getenv("HOME")) path.replace(0, 1, home);
  }
  for (size_t at = 0; (at = path.find('$', at)) != std::string::npos; ++at) {
    bool braced = at + 1 < path.size() && path[at + 1] == '{';
    size_t begin = at + 1 + braced, end = begin;
    while (end < path.size() && (std::isalnum(static_cast<unsigned char>(path[end])) || path[end] == '_')) ++end;
    const char* value = std::getenv(path.substr(begin, end - begin).c_str());
    if (!value || (braced && (end >= path.size() || path[end] != '}'))) continue;
    path.replace(at, end + braced - at, value);
  }
  return path;
}

}  // namespace

struct ModelFolders::Parts {
  struct Kind {
    std::vector<std::string> folders, extensions;
    std::vector<Listing> listings;  // one a folder
    std::string shipped;            // the folder of them that comes with the program
  };
  std::mutex mutex;
  std::vector<std::string> order;
  std::map<std::string, Kind, std::less<>> kinds;

  Kind* find(std::string_view kind) {
    auto found = kinds.find(modern_name(kind));
    return found == kinds.end() ? nullptr : &found->second;
  }
};

ModelFolders::ModelFolders(const std::string& models, const std::string& output) : parts_(std::make_unique<Parts>()) {
  for (const KindSpec& spec : kKinds) {
    for (const std::string& folder : words(spec.folders)) add_folder(spec.kind, models + "/" + folder);
    parts_->find(spec.kind)->extensions = words(spec.extensions);
  }
  if (output.empty()) return;
  for (const auto& [kind, folder] : kInOutput) add_folder(kind, output + "/" + std::string(folder));
}

ModelFolders::ModelFolders(ModelFolders&&) noexcept = default;
ModelFolders::~ModelFolders() = default;

void ModelFolders::add_folder(std::string_view kind, const std::string& folder, bool first) {
  std::lock_guard lock(parts_->mutex);
  kind = modern_name(kind);
  Parts::Kind* held = parts_->find(kind);
  if (!held) {
    parts_->order.emplace_back(kind);
    held = &parts_->kinds[std::string(kind)];
  }
  std::string path = fs::path(folder).lexically_normal().string();
  auto known = std::find(held->folders.begin(), held->folders.end(), path);
  if (known != held->folders.end()) {
    if (!first || known == held->folders.begin()) return;
    held->folders.erase(known);
  }
  held->folders.insert(first ? held->folders.begin() : held->folders.end(), path);
  held->listings.assign(held->folders.size(), {});
}

void ModelFolders::add_shipped(std::string_view kind, const std::string& folder) {
  add_folder(kind, folder);
  std::lock_guard lock(parts_->mutex);
  parts_->find(kind)->shipped = fs::path(folder).lexically_normal().string();
}

Result<void> ModelFolders::add_yaml(const std::string& file) {
  std::string section_name;
  try {
    YAML::Node top = YAML::LoadFile(file);
    if (top.IsNull()) return {};
    if (!top.IsMap()) return unexpected(Code::kInvalidArgument, fmt::format("{}: expected sections of paths", file));
    for (const auto& section : top) {
      section_name = section.first.as<std::string>();
      const YAML::Node& body = section.second;
      if (body.IsNull()) continue;
      fs::path base = fs::path(file).parent_path();
      if (body["base_path"]) base = base / expanded(body["base_path"].as<std::string>());
      bool is_default = body["is_default"] && body["is_default"].as<bool>();
      for (const auto& entry : body) {
        std::string kind = entry.first.as<std::string>();
        if (kind == "base_path" || kind == "is_default" || entry.second.IsNull()) continue;
        std::istringstream lines(entry.second.as<std::string>());
        for (std::string line; std::getline(lines, line);) {
          size_t from = line.find_first_not_of(" \t\r"), to = line.find_last_not_of(" \t\r");
          if (from == std::string::npos) continue;
          add_folder(kind, (base / expanded(line.substr(from, to - from + 1))).string(), is_default);
        }
      }
    }
  } catch (const YAML::BadFile&) {
    return unexpected(Code::kNotFound, fmt::format("{}: no such file", file));
  } catch (const YAML::Exception& error) {
    return unexpected(Code::kInvalidArgument, fmt::format("{}{}{}: {}", file, section_name.empty() ? "" : ", section ",
                                                          section_name, error.what()));
  }
  return {};
}

std::vector<std::string> ModelFolders::kinds() const {
  std::lock_guard lock(parts_->mutex);
  return parts_->order;
}

bool ModelFolders::has(std::string_view kind) const {
  std::lock_guard lock(parts_->mutex);
  return parts_->kinds.find(kind) != parts_->kinds.end();
}

std::vector<std::string> ModelFolders::folders(std::string_view kind) const {
  std::lock_guard lock(parts_->mutex);
  Parts::Kind* held = parts_->find(kind);
  return held ? held->folders : std::vector<std::string>{};
}

std::vector<std::string> ModelFolders::extensions(std::string_view kind) const {
  std::lock_guard lock(parts_->mutex);
  Parts::Kind* held = parts_->find(kind);
  return held ? held->extensions : std::vector<std::string>{};
}

std::vector<ModelFolders::File> ModelFolders::files(std::string_view kind) const {
  std::lock_guard lock(parts_->mutex);
  Parts::Kind* held = parts_->find(kind);
  std::map<std::string, size_t> first;
  for (size_t i = 0; held && i < held->folders.size(); ++i) {
    Listing& listing = held->listings[i];
    if (!is_current(listing)) {
      listing = {};
      collect(held->folders[i], "", held->extensions, 0, listing);
      listing.is_made = true;
    }
    for (const std::string& name : listing.names) first.emplace(name, i);
  }
  std::vector<File> files;
  for (auto& [name, folder] : first) files.push_back({name, folder, held->folders[folder] == held->shipped});
  std::stable_partition(files.begin(), files.end(), [](const File& file) { return !file.is_shipped; });
  return files;
}

std::vector<std::string> ModelFolders::list(std::string_view kind) const {
  std::vector<std::string> names;
  for (File& file : files(kind)) names.push_back(std::move(file.name));
  return names;
}

Result<std::string> ModelFolders::resolve(std::string_view kind, std::string_view name) const {
  std::string tried;
  for (const std::string& folder : folders(kind)) {
    std::optional<std::string> path = path_below(folder, name);
    if (!path) return unexpected(Code::kInvalidArgument, fmt::format("'{}' would leave the folder of {}", name, kind));
    std::error_code failed;
    if (fs::exists(*path, failed)) return *path;
    tried += (tried.empty() ? "" : ", ") + folder;
  }
  return unexpected(Code::kNotFound, fmt::format("no {} named '{}' (looked in {})", kind, name,
                                                 tried.empty() ? "no folder: there is no such kind" : tried));
}

}  // namespace hearth::workflow
