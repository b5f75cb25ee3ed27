// ThreadPool: every index once, from any number of threads, held or not.
#include "core/device/thread_pool.h"

#include <gtest/gtest.h>

#include <memory>

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

}  // namespace
}  // namespace hearth
