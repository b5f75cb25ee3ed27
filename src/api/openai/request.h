// Bodies of POST /v1/chat/completions and /v1/completions -> native requests. The tables in chat_fields.cpp and
// completion_fields.cpp declare every field. Pure functions: any thread, no state, never throw for a client's mistake.
#pragma once
#include <string>

#include "api/common/fields.h"
#include "core/base/result.h"
#include "core/base/value.h"
#include "runtime/request.h"

namespace hearth::openai {

inline constexpr int kMaxChoices = 8;
inline constexpr int kMaxStops = 16;
inline constexpr int kMaxTopLogprobs = 20;
inline constexpr int kMaxLogitBias = 1024;

enum class Endpoint { kChat, kCompletion };

/// One accepted call: the native request (its id is the caller's to set) and how the answer is wanted.
struct CompletionCall {
  Endpoint endpoint = Endpoint::kChat;
  GenerateRequest generate;
  bool stream = false;
  bool include_usage = false;  // a last chunk with the token counts
};

/// Refusals are kInvalidArgument or kUnsupported; notes.param then names the field.
Result<CompletionCall> parse_chat(const Value& body, api::ParseNotes& notes);
Result<CompletionCall> parse_completion(const Value& body, api::ParseNotes& notes);

/// The same from text; a body that is no JSON is kInvalidArgument.
Result<CompletionCall> parse_body(Endpoint endpoint, std::string_view body, api::ParseNotes& notes);

/// Documentation of one endpoint's fields, the table of docs/api.md.
std::string render_fields(Endpoint endpoint);

}  // namespace hearth::openai
