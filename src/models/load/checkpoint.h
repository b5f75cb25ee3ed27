// Checkpoint: a model's files as found on disk: one GGUF (or its split set), or a folder in Hugging Face layout
// (config.json, *.safetensors, tokenizer.json). Opening reads headers only. A plain value; no descriptor is held.
#pragma once
#include <string>

#include "core/base/value.h"
#include "formats/tensor_file.h"

namespace hearth {

struct Checkpoint {
  enum class Format { kGguf, kHuggingFace };

  std::string path;
  Format format = Format::kGguf;
  TensorFile file;
  Value config;             // GGUF: the metadata; Hugging Face: config.json
  Value tokenizer;          // Hugging Face: tokenizer.json; GGUF: null, the metadata has it
  Value tokenizer_config;   // Hugging Face: tokenizer_config.json, with chat_template.jinja folded in

  /// Throws Error naming the path and what was expected there.
  static Checkpoint open(const std::string& path);

  /// GGUF: general.architecture ("llama", "gemma3"); Hugging Face: model_type.
  std::string architecture() const;
  /// The model's own chat template, or "".
  std::string chat_template() const;
};

}  // namespace hearth
