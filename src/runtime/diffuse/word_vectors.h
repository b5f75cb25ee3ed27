// Textual inversion: vectors a prompt puts in place of words with embedding:NAME, from files in the embeddings folders.
// Thread-safe; a file is read when it is asked for.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/diffuse/encode_prompt.h"

namespace hearth::diffuse {

class WordVectorFiles {
 public:
  explicit WordVectorFiles(std::vector<std::string> folders) : folders_(std::move(folders)) {}

  /// How many vectors of `dim` the embedding has for an encoder; nothing when there is none of that name, or none that
  /// fits: then the prompt is read without it.
  std::optional<int> rows(std::string_view name, bool is_g, int64_t dim) const;
  /// The vectors themselves; the embedding exists.
  WordVectors vectors(std::string_view name, bool is_g, int64_t dim) const;

 private:
  std::string find(std::string_view name) const;  // "" when there is no such file

  std::vector<std::string> folders_;
};

}  // namespace hearth::diffuse
