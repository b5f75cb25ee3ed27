// Log probabilities in the two shapes clients know. A value that is not finite is written as -9999 (chat) or null
// (completions, where the first echoed token has none).
#pragma once
#include <span>

#include "core/base/value.h"
#include "runtime/request.h"

namespace hearth::openai {

/// {"content": [{token, logprob, bytes, top_logprobs}], "refusal": null}
Value chat_logprobs(std::span<const TokenLogprob> tokens);

/// {"tokens", "token_logprobs", "top_logprobs", "text_offset"}; offsets count characters from `start_offset`.
Value legacy_logprobs(std::span<const TokenLogprob> tokens, int64_t start_offset);

/// Characters (code points) of text that may start or end inside one.
int64_t count_characters(std::string_view text);

}  // namespace hearth::openai
