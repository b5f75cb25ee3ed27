// A prompt as the chunks of 77 tokens that a CLIP text encoder reads: weights, embeddings by name, chunk borders and
// padding as ComfyUI has them. A stretch of one weight of fewer than 8 tokens is never split over two chunks.
// Pure; callable from any thread.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::text {

inline constexpr size_t kClipChunk = 77;
inline constexpr size_t kMaxPromptBytes = size_t{1} << 20;

struct PromptToken {
  int32_t id = 0;          // of the vocabulary; not used when embedding >= 0
  int32_t embedding = -1;  // index into PromptTokens::embeddings
  int32_t row = 0;         // of that embedding
  int32_t word = 0;        // counts the stretches of a prompt from 1; 0 for start, end and padding
  double weight = 1;
};

struct PromptTokens {
  std::vector<std::vector<PromptToken>> chunks;  // at least one, each of kClipChunk tokens
  std::vector<std::string> embeddings;           // names found, each once
  std::vector<std::string> missing;              // names written as embedding:NAME that do not exist; left out
};

/// How many vectors the embedding of this name has (textual inversion); nothing when there is no such embedding.
using EmbeddingRows = std::function<std::optional<int>(std::string_view name)>;

struct PromptOptions {
  int32_t pad = 49407;   // CLIP-L; CLIP-G of SDXL pads with 0
  EmbeddingRows rows{};  // empty: "embedding:" is plain text
};

/// Throws Error{kInvalidArgument} for a prompt above kMaxPromptBytes or with parentheses nested too deep.
PromptTokens tokenize_prompt(std::string_view prompt, const PromptOptions& options = {});

}  // namespace hearth::text
