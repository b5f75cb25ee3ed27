// Events of one request -> the answer on the wire: one JSON body (PlainReply) or server-sent events (StreamReply).
// Both are fed every event in order except Failed, which is the caller's (api/common/error.h). One owner at a time.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "api/common/error.h"
#include "api/openai/request.h"
#include "core/base/value.h"
#include "runtime/request.h"

namespace hearth::openai {

/// What every object of one answer repeats.
struct ReplyHead {
  Endpoint endpoint = Endpoint::kChat;
  std::string id;        // "chatcmpl-..." or "cmpl-..."
  int64_t created = 0;   // unix seconds
  int choices = 1;
  bool logprobs = false;
  bool include_usage = false;
};

/// "chatcmpl-<suffix>" or "cmpl-<suffix>".
ReplyHead make_head(const CompletionCall& call, std::string_view suffix, int64_t created);

class PlainReply {
 public:
  explicit PlainReply(ReplyHead head);
  void add(const GenerateEvent& event);
  /// The whole answer; call after Done.
  Value body() const;

 private:
  struct Choice {
    std::string text;
    std::vector<TokenLogprob> logprobs;
    FinishReason reason = FinishReason::kStop;
  };
  Value choice_body(int index) const;

  ReplyHead head_;
  std::string model_;
  std::vector<Choice> choices_;
  Usage usage_;
};

class StreamReply {
 public:
  explicit StreamReply(ReplyHead head);
  /// The text to send for this event; may be empty. Done gives the last chunks and "data: [DONE]".
  std::string add(const GenerateEvent& event);
  /// An error after the stream began: the error envelope as the last event.
  static std::string fail(const api::ApiError& error);

 private:
  Value chunk() const;
  std::string delta_text(const Delta& delta);
  std::string started_text(const Started& started);
  std::string done_text(const Done& done);
  std::string release_held();

  ReplyHead head_;
  std::string model_;
  std::vector<int64_t> characters_;  // of each choice so far, for text_offset
  // The newest finish chunk waits for the next event: if that is Done, the chunk carries the timings.
  std::optional<Value> held_;
};

/// {"prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details": {"cached_tokens"}}
Value usage_body(const Usage& usage);
/// Extension: tokens, milliseconds and tokens per second of prefill and decode.
Value timings_body(const Usage& usage);

}  // namespace hearth::openai
