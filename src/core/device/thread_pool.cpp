#include "core/device/thread_pool.h"

#include <algorithm>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace hearth {
namespace {

void pause_cpu() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

constexpr int kLingerSpins = 2000;  // about 50 us

// Spin briefly, then give the core away: other processes share it.
template <class Done>
void spin_until(Done done) {
  for (int i = 0; !done(); ++i) {
    if (i < 4096) {
      pause_cpu();
    } else {
      std::this_thread::yield();
    }
  }
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { worker(); });
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wakeup_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::wake() {
  { std::lock_guard lock(mutex_); }
  wakeup_.notify_all();
}

void ThreadPool::take_chunks() {
  const Work& work = *work_;
  for (;;) {
    int64_t begin = next_.fetch_add(work.grain, std::memory_order_relaxed);
    if (begin >= work.n) return;
    work.body(begin, std::min(begin + work.grain, work.n));
  }
}

void ThreadPool::parallel_for(int64_t n, int64_t grain, FunctionRef<void(int64_t, int64_t)> body) {
  if (n <= 0) return;
  if (workers_.empty() || n <= grain) {
    body(0, n);
    return;
  }
  Work work{body, n, grain};
  work_ = &work;
  next_.store(0, std::memory_order_relaxed);
  running_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
  generation_.fetch_add(1, std::memory_order_seq_cst);
  if (holds_.load(std::memory_order_relaxed) == 0) wake();
  take_chunks();
  spin_until([this] { return running_.load(std::memory_order_acquire) == 0; });
  work_ = nullptr;
}

void ThreadPool::worker() {
  uint64_t seen = 0;
  for (;;) {
    auto has_work = [&] { return generation_.load(std::memory_order_acquire) != seen || stop_; };
    if (!has_work()) {
      // Between steps nobody holds the pool: linger a little, as the next step often follows at once, then sleep. A
      // hold or new work wakes us.
      int spins = 0;
      spin_until([&] {
        bool is_held = holds_.load(std::memory_order_relaxed) > 0;
        spins = is_held ? 0 : spins + 1;
        return has_work() || spins > kLingerSpins;
      });
      if (!has_work()) {
        std::unique_lock lock(mutex_);
        wakeup_.wait(lock, [&] { return has_work() || holds_.load(std::memory_order_relaxed) > 0; });
      }
      continue;
    }
    if (stop_) return;
    ++seen;
    take_chunks();
    running_.fetch_sub(1, std::memory_order_release);
  }
}

}  // namespace hearth
