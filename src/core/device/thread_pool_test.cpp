// ThreadPool: every index once, from any number of threads, held or not; workers of tasks never meet; an interlude runs
// alone, may use the pool, and what it interrupts goes on where it was; an op ends without a worker that has no core.
#include "core/device/thread_pool.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <vector>

namespace hearth {
namespace {

TEST(ThreadPool, VisitsEveryIndexOnce) {
  for (int threads : {1, 2, 4}) {
    ThreadPool pool(threads);
    for (int round = 0; round < 200; ++round) {
      auto hold = round % 2 ? std::make_unique<ThreadPool::Hold>(pool) : nullptr;
      std::vector<std::atomic<int>> seen(1 + round * 7 % 500);
      pool.parallel_for(static_cast<int64_t>(seen.size()), 3, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) seen[i].fetch_add(1);
      });
      for (auto& count : seen) ASSERT_EQ(count.load(), 1);
    }
  }
}

TEST(ThreadPool, NoTwoTasksShareAWorkerAtOnce) {
  for (int threads : {1, 2, 4}) {
    for (int workers : {1, 2, 3}) {
      ThreadPool pool(threads);
      std::vector<std::atomic<int>> seen(500), busy(static_cast<size_t>(workers));
      std::atomic<int> met{0};
      pool.parallel_tasks(500, workers, [&](int64_t worker, int64_t task) {
        ASSERT_LT(worker, workers);
        met += busy[static_cast<size_t>(worker)].fetch_add(1);
        seen[static_cast<size_t>(task)].fetch_add(1);
        busy[static_cast<size_t>(worker)].fetch_sub(1);
      });
      EXPECT_EQ(met, 0);
      for (auto& count : seen) ASSERT_EQ(count.load(), 1);
    }
  }
}

// Due at every chunk of the caller: each interlude visits indices of its own with the same pool.
class EveryChunk final : public ThreadPool::Interlude {
 public:
  EveryChunk(ThreadPool& pool, std::atomic<int>& running) : pool_(pool), running_(running) {}
  bool is_due() noexcept override { return true; }
  void run() noexcept override {
    was_alone = was_alone && running_ == 0;
    Interlude* self = pool_.set_interlude(nullptr);
    std::atomic<int64_t> sum{0};
    pool_.parallel_for(100, 7, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) sum += i;
    });
    was_whole = was_whole && sum == 4950;
    pool_.set_interlude(self);
    ++runs;
  }
  bool was_alone = true, was_whole = true;
  int runs = 0;

 private:
  ThreadPool& pool_;
  std::atomic<int>& running_;
};

TEST(ThreadPool, AnInterludeHasThePoolBetweenChunks) {
  for (int threads : {1, 2, 4}) {
    ThreadPool pool(threads);
    std::atomic<int> running{0};
    EveryChunk interlude(pool, running);
    ASSERT_EQ(pool.set_interlude(&interlude), nullptr);
    for (int round = 0; round < 5; ++round) {
      ThreadPool::Hold hold(pool);
      std::vector<std::atomic<int>> seen(100 + round);
      pool.parallel_for(static_cast<int64_t>(seen.size()), 4, [&](int64_t begin, int64_t end) {
        ++running;
        EXPECT_EQ(begin % 4, 0) << "chunks lie where they lie without an interlude";
        for (int64_t i = begin; i < end; ++i) seen[static_cast<size_t>(i)].fetch_add(1);
        --running;
      });
      for (auto& count : seen) ASSERT_EQ(count.load(), 1);
    }
    EXPECT_TRUE(interlude.was_alone);
    EXPECT_TRUE(interlude.was_whole);
    EXPECT_GT(interlude.runs, 0);
    EXPECT_EQ(pool.set_interlude(nullptr), &interlude);
  }
}

// Takes a thread off its core wherever it is: the handler of a signal holds it there until the end of this object.
class WithoutCore {
 public:
  explicit WithoutCore(pthread_t thread) {
    EXPECT_EQ(pipe(held_.data()), 0);
    is_held_ = false;
    struct sigaction action = {};
    action.sa_handler = [](int) {
      is_held_ = true;
      char byte;
      [[maybe_unused]] ssize_t size = read(held_[0], &byte, 1);
      is_held_ = false;
    };
    sigaction(SIGUSR2, &action, &before_);
    pthread_kill(thread, SIGUSR2);
    while (!is_held_) std::this_thread::yield();
  }
  ~WithoutCore() {
    close(held_[1]);
    while (is_held_) std::this_thread::yield();
    close(held_[0]);
    sigaction(SIGUSR2, &before_, nullptr);
  }

 private:
  static inline std::array<int, 2> held_;
  static inline std::atomic<bool> is_held_;
  struct sigaction before_ = {};
};

TEST(ThreadPool, AnOpEndsWithoutAWorkerThatHasNoCore) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the thread sanitizer delivers a signal only at a system call, and a worker that spins makes none";
#endif
  ThreadPool pool(2);
  ThreadPool::Hold hold(pool);  // so that the worker spins and owns no lock
  std::atomic<int> met{0};
  std::array<pthread_t, 2> threads;
  pool.parallel_tasks(2, 2, [&](int64_t worker, int64_t) {
    threads[static_cast<size_t>(worker)] = pthread_self();
    ++met;
    while (met < 2) std::this_thread::yield();
  });

  std::vector<int> seen(100);
  {
    WithoutCore stopped(threads[1]);
    pool.parallel_for(100, 3, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) ++seen[static_cast<size_t>(i)];
    });
  }
  EXPECT_EQ(seen, std::vector<int>(100, 1));
  met = 0;
  pool.parallel_tasks(2, 2, [&](int64_t, int64_t) {
    ++met;
    while (met < 2) std::this_thread::yield();
  });
  EXPECT_EQ(met, 2) << "and the worker is there again when it has its core back";
}

}  // namespace
}  // namespace hearth
