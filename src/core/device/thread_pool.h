// ThreadPool: the CPU lane's workers. parallel_for splits [0, n) into chunks handed out in order; the caller takes
// part. Workers spin while a step is running (hold()) because an op lasts microseconds, and sleep between steps.
// One caller at a time: the device's owner thread. A body must not throw.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <type_traits>
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
  /// `threads` counts the caller: 1 makes no worker.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls body(begin, end) over disjoint ranges that cover [0, n), each at most `grain` long.
  void parallel_for(int64_t n, int64_t grain, FunctionRef<void(int64_t, int64_t)> body);

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
    FunctionRef<void(int64_t, int64_t)> body;
    int64_t n, grain;
  };
  void worker();
  void take_chunks();
  void wake();

  std::vector<std::thread> workers_;
  const Work* work_ = nullptr;
  alignas(64) std::atomic<uint64_t> generation_{0};
  alignas(64) std::atomic<int64_t> next_{0};
  alignas(64) std::atomic<int> running_{0};
  alignas(64) std::atomic<int> holds_{0};
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::condition_variable wakeup_;
};

}  // namespace hearth
