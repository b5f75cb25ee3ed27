#include "runtime/diffuse/encode_prompt.h"

#include <algorithm>

#include <fmt/format.h>

namespace hearth::diffuse {
namespace {

using text::kClipChunk;
using text::PromptToken;

constexpr int32_t kStart = 49406, kEnd = 49407;

bool has_weights(const text::PromptTokens& tokens) {
  for (const auto& chunk : tokens.chunks) {
    for (const PromptToken& token : chunk) {
      if (token.weight != 1) return true;
    }
  }
  return false;
}

// Runs of tokens that stand for an embedding's rows, as the encoder wants them.
struct Placed {
  int64_t row = 0;
  std::vector<float> values;
};

std::vector<Placed> place_embeddings(const EncodeRequest& request,
                                     const std::vector<std::vector<PromptToken>>& chunks) {
  std::vector<Placed> placed;
  for (size_t k = 0; k < chunks.size(); ++k) {
    for (size_t j = 0; j < chunks[k].size(); ++j) {
      const PromptToken& token = chunks[k][j];
      if (token.embedding < 0) continue;
      const WordVectors& vectors = request.embeddings[static_cast<size_t>(token.embedding)];
      const auto first = vectors.values.begin() + token.row * vectors.dim;
      placed.push_back({static_cast<int64_t>(k * kClipChunk + j), {first, first + vectors.dim}});
    }
  }
  return placed;
}

}  // namespace

std::vector<PromptToken> empty_chunk(int32_t pad) {
  std::vector<PromptToken> chunk(kClipChunk, PromptToken{.id = pad});
  chunk[0].id = kStart;
  chunk[1].id = kEnd;
  return chunk;
}

void weigh_words(const std::vector<PromptToken>& chunk, std::span<const float> empty, int64_t dim,
                 std::span<float> hidden) {
  for (size_t j = 0; j < chunk.size(); ++j) {
    const auto weight = static_cast<float>(chunk[j].weight);
    if (chunk[j].weight == 1) continue;
    for (int64_t i = static_cast<int64_t>(j) * dim; i < static_cast<int64_t>(j + 1) * dim; ++i) {
      hidden[static_cast<size_t>(i)] =
          (hidden[static_cast<size_t>(i)] - empty[static_cast<size_t>(i)]) * weight + empty[static_cast<size_t>(i)];
    }
  }
}

EncodedWords encode_words(PictureLane& lane, const EncodeRequest& request, const text::PromptTokens& tokens,
                          const std::function<bool()>& is_cancelled) {
  const ClipConfig& config = request.encoder.config();
  const bool is_weighted = has_weights(tokens);
  std::vector<std::vector<PromptToken>> chunks = tokens.chunks;
  if (is_weighted) chunks.push_back(empty_chunk(request.pad));
  const auto n = static_cast<int64_t>(chunks.size()), length = static_cast<int64_t>(kClipChunk);
  std::vector<int32_t> ids;
  for (const auto& chunk : chunks) {
    for (const PromptToken& token : chunk) ids.push_back(token.embedding >= 0 ? request.pad : token.id);
  }
  const std::vector<int32_t> rows = pooled_rows(ids, length, kEnd);
  const std::vector<Placed> placed = place_embeddings(request, chunks);

  EncodedWords out{.chunks = std::ssize(tokens.chunks), .dim = config.dim};
  std::vector<float> hidden(static_cast<size_t>(n * length * config.dim));
  std::vector<float> pooled(static_cast<size_t>(n * config.pooled_dim()));
  const std::string shape = fmt::format("{} {}x{} layer {} norm {} overrides {}", request.key, n, length, request.layer,
                                        request.normalise, placed.size());
  lane.run(shape, is_cancelled, [&](Ctx& c) {
    c.attention = request.attention;
    std::vector<EmbeddingOverride> overrides;
    for (const Placed& p : placed) overrides.push_back({p.row, upload(c, p.values, {1, config.dim})});
    const Tensor token_ids = upload(c, ids, {n, length});
    const ClipOutput encoded = request.encoder.forward(
        c, {.ids = token_ids, .pool_at = upload(c, rows, {n}), .overrides = overrides, .layer = request.layer,
            .normalise = request.normalise});
    download(c, encoded.hidden, hidden);
    download(c, encoded.pooled, pooled);
  });

  const int64_t chunk_values = length * config.dim;
  const std::span<const float> empty(hidden.data() + (n - 1) * chunk_values, static_cast<size_t>(chunk_values));
  for (int64_t k = 0; is_weighted && k < out.chunks; ++k) {
    weigh_words(tokens.chunks[static_cast<size_t>(k)], empty, config.dim,
                std::span(hidden).subspan(static_cast<size_t>(k * chunk_values), static_cast<size_t>(chunk_values)));
  }
  hidden.resize(static_cast<size_t>(out.chunks * chunk_values));
  pooled.resize(static_cast<size_t>(config.pooled_dim()));
  out.hidden = std::move(hidden);
  out.pooled = std::move(pooled);
  return out;
}

Condition join_words(const std::vector<EncodedWords>& read, Residency& memory) {
  int64_t chunks = read.front().chunks, dim = 0;
  for (const EncodedWords& words : read) {
    chunks = std::min(chunks, words.chunks);
    dim += words.dim;
  }
  const int64_t tokens = chunks * static_cast<int64_t>(kClipChunk);
  Condition joined{.context = memory.tensor(DType::kF32, {1, tokens, dim}, "conditioning")};
  int64_t at = 0;
  for (const EncodedWords& words : read) {
    for (int64_t t = 0; t < tokens; ++t) {
      std::copy_n(words.hidden.begin() + t * words.dim, words.dim, joined.context.data<float>() + t * dim + at);
    }
    at += words.dim;
  }
  const std::vector<float>& pooled = read.back().pooled;
  joined.pooled = memory.tensor(DType::kF32, {1, std::ssize(pooled)}, "conditioning");
  std::copy(pooled.begin(), pooled.end(), joined.pooled.data<float>());
  return joined;
}

}  // namespace hearth::diffuse
