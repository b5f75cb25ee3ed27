// A LanguageService without a model, for tests of everything above the engine: the model's name picks the script.
//
//   scripted   answers "Hello from the script." in five tokens, honouring max_tokens, stop, n, logprobs and echo
//   slow       the same words over and over, 20 ms apart, until max_tokens (1000)
//   dead       never starts          stalls     starts, then says nothing
//   endless    1 KiB of text at once, for ever
//   midway     fails with kDevice after two tokens          drops      loses the request after two tokens
//   internal, busy, no-memory, too-long, cancelled          refuse with that code
//
// An unknown name is kNotFound; an empty one is "scripted". One thread of its own.
#pragma once
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "runtime/request.h"

namespace hearth::server {

class ScriptedService final : public LanguageService {
 public:
  ScriptedService();
  ~ScriptedService() override;

  void submit(GenerateRequest request, GenerateSink sink) override;
  void cancel(const std::string& id) override;
  std::vector<ModelSummary> models() const override;
  EngineStats stats() const override;
  void shutdown(double grace_s) override;

  // For tests: wait until this many requests were submitted, cancelled, or are alive. False after 20 seconds.
  bool wait_submitted(uint64_t count) const;
  bool wait_cancelled(uint64_t count) const;
  bool wait_alive(size_t count) const;
  GenerateRequest last_request() const;

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Job {
    GenerateRequest request;
    GenerateSink sink;
    std::vector<std::string> words;
    Time due;
    int64_t step = -1;  // -1: not started
    int64_t limit = 0;  // tokens per choice
    bool is_length = false;
  };
  void run();
  std::vector<GenerateEvent> advance(Job& job, bool& is_over);
  void finish(const Job& job, std::vector<GenerateEvent>& events);
  template <class Done>
  bool wait_until(Done done) const;

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::deque<std::shared_ptr<Job>> jobs_;
  GenerateRequest last_;
  EngineStats stats_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace hearth::server
