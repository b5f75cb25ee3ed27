// Engine: the language side of a process. It knows the configured models, loads them on demand, unloads idle ones when
// their time is up or another needs room, prepares requests (template, tokens) and hands them to the model's worker.
// Implements LanguageService for the server and for command-line programs.
#pragma once
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/base/result.h"
#include "governor/budget/budget.h"
#include "runtime/executor/executor.h"
#include "runtime/generate/loaded_model.h"
#include "runtime/generate/model_worker.h"
#include "runtime/generate/stats.h"
#include "runtime/request.h"

namespace hearth {

/// One model as configured: where it is, what it is called, what requests to it default to.
struct ModelSpec {
  LoadOptions load;               // load.name is the name
  std::vector<std::string> aliases;
  SamplingOptions defaults;
  double keep_alive_s = 1800;     // unloaded after this long without a request; < 0: never, not even to make room

  /// By its name or an alias.
  bool answers_to(const std::string& name) const;
};

struct EngineOptions {
  Device device;                  // where models run
  Caps caps;
  int threads = 1;                // CPU threads, the owner included
  int64_t max_queue = 64;         // requests that wait, over all models, beside those a model answers at once
  std::string default_model;      // for requests that name none; empty: the only one there is
  std::vector<ModelSpec> models;
};

class Engine final : public LanguageService {
 public:
  /// `memory` leases on options.device and outlives the engine.
  Engine(EngineOptions options, governor::LeasedAllocator& memory);
  ~Engine() override;

  void submit(GenerateRequest request, GenerateSink sink) override;
  void cancel(const std::string& id) override;
  std::vector<ModelSummary> models() const override;
  EngineStats stats() const override;
  void shutdown(double grace_s) override;

  /// Loads a model now; the same refusals as a request would get.
  Result<void> preload(const std::string& name);
  /// Unloads a model that is idle; false when it is busy, unknown or not loaded.
  bool unload(const std::string& name);
  Executor& executor() { return executor_; }

 private:
  struct Slot;
  struct Job {
    GenerateRequest request;
    GenerateSink sink;
    double submitted_s = 0;
  };

  Slot* find_slot(const std::string& name) const;
  void prepare_loop(Slot& slot);
  void serve(Slot& slot, Job job);
  std::shared_ptr<LoadedModel> ensure_loaded(Slot& slot);
  bool make_room(const Slot& for_whom, int64_t bytes);
  bool unload_if_idle(Slot& slot);
  void housekeeping();
  Result<PreparedRequest> prepare(const Slot& slot, LoadedModel& model, const Job& job) const;
  void refuse(Job& job, const Error& error);
  void refuse_unless_cancelled(Slot& slot, Job& job, const Error& error);
  std::string known_names() const;
  Error no_such_model(const std::string& name) const;
  int64_t load_of(const Slot& slot) const;
  bool must_wait(const Slot& slot) const;
  int64_t waiting_requests() const;

  const EngineOptions options_;
  governor::LeasedAllocator& memory_;
  Executor executor_;
  StatsBook stats_;
  std::vector<std::unique_ptr<Slot>> slots_;   // fixed after construction
  std::mutex load_mutex_;                      // one model loads at a time
  std::mutex stop_mutex_;
  std::condition_variable stop_signal_;
  bool is_stopping_ = false;
  std::thread housekeeper_;
};

}  // namespace hearth
