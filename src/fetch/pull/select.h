// Which files of a repository, folder or wheel make the model that was asked for. Pure: names and sizes in, a choice
// out. When several would do and none is the usual choice, the error names them all.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace hearth::fetch {

struct Candidate {
  std::string path;    // '/' between folders
  int64_t bytes = -1;  // -1 unknown
};

struct Selection {
  std::vector<size_t> files;  // indices of candidates; the weights first
  std::string note;           // what was picked and what else there is; "" when there was no choice
};

/// `wanted`: a path, a file name, or a quantisation such as "Q8_0"; "" picks: the only GGUF file, else the Q4_K_M one
/// (then its neighbours in size), else the safetensors set with its configuration and tokenizer files. All parts of a
/// split GGUF file count as one. kNotFound (nothing matches), kInvalidArgument (ambiguous), kCorruptFile (a part of a
/// split file is missing).
Result<Selection> select_model(std::span<const Candidate> candidates, std::string_view wanted);

/// Whether a file goes with safetensors weights: configuration, tokenizer, template, licence.
bool is_companion(std::string_view file_name);

}  // namespace hearth::fetch
