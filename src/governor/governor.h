// Governor: watches the host's memory and acts before the host runs out. A thread of its own (Gauge) looks every 100 ms
// and lets Guard decide; a second one carries decisions out, since letting models go may take a while and the next look
// must not wait for it. The last resort, ending the process, is taken by the looking thread itself.
#pragma once
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "governor/budget/budget.h"
#include "governor/pressure/gauge.h"
#include "governor/pressure/guard.h"

namespace hearth::governor {

/// What the program does when memory runs short. Called on the governor's acting thread, one call at a time.
class Relief {
 public:
  virtual ~Relief() = default;
  /// Gives back what is kept for later: caches, idle models, spare heap. Asked again while it stays short.
  virtual void shrink() = 0;
  /// Ends the running request that holds most, with `why`; false when none runs.
  virtual bool abort_largest(const Error& why) = 0;
};

struct GovernorOptions {
  machine::Root root{};               // where the host's memory is read
  bool has_integrated_gpu = false;    // the pool is the GPU's too
  bool needs_blocks = false;          // models lie in memory that the driver takes in blocks
  HostLimits limits{};
  std::optional<Floors> floors{};     // empty: by the size of the pool
  std::chrono::milliseconds interval = Gauge::kInterval;
  std::function<void()> end_process;  // empty: ends it at once, without cleaning up
};

class Governor {
 public:
  /// Begins to watch.
  explicit Governor(GovernorOptions options);
  ~Governor();
  Governor(const Governor&) = delete;

  /// From now on `relief` acts; null: nobody. Returns when no call to the former one is running any more.
  void set_relief(Relief* relief);
  /// Levels, and requests that were ended.
  Journal& journal() { return journal_; }

  /// May a new request or job begin? kNoMemory with numbers while memory is short.
  Result<void> admit() const;
  /// Waits for admit(); false when `gives_up` came true first or `limit` passed.
  bool wait_for_calm(const std::function<bool()>& gives_up, std::chrono::milliseconds limit) const;
  /// May `bytes` more be taken from the host now? What is large needs a fresh look and leaves the soft floor; what is
  /// small is part of running work, which goes on until the hard floor.
  Result<void> may_take(int64_t bytes) const;

  /// What the program may hold of the pool, by the machine as it is now.
  int64_t limit_bytes() const;
  int64_t reserve_bytes() const { return reserve_; }
  int64_t pool_bytes() const { return pool_; }
  const Floors& floors() const { return floors_; }
  Reading reading() const { return gauge_->latest(); }
  /// What the reading is made from and what no decision needs, read now.
  machine::HostMemory host_memory() const { return machine::read_host_memory(options_.root); }
  std::optional<machine::SwapAndCompaction> swapping() const {
    return machine::read_swap_and_compaction(options_.root);
  }
  Decision decision() const;
  /// Bytes promised to other programs that they have not taken yet: the host still counts them as available. Returns
  /// when no call to the former one is running any more.
  void set_promised(std::function<int64_t()> promised);

 private:
  void hear(const Reading& reading);
  void act(const std::stop_token& stop);
  Error shortage(const char* what) const;

  const GovernorOptions options_;
  const int64_t pool_, reserve_;
  const Floors floors_;
  Guard guard_;  // looking thread only
  Journal journal_;
  mutable std::mutex promised_mutex_;  // held while it is asked
  std::function<int64_t()> promised_;
  mutable std::mutex mutex_;
  mutable std::condition_variable calm_;
  std::condition_variable_any wakeup_;
  Decision decision_;
  bool must_shrink_ = false, must_abort_ = false;
  std::mutex relief_mutex_;  // held while the relief works
  Relief* relief_ = nullptr;
  std::jthread actor_;
  std::unique_ptr<Gauge> gauge_;  // last: it calls the rest
};

}  // namespace hearth::governor
