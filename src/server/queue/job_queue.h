// JobQueue: prompts wait here, durably, and run one at a time on a worker thread. Thread-safe. Nothing here blocks its
// caller: all database work happens on two threads of its own (one writes, one reads), which call `done` when it is on
// disk or read; `done` must return quickly.
#pragma once
#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "server/host_pool.h"
#include "server/queue/job_runner.h"
#include "server/queue/job_store.h"
#include "server/queue/job_views.h"

namespace hearth::server {

/// Who hears what happens in the queue.
class JobListener {
 public:
  virtual ~JobListener() = default;
  /// Jobs waiting and running, after each change was committed. Any thread.
  virtual void queue_changed(int64_t remaining) = 0;
  /// Worker thread: a job begins; what it tells goes to the returned object until job_ended().
  virtual workflow::JobEvents& job_begins(const RunningJob& job) = 0;
  /// Worker thread: it is in the history and queue_changed() was called.
  virtual void job_ended(const RunningJob& job) = 0;
};

class JobQueue {
 public:
  template <class T>
  using Done = std::function<void(Result<T>)>;

  /// Opens or creates the database `file`; throws what JobStore throws. Both must outlive the queue. Nothing runs
  /// before start().
  JobQueue(const std::filesystem::path& file, JobRunner& runner, JobListener& listener);
  /// Calls stop().
  ~JobQueue();
  JobQueue(const JobQueue&) = delete;

  void start();
  /// Interrupts the running job and puts it back; what was accepted waits for the next start of the server.
  void stop();

  /// `done` gets the job's number once it is on disk.
  void accept(NewJob job, Value secrets, Done<double> done);
  int64_t remaining() const { return remaining_; }

  void remove_waiting(std::vector<std::string> ids, bool all, Done<int64_t> done);
  void remove_history(std::vector<std::string> ids, bool all, Done<int64_t> done);
  /// Stops the running job if `id` names it, or whichever runs when `id` is empty.
  bool interrupt(const std::string& id);
  /// Running: interrupted; waiting: removed. `done` gets whether any of them was there.
  void cancel(std::vector<std::string> ids, Done<bool> done);
  /// Before the next job, or at once when none runs.
  void release(bool models, bool cache);

  /// Runs `read` on the reading thread and hands on what it gives.
  void view(std::function<std::string(JobViews&)> read, Done<std::string> done);

 private:
  template <class T>
  void write(std::function<T(JobStore&)> work, Done<T> done);
  template <class T>
  T write_now(std::function<T(JobStore&)> work);
  void count();
  void work();
  bool wait_for_work();
  void release_if_asked();
  std::optional<StoredJob> begin_next();
  void run_one(const StoredJob& stored);
  void finish(const comfy::JobFacts& facts, const comfy::JobResults& results);
  void forget_secrets(const std::vector<std::string>& ids, bool all);
  comfy::JobResults run_safely(const RunningJob& job);
  class Watched;
  RunningJob unpack(const StoredJob& stored);

  JobRunner& runner_;
  JobListener& listener_;
  JobStore store_;   // writing thread only
  JobViews views_;   // reading thread only
  std::atomic<int64_t> remaining_{0};

  std::mutex mutex_;
  std::condition_variable changed_;
  std::string running_id_;                // "": none
  std::atomic<bool> stop_job_{false};
  bool was_interrupted_ = false;          // by a client, not by stop()
  bool may_have_work_ = true, is_stopping_ = false;
  bool release_models_ = false, release_cache_ = false;
  std::map<std::string, Value> secrets_;  // by job, until it has run

  HostPool writer_{1, 100'000}, reader_{1, 1'000};
  std::thread worker_;
};

}  // namespace hearth::server
