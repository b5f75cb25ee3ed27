// What the model store knows about one model, kept beside its files as hearth-model.json.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/base/files.h"

namespace hearth::fetch {

inline constexpr const char* kManifestName = "hearth-model.json";

struct StoredFile {
  std::string name;  // inside the model's folder
  int64_t bytes = 0;
  std::string sha256;  // "" for files that lie outside the store
};

struct StoredModel {
  std::string name;
  fs::path folder;     // in the store; set when it is read
  std::string source;  // as it was asked for
  std::vector<StoredFile> files;
  std::string date;     // UTC, "2026-01-31T12:00:00Z"
  std::string license;  // "" when unknown
  fs::path external;    // where the files lie when they are not in `folder`

  /// What to load: the first .gguf file, else the folder that holds the safetensors files.
  fs::path path() const;
  int64_t bytes() const;
};

/// Reads and checks <folder>/hearth-model.json. kNotFound or kCorruptFile naming what is missing.
Result<StoredModel> read_manifest(const fs::path& folder, std::string_view name);
/// Writes it in one durable step.
Result<void> write_manifest(const fs::path& folder, const StoredModel& model);

/// Now, in UTC, as `date` holds it.
std::string utc_now();

}  // namespace hearth::fetch
