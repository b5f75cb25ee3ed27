// Engine: the language side of a process. It knows the configured models, loads them on demand, unloads idle ones when
// their time is up or another needs room, prepares requests (template, tokens) and hands them to the model's worker.
// Implements LanguageService for the server and for command-line programs.
#pragma once
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "core/base/result.h"
#include "governor/budget/budget.h"
#include "governor/residency/evictor.h"
#include "runtime/executor/executor.h"
#include "runtime/generate/loaded_model.h"
#include "runtime/generate/model_worker.h"
#include "runtime/generate/stats.h"
#include "runtime/model_spec.h"
#include "runtime/request.h"

namespace hearth {

struct EngineOptions {
  Device device;                  // where models run
  Caps caps;
  int threads = 1;                // CPU threads, the owner included
  bool maps_files = false;        // weights are read through the page cache, which keeps them
  int64_t max_queue = 64;         // requests that wait, over all models, beside those a model answers at once
  std::string default_model;      // for requests that name none; empty: the only one there is
  std::vector<ModelSpec> models;
  /// Beside a GPU: where tokenizers and what is read from disk are leased, and whether that is the GPU's pool too. It
  /// outlives the engine. Null on the CPU, where one allocator serves all.
  governor::LeasedAllocator* host_memory = nullptr;
  bool is_one_pool = true;
  std::function<Result<void>()> admit{};  // asked before a request begins; its refusal is the request's; empty: always
  /// Says of a load's refusal what smaller choice would fit; empty: nobody does. Other models load meanwhile. It ends
  /// soon after `stop`, when nobody waits for the answer any more.
  std::function<Error(const Error& refusal, const LoadOptions& options, const std::stop_token& stop)> advise{};
};

class Engine final : public LanguageService, public governor::Resider {
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
  /// The process is about to end: loads in progress give up within about a second, whatever the model's size, and no
  /// other begins; who waits for one hears kCancelled. Models that are loaded go on answering with the memory they
  /// have: a request that needs pages again which were given back hears kCancelled, too. shutdown() does it as well.
  void cancel_loads() {
    loads_.request_stop();
    memory_.cancel_growth();
  }
  /// Who makes room for a model; knows this engine already. Without one its own models alone give way. Set before the
  /// first request.
  void set_evictor(governor::Evictor& evictor) { evictor_ = &evictor; }
  /// Unloads a model that is idle; false when it is busy, unknown or not loaded.
  bool unload(const std::string& name);

  // As a governor sees the models.
  std::vector<governor::Resident> residents() const override;
  bool evict(const std::string& name) override { return unload(name); }
  bool wait_for_leaving() override;
  int64_t shrink(int64_t bytes, bool with_cached, const std::string& but = {}) override;
  /// What would come back sooner or later if the request that holds most were ended; 0 when none runs.
  int64_t largest_request_bytes() const;
  /// Ends that request with `why`, at the next step; false when none runs.
  bool abort_largest(const Error& why);
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
  std::shared_ptr<LoadedModel> ensure_loaded(Slot& slot, const std::string& request_id);
  std::shared_ptr<LoadedModel> load(Slot& slot, const std::string& request_id);  // load_mutex_ held
  Error advised(Slot& slot, const Error& refusal, const std::string& request_id);
  ModelMemory model_memory() const;
  WorkerMemory worker_memory(const Slot& slot, LoadedModel& model);
  bool unload_if_idle(Slot& slot);
  static int64_t shrink(Slot& slot, int64_t bytes, bool with_cached);
  Slot* largest_running(int64_t& bytes) const;
  const ModelFacts& describe(const Slot& slot) const;
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
  governor::Evictor own_evictor_;
  governor::Evictor* evictor_ = &own_evictor_;
  std::mutex load_mutex_;                      // one model loads at a time
  std::stop_source loads_;                     // ends them
  std::mutex stop_mutex_;
  std::condition_variable stop_signal_;
  bool is_stopping_ = false;
  std::thread housekeeper_;
};

}  // namespace hearth
