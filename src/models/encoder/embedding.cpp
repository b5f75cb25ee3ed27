#include "models/encoder/embedding.h"

#include <string>

#include "models/load/tensor_source.h"

namespace hearth {
namespace {

bool starts_with(std::string_view text, std::string_view with) { return text.substr(0, with.size()) == with; }

bool ends_with(std::string_view text, std::string_view with) {
  return text.size() >= with.size() && text.substr(text.size() - with.size()) == with;
}

std::vector<const TensorInfo*> bundled(const TensorFile& file, const std::string& suffix) {
  std::vector<const TensorInfo*> out;
  for (const TensorInfo& tensor : file.tensors) {
    if (starts_with(tensor.name, "bundle_emb.") && ends_with(tensor.name, suffix)) out.push_back(&tensor);
  }
  return out;
}

// The tensors whose rows are the vectors.
std::vector<const TensorInfo*> chosen(const TensorFile& file, std::string_view key) {
  for (const TensorInfo& tensor : file.tensors) {
    if (starts_with(tensor.name, "string_to_param")) return {&tensor};
  }
  if (const TensorInfo* found = file.find(key)) return {found};
  for (const std::string& suffix : {std::string(".string_to_param.*"), "." + std::string(key)}) {
    std::vector<const TensorInfo*> sets = bundled(file, suffix);
    if (!sets.empty()) return sets;
  }
  if (file.tensors.empty()) return {};
  return {&file.tensors.front()};
}

}  // namespace

std::optional<TextEmbedding> read_text_embedding(const TensorFile& file, int64_t dim, std::string_view key) {
  TextEmbedding out{dim, {}};
  for (const TensorInfo* tensor : chosen(file, key)) {
    if (tensor->shape.empty() || tensor->shape.back() != dim || tensor->elements() == 0) return std::nullopt;
    const std::vector<float> values = read_values(file, *tensor);
    out.values.insert(out.values.end(), values.begin(), values.end());
  }
  if (out.values.empty()) return std::nullopt;
  return out;
}

}  // namespace hearth
