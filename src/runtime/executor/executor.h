// Executor: one owner thread per device runs the steps of all lanes. A step is cut into slices at block boundaries; at
// each cut a waiting step of a higher class runs in its own lane, and a cancelled step ends. On the CPU it may also run
// in the middle of an op, between two of its chunks: one convolution of a large picture lasts longer than a reader's
// patience. Each lane keeps its share: a class goes first only until its lane is ahead (plan_slice.h). run() may be
// called from any thread and blocks it until its step is done. A step that throws fails alone: its lane's arena is
// empty again.
#pragma once
#include <condition_variable>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/base/result.h"
#include "core/device/ctx.h"
#include "core/device/thread_pool.h"
#include "runtime/executor/lane.h"
#include "runtime/executor/plan_slice.h"

namespace hearth {

struct StepRequest {
  Lane& lane;
  WorkClass work_class = WorkClass::kInteractive;
  std::optional<double> deadline_s;
  /// CUDA: equal keys mean the same sequence of ops on the same addresses, so a captured step may be replayed.
  /// Nothing: always eager.
  std::optional<uint64_t> graph_key;
  FunctionRef<void(Ctx&)> body;
  FunctionRef<bool()> is_cancelled;
  StepObserver* observer = nullptr;
};

class Executor {
 public:
  /// threads counts the owner; CUDA needs one. `maps_files`: weights are read through the page cache, which keeps them.
  Executor(Device device, const Caps& caps, int threads, bool maps_files = false);
  ~Executor();
  Executor(const Executor&) = delete;

  Device device() const { return device_; }
  const Caps& caps() const { return caps_; }
  bool maps_files() const { return maps_files_; }

  /// Runs a step to its end. The error is what the body threw, or kCancelled.
  Result<void> run(const StepRequest& request);
  /// Runs host work on the owner thread and its pool when no step is running (loading weights).
  Result<void> run_on_pool(FunctionRef<void(ThreadPool&)> work);

  uint64_t steps_run() const { return steps_run_.load(std::memory_order_relaxed); }
  /// Inside a step of a lower class: at its cuts, or in the middle of an op.
  uint64_t steps_run_at_cuts() const { return steps_at_cuts_.load(std::memory_order_relaxed); }

 private:
  struct Waiting {
    const StepRequest* step = nullptr;                        // a step, or
    const FunctionRef<void(ThreadPool&)>* pool_work = nullptr;  // pool work
    uint64_t arrival = 0;
    bool is_done = false;
    std::optional<Error> error;
  };
  class Cutter;
  class Interlude;
  // A step, or pool work, in progress on the owner thread; the one it runs inside.
  struct Running {
    const StepRequest* step = nullptr;  // null: pool work, of the lowest class
    Running* outer = nullptr;
    double served_s = 0;                // its lane's account when it began
    double start_s = 0, nested_s = 0;   // the time other steps had inside it
    WorkClass work_class() const { return step ? step->work_class : WorkClass::kBackground; }
  };
  class Progress;

  Result<void> submit_and_wait(Waiting& waiting);
  void own_device();
  std::optional<std::list<Waiting*>::iterator> plan_next();  // mutex_ held
  Waiting* take_next();                                      // mutex_ held
  bool is_active(const Lane& lane) const;
  double counted_now_s(const Running& running) const;
  double start_account(const StepRequest* step);
  bool is_urgent();
  void run_urgent();
  void run_waiting(Waiting& waiting);
  void run_step(const StepRequest& step);
  std::vector<cuda::Graph> capture(const StepRequest& step, Ctx& c);
  void run_captured(const StepRequest& step, Ctx& c);
  void at_cut(const StepRequest& step);
  void run_pool_work(FunctionRef<void(ThreadPool&)> work);
  void finish(Waiting& waiting);

  const Device device_;
  const Caps caps_;
  const bool maps_files_;
  ThreadPool pool_;
  std::mutex mutex_;
  std::condition_variable work_arrived_, work_done_;
  std::list<Waiting*> waiting_;
  std::atomic<int> arrived_{0};  // size of waiting_, for a look without the lock
  // plan_next()'s working lists, kept so that a steady step takes nothing from the heap; guarded by mutex_
  std::vector<WaitingStep> views_;
  std::vector<std::list<Waiting*>::iterator> places_;
  uint64_t arrivals_ = 0;
  bool stop_ = false;
  // Owner thread only.
  Running* running_ = nullptr;  // innermost
  double virtual_s_ = 0;        // what the lane served last had been given: about where a lane that was idle starts
  std::atomic<uint64_t> steps_run_{0}, steps_at_cuts_{0};
  std::thread owner_;
};

}  // namespace hearth
