// MemoryKeeper: what hearth serve does about memory: gives back when the governor asks, ends the largest request when
// it must, answers the routes about memory. From its constructor to its end the governor acts through it.
#pragma once
#include <memory>
#include <string>

#include "governor/neighbour/neighbours.h"
#include "host.h"
#include "picture_host.h"
#include "planner/report/answer.h"
#include "server/memory_service.h"

namespace hearth::app {

class MemoryKeeper final : public governor::Relief, public server::MemoryService {
 public:
  /// All outlive the keeper; `pictures` is null when they are off.
  MemoryKeeper(Host& host, Engine& engine, PictureHost* pictures);
  ~MemoryKeeper() override;
  MemoryKeeper(const MemoryKeeper&) = delete;

  void shrink() override;
  bool abort_largest(const Error& why) override;

  governor::Report report() override;
  Result<void> admit() override { return host_.governor().admit(); }
  int64_t free(const std::string& model, bool caches) override;
  Result<std::shared_ptr<void>> reserve(int64_t bytes, const server::Borrower& who) override;
  Result<std::shared_ptr<void>> hold_body(int64_t bytes) override;

  /// What the governor would grant now, and what more when the idle leaves. A picture begins when the running one has
  /// ended: what that one holds counts as idle, so the answer is the same before a step and in it. Any thread.
  planner::Room room(bool for_pictures);

 private:
  // An account, and who gives way in it; null where nothing of ours lies there.
  struct Pool {
    governor::Budget& budget;
    governor::Evictor* evictor;
    governor::PoolKind kind;
  };
  governor::Budget& host_budget();
  Pool host_pool();
  Result<Pool> pool_named(const std::string& name);
  Result<governor::Lease> lease(const Pool& pool, int64_t bytes, const std::string& holder);
  int64_t leaving_for_words();
  int64_t leaving_for_pictures();
  governor::Evictor* host_evictor();
  void look_at_neighbours();
  int64_t promised();

  Host& host_;
  Engine& engine_;
  PictureHost* const pictures_;
  const std::string driver_;
  std::unique_ptr<governor::Evictor> picture_evictor_;  // where pictures have a pool of their own
  governor::Neighbours neighbours_;
  std::mutex look_mutex_;
  std::chrono::steady_clock::time_point looked_at_{};
};

}  // namespace hearth::app
