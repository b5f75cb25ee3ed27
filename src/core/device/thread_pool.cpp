#include "core/device/thread_pool.h"

#include <algorithm>
#include <limits>

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

// The gate says who may work on what: how many workers are inside, whether more may come in, and above that which piece
// of work it is.
constexpr uint64_t kInside = (1 << 15) - 1, kClosed = 1 << 15, kGeneration = 1 << 16;

// Into the work that goes on, unless it is the one `seen` already; false when there is none.
bool enter(std::atomic<uint64_t>& gate, uint64_t& seen) {
  uint64_t state = gate.load(std::memory_order_acquire);
  while ((state & kClosed) == 0 && state / kGeneration != seen) {
    if (gate.compare_exchange_weak(state, state + 1, std::memory_order_acq_rel)) {
      seen = state / kGeneration;
      return true;
    }
  }
  return false;
}

constexpr int kLingerSpins = 2000;  // about 50 us
constexpr int64_t kNoneLeft =
    std::numeric_limits<int64_t>::max() / 2;  // far from overflow when workers add their grain

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
  for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { worker(i); });
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

void ThreadPool::take_chunks(int64_t number) {
  const Work& work = *work_;
  if (number >= work.workers) return;
  for (;;) {
    const int64_t begin = next_.fetch_add(work.grain, std::memory_order_relaxed);
    if (begin >= work.n) return;
    work.body(number, begin, std::min(begin + work.grain, work.n));
  }
}

// The caller's part: ends early, and leaves nothing to the others, when the interlude is due. Where to go on.
int64_t ThreadPool::take_chunks_until_due() {
  const Work& work = *work_;
  for (;;) {
    const int64_t begin = next_.fetch_add(work.grain, std::memory_order_relaxed);
    if (begin >= work.n) return work.n;
    work.body(0, begin, std::min(begin + work.grain, work.n));
    if (interlude_ && interlude_->is_due()) {
      return std::min(next_.exchange(kNoneLeft, std::memory_order_relaxed), work.n);
    }
  }
}

// The caller waits for the workers that came in, never for one that is not there: on a machine that others use too, a
// worker may be without a core for many milliseconds, and a step has a thousand ops.
void ThreadPool::run(const Work& work) {
  for (int64_t from = 0; from < work.n;) {
    work_ = &work;
    next_.store(from, std::memory_order_relaxed);
    const uint64_t last = gate_.load(std::memory_order_relaxed) / kGeneration;
    gate_.store((last + 1) * kGeneration, std::memory_order_seq_cst);
    if (holds_.load(std::memory_order_relaxed) == 0) wake();
    from = take_chunks_until_due();
    gate_.fetch_or(kClosed, std::memory_order_acq_rel);
    spin_until([this] { return (gate_.load(std::memory_order_acquire) & kInside) == 0; });
    if (from < work.n) interlude_->run();
  }
}

void ThreadPool::parallel_for(int64_t n, int64_t grain, FunctionRef<void(int64_t, int64_t)> body) {
  if (n <= 0) return;
  if (n <= grain) return body(0, n);
  auto chunk = [&](int64_t, int64_t begin, int64_t end) { body(begin, end); };
  run({chunk, n, grain, threads()});
}

void ThreadPool::parallel_tasks(int64_t n, int workers, FunctionRef<void(int64_t, int64_t)> body) {
  if (n == 1) return body(0, 0);
  auto chunk = [&](int64_t worker, int64_t begin, int64_t) { body(worker, begin); };
  run({chunk, n, 1, workers});
}

void ThreadPool::worker(int64_t number) {
  uint64_t seen = 0;
  for (;;) {
    auto has_work = [&] {
      const uint64_t gate = gate_.load(std::memory_order_acquire);
      return ((gate & kClosed) == 0 && gate / kGeneration != seen) || stop_;
    };
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
    if (!enter(gate_, seen)) continue;
    take_chunks(number);
    gate_.fetch_sub(1, std::memory_order_release);
  }
}

}  // namespace hearth
