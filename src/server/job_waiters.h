// JobWaiters: hands on what happens in the queue and tells who waits for a job that it has ended.
#pragma once
#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "server/queue/job_queue.h"

namespace hearth::server {

class JobWaiters final : public JobListener {
 public:
  /// `next` outlives this.
  explicit JobWaiters(JobListener& next) : next_(next) {}

  /// `ended` is called once, on the queue's worker thread, when the job is in the history. Before the job is accepted.
  void wait_for(const std::string& id, std::function<void()> ended);
  /// The job was refused or taken out of the queue: nobody waits any more.
  void forget(const std::string& id);

  void queue_changed(int64_t remaining) override { next_.queue_changed(remaining); }
  workflow::JobEvents& job_begins(const RunningJob& job) override { return next_.job_begins(job); }
  void job_ended(const RunningJob& job) override;

 private:
  JobListener& next_;
  std::mutex mutex_;
  std::map<std::string, std::function<void()>> waiting_;
};

}  // namespace hearth::server
