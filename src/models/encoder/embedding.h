// Textual inversion: files of vectors that stand for words a text encoder never learned.
#pragma once
#include <optional>
#include <string_view>
#include <vector>

#include "formats/tensor_file.h"

namespace hearth {

struct TextEmbedding {
  int64_t dim = 0;
  std::vector<float> values;  // [count, dim]

  int64_t count() const { return dim > 0 ? static_cast<int64_t>(values.size()) / dim : 0; }
};

/// The vectors in `file` for an encoder of width `dim`. `key` is "clip_l" or "clip_g", which files for SDXL name their
/// two sets by. Otherwise the first of string_to_param, bundled sets (bundle_emb.*, one below the other) or of all
/// tensors. Nothing when those have another width. Throws Error{kIo, kUnsupported} naming the tensor.
std::optional<TextEmbedding> read_text_embedding(const TensorFile& file, int64_t dim, std::string_view key);

}  // namespace hearth
