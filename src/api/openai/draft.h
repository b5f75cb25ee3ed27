// What both endpoints share while a body is read: the call being made plus what later checks across fields need.
// Internal to api/openai.
#pragma once
#include <optional>

#include "api/openai/request.h"

namespace hearth::openai {

struct Draft {
  CompletionCall call;
  Value tools;
  bool tools_allowed = true;
  bool has_stream_options = false;
  std::optional<int> top_logprobs;
  std::optional<int64_t> max_completion_tokens, best_of;
  std::optional<std::string> reasoning_effort;
};

using DraftField = api::Field<Draft>;

/// Rows that chat and completions have in common.
std::span<const DraftField> shared_fields();

/// Checks across fields that both endpoints share.
Result<void> finish_shared(Draft& draft, api::ParseNotes& notes);

Result<CompletionCall> finish_chat(Draft draft, api::ParseNotes& notes);
Result<CompletionCall> finish_completion(Draft draft, api::ParseNotes& notes);
std::span<const DraftField> chat_fields();
std::span<const DraftField> completion_fields();

}  // namespace hearth::openai
