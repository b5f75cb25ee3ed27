// From words to what conditions a denoiser: tokens in chunks, text encoders over them, weights of words applied against
// the empty prompt, chunks joined, encoders side by side. The arithmetic of ComfyUI's SD1ClipModel and SDXLClipModel.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "models/encoder/clip.h"
#include "runtime/diffuse/picture_lane.h"
#include "runtime/diffuse/values.h"
#include "text/clip/prompt.h"

namespace hearth::diffuse {

/// Vectors of a textual inversion for one encoder: [rows, dim].
struct WordVectors {
  int64_t rows = 0, dim = 0;
  std::vector<float> values;
};

/// One encoder's reading of a prompt.
struct EncodedWords {
  int64_t chunks = 0, dim = 0;
  std::vector<float> hidden;  // [chunks * 77, dim]
  std::vector<float> pooled;  // of the first chunk
};

struct EncodeRequest {
  const ClipText& encoder;
  std::string key;       // says which weights, for the lane's memory of sizes
  int layer = -1;
  bool normalise = true;
  int32_t pad = 49407;
  /// Vectors of the prompt's embeddings, in the order of tokens.embeddings.
  std::vector<WordVectors> embeddings;
  AttentionKind attention = AttentionKind::kAuto;
};

EncodedWords encode_words(PictureLane& lane, const EncodeRequest& request, const text::PromptTokens& tokens,
                          const std::function<bool()>& is_cancelled);

/// One Condition [1, chunks * 77, dims side by side]; the pooled vector is the last encoder's.
Condition join_words(const std::vector<EncodedWords>& read, Residency& memory);

/// A chunk of nothing: start, end, padding.
std::vector<text::PromptToken> empty_chunk(int32_t pad);

/// Rows of words with a weight w become (x - empty) w + empty. hidden [77, dim] of one chunk, empty likewise.
void weigh_words(const std::vector<text::PromptToken>& chunk, std::span<const float> empty, int64_t dim,
                 std::span<float> hidden);

}  // namespace hearth::diffuse
