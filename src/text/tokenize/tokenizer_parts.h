// What a Tokenizer consists of. The builders (gguf.cpp, json.cpp) fill one in and finish() it; afterwards it never
// changes.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "text/tokenize/added_tokens.h"
#include "text/tokenize/decoder.h"
#include "text/tokenize/model.h"
#include "text/tokenize/normalizer.h"
#include "text/tokenize/pretokenizer.h"
#include "text/tokenize/vocab.h"

namespace hearth::text {

struct TokenizerParts {
  Vocab vocab;
  AddedTokens added;             // matched in the text as it comes
  AddedTokens added_normalized;  // matched after normalisation
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  std::unique_ptr<const Model> model;
  Decoder decoder;
  std::vector<int32_t> prefix, suffix;  // what add_special puts around a text
  int32_t bos = -1, eos = -1;
  std::vector<int32_t> ends;            // sorted; the builders add ids they know, finish() the well-known names
  std::string chat_template;
  bool prefix_space_after_special = false;  // each stretch behind a special token begins like a text (llama in GGUF)
  bool decodes_added_raw = true;            // added tokens are written as they are spelled
};

/// Completes the set of ending tokens and releases spare memory.
void finish(TokenizerParts& parts);

/// The names known to end a generation, without regard to a vocabulary. For messages and tests.
const std::vector<std::string_view>& ending_names();

}  // namespace hearth::text
