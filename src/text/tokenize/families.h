// The pre-tokenizers that GGUF files only name ("tokenizer.ggml.pre"). Each name stands for the patterns of a model
// family's own tokenizer.json.
#pragma once
#include <string>
#include <string_view>

#include "text/tokenize/pretokenizer.h"

namespace hearth::text {

struct Family {
  PreTokenizer pre_tokenizer;
  bool ignore_merges = false;      // a word that is a token stays whole
  bool adds_bos = false;           // unless the file says otherwise
  bool is_byte_level = true;       // false: SentencePiece spelling, spaces are U+2581, bytes are <0xNN>
  bool escapes_spaces = false;     // write spaces as U+2581 first
  bool whole_newline_runs = false;  // a run of line ends that is a token stays whole
  bool composes = false;            // normalise to NFC first
};

/// Throws Error{kUnsupported} that lists the known names.
Family make_family(std::string_view name);

/// All names, sorted, separated by ", ".
std::string family_names();

}  // namespace hearth::text
