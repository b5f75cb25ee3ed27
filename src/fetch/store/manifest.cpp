#include "fetch/store/manifest.h"

#include <ctime>

#include <fmt/format.h>

#include "core/base/units.h"
#include "core/base/value.h"
#include "formats/json/json.h"

namespace hearth::fetch {
namespace {

std::string text_of(const Value& value, std::string_view key) {
  const Value* member = value.find(key);
  return member && member->is_string() ? member->as_string() : "";
}

StoredModel from_value(const Value& value) {
  StoredModel model;
  model.source = value.at("source").as_string();
  model.date = text_of(value, "date");
  model.license = text_of(value, "license");
  model.external = text_of(value, "external");
  for (const Value& file : value.at("files").as_list()) {
    StoredFile stored{file.at("name").as_string(), file.at("bytes").as_int(), text_of(file, "sha256")};
    bool stays_inside = !stored.name.empty() && stored.name.find('/') == std::string::npos && stored.name != "..";
    if (!stays_inside) throw Error(Code::kCorruptFile, fmt::format("file name '{}' is not a plain name", stored.name));
    model.files.push_back(std::move(stored));
  }
  return model;
}

}  // namespace

fs::path StoredModel::path() const {
  if (!external.empty()) return external;
  for (const StoredFile& file : files) {
    if (file.name.ends_with(".gguf")) return folder / file.name;
  }
  return folder;
}

int64_t StoredModel::bytes() const {
  int64_t total = 0;
  for (const StoredFile& file : files) total += file.bytes;
  return total;
}

Result<StoredModel> read_manifest(const fs::path& folder, std::string_view name) {
  fs::path path = folder / kManifestName;
  auto text = read_text(path, 16 * MiB);
  if (!text) return unexpected(text.error());
  auto value = json::parse(*text);
  if (!value) return unexpected(Code::kCorruptFile, fmt::format("{}: {}", path.string(), value.error().message()));
  try {
    StoredModel model = from_value(*value);
    model.name = std::string(name);
    model.folder = folder;
    return model;
  } catch (const Error& problem) {
    return unexpected(Code::kCorruptFile, fmt::format("{}: {}", path.string(), problem.message()));
  }
}

Result<void> write_manifest(const fs::path& folder, const StoredModel& model) {
  Value files = Value::list();
  for (const StoredFile& file : model.files) {
    Value item = Value::object({{"name", file.name}, {"bytes", file.bytes}});
    if (!file.sha256.empty()) item.set("sha256", file.sha256);
    files.push(std::move(item));
  }
  Value value = Value::object({{"name", model.name}, {"source", model.source}, {"date", model.date}});
  if (!model.license.empty()) value.set("license", model.license);
  if (!model.external.empty()) value.set("external", model.external.string());
  value.set("files", std::move(files));
  return write_text(folder / kManifestName, json::write(value, {.indent = 2}) + "\n");
}

std::string utc_now() {
  std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                     parts.tm_hour, parts.tm_min, parts.tm_sec);
}

}  // namespace hearth::fetch
