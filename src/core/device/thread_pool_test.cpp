// ThreadPool: every index once, from any number of threads, held or not; workers of tasks never meet; an interlude runs
// alone, may use the pool, and what it interrupts goes on where it was.
#include "core/device/thread_pool.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace hearth
