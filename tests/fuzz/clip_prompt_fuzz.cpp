// Any prompt becomes chunks of 77 tokens with a start and an end, or throws Error.
#include <cstdlib>

#include "core/base/error.h"
#include "text/clip/prompt.h"
#include "text/clip/vocabulary.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hearth::text;
  auto rows = [](std::string_view name) -> std::optional<int> {
    if (name.empty() || name.size() > 8) return std::nullopt;
    return static_cast<unsigned char>(name[0]) % 100;
  };
  try {
    PromptTokens read = tokenize_prompt({reinterpret_cast<const char*>(data), size}, {.pad = 0, .rows = rows});
    if (read.chunks.empty()) std::abort();
    for (const auto& chunk : read.chunks) {
      if (chunk.size() != kClipChunk || chunk[0].id != kClipStart) std::abort();
      for (const PromptToken& token : chunk) {
        if (token.embedding >= static_cast<int32_t>(read.embeddings.size()) || token.id < 0 || token.id > kClipEnd) {
          std::abort();
        }
      }
    }
  } catch (const hearth::Error& error) {
    if (error.code() == hearth::Code::kInternal) std::abort();
  }
  return 0;
}
