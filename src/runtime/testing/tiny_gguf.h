// A small but whole language model for tests of the runtime: seeded random weights in a mix of quantised types, grouped
// heads, a byte-level tokenizer and a chat template, written as a GGUF file. Weights are scaled so that greedy output
// wanders instead of repeating. The same options give the same bytes on every machine.
#pragma once
#include <cstdint>
#include <string>

#include "core/testing/temp_folder.h"

namespace hearth::testing {

struct TinyGguf {
  std::string architecture = "llama";  // or "gemma3": two of three layers see a window of 24 positions
  uint64_t seed = 1;
  int layers = 3;
  int context = 256;
  std::string chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}";
};

inline constexpr int kTinyVocab = 300;
inline constexpr int kTinyEnd = 1;         // the id of the end-of-text token
inline constexpr int kTinyHalfCharacter = 299;  // a token of the bytes "X" and 0xE2, the beginning of a character

/// Writes the file; throws Error{kIo} when that fails.
void write_tiny_gguf(const std::string& path, const TinyGguf& options);

}  // namespace hearth::testing
