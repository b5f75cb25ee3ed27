// What a client asks of a language model and what it hears back, free of any wire format. api/ turns bodies into these,
// the engine (runtime/engine.h) answers them. Plain data: no thread, no lifetime beyond the value.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/error.h"
#include "core/base/value.h"

namespace hearth {

/// Unset fields take the model profile's defaults, then the values in the comment.
struct SamplingOptions {
  std::optional<float> temperature;         // 1; 0 is greedy
  std::optional<int> top_k;                 // 0: off
  std::optional<float> top_p;               // 1: off
  std::optional<float> min_p;               // 0: off
  std::optional<float> typical_p;           // 1: off
  std::optional<float> repetition_penalty;  // 1: off; over prompt and output
  std::optional<float> presence_penalty;    // 0: off; over output
  std::optional<float> frequency_penalty;   // 0: off; over output
  std::optional<uint64_t> seed;             // random
  std::vector<std::pair<int32_t, float>> logit_bias;  // added to logits before anything else
};

/// A conversation rendered by the model's own chat template.
struct ChatPrompt {
  Value messages;                 // list of {role, content, ...} as the template expects them
  Value tools;                    // list or null
  Value template_arguments;       // object: extra variables such as enable_thinking
  Value request_fields;           // object: tool_choice and the like, for templates that read them
  bool add_generation_prompt = true;
};

struct GenerateRequest {
  std::string id;                                                      // names the request in every log line
  std::string model;                                                   // name or alias; empty: the default model
  std::variant<std::string, std::vector<int32_t>, ChatPrompt> prompt;  // plain text, token ids or chat
  SamplingOptions sampling;
  std::optional<int64_t> max_tokens;   // unset: up to the context's end
  std::vector<std::string> stop;       // the text ends before the first of these
  int choices = 1;                     // completions of the same prompt
  bool logprobs = false;
  int top_logprobs = 0;                // alternatives per token, at most 20
  bool echo = false;                   // completions: the prompt comes back first
  bool ignore_end = false;             // benchmarks: end-of-text tokens do not end it
  std::optional<double> keep_alive_s;  // how long the model stays after this, from now on; < 0: until asked to go
};

struct TokenLogprob {
  int32_t token = 0;
  std::string text;                    // raw bytes of the piece
  float logprob = 0;
  std::vector<std::pair<int32_t, float>> top;  // (token, logprob), best first
  std::vector<std::string> top_text;   // pieces of `top`
};

enum class FinishReason { kStop, kLength, kCancelled };

struct Usage {
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;           // of the prompt, found in the prefix cache
  int64_t completion_tokens = 0;       // over all choices
  double queue_s = 0, prefill_s = 0, decode_s = 0;
};

// Events of one request, in order: Started, then Delta and Finished per choice, then Done; or Failed at any time,
// which is the last one.
struct Started {
  std::string model;                   // the resolved name
  int64_t prompt_tokens = 0;
};
struct Delta {
  int choice = 0;
  std::string text;                    // valid UTF-8, never half a character; may be empty
  std::vector<TokenLogprob> logprobs;  // the tokens this text came from, when asked for
};
struct Finished {
  int choice = 0;
  FinishReason reason = FinishReason::kStop;
};
struct Done {
  Usage usage;
};
struct Failed {
  Error error;
};
using GenerateEvent = std::variant<Started, Delta, Finished, Done, Failed>;

/// Called from the engine's threads, one call at a time per request; must return quickly and not throw.
using GenerateSink = std::function<void(GenerateEvent)>;

struct ModelSummary {
  std::string name;
  std::vector<std::string> aliases;
  std::string path;
  std::string architecture;       // empty until known
  int64_t context_tokens = 0;     // what requests may use; 0 until known
  int64_t created = 0;            // unix seconds of the file
  bool is_loaded = false;
  int64_t resident_bytes = 0;     // weights and state when loaded
};

/// Holder and bytes of one lease, for reports.
struct LeaseSummary {
  std::string pool, holder;
  int64_t bytes = 0;
};

/// Counters since start and gauges now.
struct EngineStats {
  uint64_t requests = 0, failed = 0, cancelled = 0, preempted = 0;
  uint64_t prompt_tokens = 0, cached_tokens = 0, generated_tokens = 0, steps = 0;
  int64_t waiting = 0, running = 0;
  int64_t pages_total = 0, pages_used = 0, pages_cached = 0;  // used: held by running requests
  int64_t budget_bytes = 0, leased_bytes = 0;
  std::vector<LeaseSummary> leases;
  // Seconds: upper bounds of the buckets and how many fell at or below each; last is +Inf.
  struct Histogram {
    std::vector<double> bounds;
    std::vector<uint64_t> counts;
    double sum = 0;
  };
  Histogram queue_s, first_token_s, token_s, request_s;
};

/// The language side as the server sees it. All functions are thread-safe and return quickly; work happens on the
/// engine's own threads.
class LanguageService {
 public:
  virtual ~LanguageService() = default;
  /// Starts a request. Refusals (unknown model, queue full, context too long) arrive as Failed, possibly before this
  /// returns.
  virtual void submit(GenerateRequest request, GenerateSink sink) = 0;
  /// Ends a request by its id at the next cut; its state is freed and nothing more is sent. Unknown ids are ignored.
  virtual void cancel(const std::string& id) = 0;
  virtual std::vector<ModelSummary> models() const = 0;
  virtual EngineStats stats() const = 0;
  /// Stops admitting; waits up to `grace_s` for running requests, then cancels them.
  virtual void shutdown(double grace_s) = 0;
};

}  // namespace hearth
