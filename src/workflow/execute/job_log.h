// JobLog: turns what happens to a job into the events of the protocol and keeps what its history entry needs: ui
// outputs, messages, progress of the nodes so far. One thread at a time.
#pragma once
#include <string>
#include <vector>

#include "core/base/error.h"
#include "workflow/execute/events.h"
#include "workflow/execute/run_job.h"

namespace hearth::workflow {

class JobLog {
 public:
  JobLog(const Job& job, JobEvents& events) : job_(job), events_(events) {}

  void started();
  void cached(const std::vector<std::string>& nodes);
  void node_started(const std::string& id);
  void node_step(const std::string& id, int64_t done, int64_t total, const EncodedPreview* preview);
  void node_text(const std::string& id, std::string_view text) { events_.send_text(id, text); }
  /// `ui` null: the node showed nothing.
  void node_showed(const std::string& id, const Value& ui);
  void node_shown_again(const std::string& id, const Value& ui);  // from the cache
  void node_finished(const std::string& id, bool ran);

  void succeeded();
  void interrupted(const std::string& id);
  void failed(const std::string& id, const Error& error, Value current_inputs, const std::vector<std::string>& outputs);

  JobResult take_result() { return std::move(result_); }

 private:
  struct Progress {
    std::string id;
    int64_t value = 0, max = 1;
    bool is_finished = false;
  };
  void update(const Progress& node);
  void message(std::string_view type, Value data);
  void remember_ui(const std::string& id, const Value& ui);
  Value executed_list() const;

  const Job& job_;
  JobEvents& events_;
  JobResult result_;
  Value progress_state_;  // data of the frame: the nodes so far, oldest first
  std::vector<std::string> executed_;
};

/// A Python-like name for what went wrong ("ValueError"), as clients expect in exception_type.
std::string exception_type(Code code);

}  // namespace hearth::workflow
