// What the queue hands to whoever executes prompts, and what it gets back.
#pragma once
#include <atomic>
#include <string>
#include <vector>

#include "api/comfy/history.h"
#include "core/base/value.h"
#include "workflow/execute/events.h"

namespace hearth::server {

/// A job as it is run: a validated prompt.
struct RunningJob {
  std::string id;
  double number = 0;
  std::string client_id;             // "": nobody listens
  Value prompt, extra_data;
  Value secrets;                     // only while the server that took them runs; null after a restart
  std::vector<std::string> outputs;  // node ids to execute
  int attempt = 1;                   // 2: the server crashed during the first
};

class JobRunner {
 public:
  virtual ~JobRunner() = default;
  /// Executes one prompt on the queue's worker thread and tells its course to `events`. `stop` turns true when the job
  /// is interrupted or the server stops: it then ends at the next cut with kCancelled. What it throws fails the job.
  virtual comfy::JobResults run(const RunningJob& job, workflow::JobEvents& events, const std::atomic<bool>& stop) = 0;
  /// POST /free, between jobs on the worker thread.
  virtual void release(bool models, bool cache) = 0;
};

}  // namespace hearth::server
