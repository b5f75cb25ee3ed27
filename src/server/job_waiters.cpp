#include "server/job_waiters.h"

namespace hearth::server {

void JobWaiters::wait_for(const std::string& id, std::function<void()> ended) {
  std::lock_guard lock(mutex_);
  waiting_[id] = std::move(ended);
}

void JobWaiters::forget(const std::string& id) {
  std::lock_guard lock(mutex_);
  waiting_.erase(id);
}

void JobWaiters::job_ended(const RunningJob& job) {
  next_.job_ended(job);
  std::function<void()> ended;
  {
    std::lock_guard lock(mutex_);
    const auto found = waiting_.find(job.id);
    if (found == waiting_.end()) return;
    ended = std::move(found->second);
    waiting_.erase(found);
  }
  ended();
}

}  // namespace hearth::server
