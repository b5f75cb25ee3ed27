// What tests of the runtime start from: a budget, an executor on the CPU, the two tiny models on disk, and a client
// that collects what a worker or an engine sends.
#pragma once
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "governor/budget/budget.h"
#include "runtime/executor/executor.h"
#include "runtime/generate/loaded_model.h"
#include "runtime/request.h"
#include "runtime/testing/tiny_gguf.h"

namespace hearth::testing {

struct TinyRuntime {
  explicit TinyRuntime(int threads = 2, int64_t budget_bytes = int64_t{256} << 20)
      : budget("cpu", budget_bytes), memory(budget, {DeviceKind::kCpu}),
        executor({DeviceKind::kCpu}, cpu_caps(threads), threads) {}

  /// The tiny model of this architecture, written on first use.
  std::string path(const std::string& architecture);
  /// Options for it: small pages, so that short prompts fill several.
  LoadOptions options(const std::string& architecture, int64_t max_rows = 32);

  governor::Budget budget;
  governor::LeasedAllocator memory;
  Executor executor;

 private:
  TempFolder folder_;
};

/// Everything one request sent. Thread-safe; must outlive the request.
class Client {
 public:
  struct Choice {
    std::string text;
    std::vector<TokenLogprob> logprobs;
    std::optional<FinishReason> reason;
  };

  GenerateSink sink();
  /// Called on the sender's thread with every event: the last one before it is recorded, others after.
  std::function<void(const GenerateEvent&)> on_event;

  /// Waits for Done or Failed.
  void wait();
  /// Waits until `ready` holds of this client; it is called with the client locked.
  void wait_until(const std::function<bool(const Client&)>& ready);
  bool is_over() const;

  // Read these when is_over(), or inside wait_until().
  std::map<int, Choice> choices;
  std::optional<Usage> usage;
  std::optional<Error> error;
  int events = 0, deltas = 0;

 private:
  void take(const GenerateEvent& event);
  mutable std::mutex mutex_;
  std::condition_variable changed_;
};

/// Equal to the bit: texts, tokens, log-probabilities, finish reasons. Says the first difference; empty when there is
/// none.
std::string difference(const Client& a, const Client& b);

/// The likeliest tokens, exactly `max_tokens` of them, with their probabilities.
inline GenerateRequest ask(const std::string& model, const std::string& text, int64_t max_tokens = 8) {
  GenerateRequest request;
  request.model = model;
  request.prompt = text;
  request.max_tokens = max_tokens;
  request.sampling.temperature = 0;
  request.ignore_end = true;
  request.logprobs = true;
  return request;
}

}  // namespace hearth::testing
