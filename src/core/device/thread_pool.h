// ThreadPool: the CPU lane's workers. parallel_for splits [0, n) into chunks handed out in order; the caller takes
// part. Workers spin while a step is running (hold()) because an op lasts microseconds, and sleep between steps.
// One caller at a time: the device's owner thread. A body must not throw.
//
// An op may last a second, too long for others to wait: between two chunks the caller asks the pool's Interlude whether
// something is due. Then every thread comes to rest, the interlude has the pool, and the op goes on where it was. What
// a chunk computes cannot depend on that.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace hearth {

/// A borrowed callable; no heap allocation.
template <class Signature> class FunctionRef;
template <class R, class... Args>
class FunctionRef<R(Args...)> {
 public:
  template <class F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, FunctionRef>)
  FunctionRef(F&& f)  // NOLINT: implicit on purpose
      : object_(const_cast<void*>(static_cast<const void*>(&f))), call_([](void* object, Args... args) -> R {
          return (*static_cast<std::remove_reference_t<F>*>(object))(static_cast<Args>(args)...);
        }) {}
  R operator()(Args... args) const { return call_(object_, static_cast<Args>(args)...); }

 private:
  void* object_;
  R (*call_)(void*, Args...);
};

class ThreadPool {
 public:
  /// What may run in the middle of a parallel_for. Both are called by its caller; neither may throw.
  class Interlude {
   public:
    virtual ~Interlude() = default;
    /// Asked after every chunk: cheap.
    virtual bool is_due() noexcept = 0;
    /// No chunk runs meanwhile; it may use the pool itself.
    virtual void run() noexcept = 0;
  };

  /// `threads` counts the caller: 1 makes no worker.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls body(begin, end) over disjoint ranges that cover [0, n), each at most `grain` long.
  void parallel_for(int64_t n, int64_t grain, FunctionRef<void(int64_t, int64_t)> body);
  /// Calls body(worker, task) for every task of [0, n), on at most `workers` threads: no two that run together have the
  /// same worker, a number below `workers`, so that each may own a share of some working space.
  void parallel_tasks(int64_t n, int workers, FunctionRef<void(int64_t worker, int64_t task)> body);

  /// From now on; null: nothing. Gives back the one before. The caller's thread.
  Interlude* set_interlude(Interlude* interlude) { return std::exchange(interlude_, interlude); }

  /// While held, workers spin for the next parallel_for instead of sleeping.
  class Hold {
   public:
    explicit Hold(ThreadPool& pool) : pool_(pool) { pool_.holds_.fetch_add(1); pool_.wake(); }
    ~Hold() { pool_.holds_.fetch_sub(1); }
    Hold(const Hold&) = delete;

   private:
    ThreadPool& pool_;
  };

 private:
  struct Work {
    FunctionRef<void(int64_t worker, int64_t begin, int64_t end)> body;
    int64_t n, grain;
    int64_t workers;
  };
  void run(const Work& work);
  void worker(int64_t number);
  void take_chunks(int64_t number);
  int64_t take_chunks_until_due();
  void wake();

  std::vector<std::thread> workers_;
  Interlude* interlude_ = nullptr;
  const Work* work_ = nullptr;
  alignas(64) std::atomic<uint64_t> gate_{0};  // which work goes on, and how many workers are in it
  alignas(64) std::atomic<int64_t> next_{0};
  alignas(64) std::atomic<int> holds_{0};
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::condition_variable wakeup_;
};

}  // namespace hearth
