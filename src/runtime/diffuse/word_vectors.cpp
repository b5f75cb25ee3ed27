#include "runtime/diffuse/word_vectors.h"

#include <filesystem>

#include <fmt/format.h>

#include "core/base/log.h"
#include "models/diffusion/detect.h"

namespace hearth::diffuse {
namespace {

namespace fs = std::filesystem;

constexpr const char* kEndings[] = {"", ".safetensors", ".pt", ".bin"};

// The tensor meant for an encoder: named after it, else the only kind there is.
const TensorInfo* tensor_for(const TensorFile& file, bool is_g) {
  const TensorInfo* first = nullptr;
  for (const TensorInfo& tensor : file.tensors) {
    if (tensor.name == (is_g ? "clip_g" : "clip_l")) return &tensor;
    if (tensor.name == "clip_g" || tensor.name == "clip_l") continue;
    const bool is_vectors = tensor.shape.size() == 1 || tensor.shape.size() == 2;
    if (is_vectors && !first) first = &tensor;
  }
  return first;
}

bool stays_below(std::string_view name) {
  return !name.empty() && name.front() != '/' && name.find("..") == name.npos && name.find('\0') == name.npos;
}

}  // namespace

std::string WordVectorFiles::find(std::string_view name) const {
  if (!stays_below(name)) return "";
  for (const std::string& folder : folders_) {
    for (const char* ending : kEndings) {
      const fs::path path = fs::path(folder) / (std::string(name) + ending);
      std::error_code none;
      if (fs::is_regular_file(path, none)) return path.string();
    }
  }
  return "";
}

std::optional<int> WordVectorFiles::rows(std::string_view name, bool is_g, int64_t dim) const {
  const std::string path = find(name);
  if (path.empty()) return std::nullopt;
  const PictureFile file = open_picture_file(path);
  const TensorInfo* tensor = file.embedding ? tensor_for(*file.embedding, is_g) : nullptr;
  if (!tensor || tensor->shape.back() != dim) {
    log::warn("embedding {}: no vectors of {} numbers for this text encoder in {}; the prompt is read without it", name,
              dim, path);
    return std::nullopt;
  }
  return static_cast<int>(tensor->shape.size() == 2 ? tensor->shape.front() : 1);
}

WordVectors WordVectorFiles::vectors(std::string_view name, bool is_g, int64_t dim) const {
  const std::string path = find(name);
  if (path.empty()) throw Error(Code::kNotFound, fmt::format("embedding {} has gone", name));
  const PictureFile file = open_picture_file(path);
  const TensorInfo* tensor = file.embedding ? tensor_for(*file.embedding, is_g) : nullptr;
  if (!tensor) throw Error(Code::kCorruptFile, fmt::format("{}: {}, wanted an embedding", path, file.describe()));
  WordVectors out{.dim = dim, .values = read_values(*file.embedding, *tensor)};
  out.rows = std::ssize(out.values) / dim;
  return out;
}

}  // namespace hearth::diffuse
