#include "server/workflow_backend.h"

namespace hearth::server {
namespace {

comfy::JobEnd end_of(workflow::JobResult::End end) {
  switch (end) {
    case workflow::JobResult::End::kSuccess: return comfy::JobEnd::kCompleted;
    case workflow::JobResult::End::kInterrupted: return comfy::JobEnd::kCancelled;
    case workflow::JobResult::End::kError: break;
  }
  return comfy::JobEnd::kFailed;
}

}  // namespace

workflow::Verdict WorkflowBackend::check(Value& prompt, const std::optional<std::vector<std::string>>& targets) {
  return studio_.check(prompt, targets);
}

Value WorkflowBackend::object_info() { return workflow::object_info(studio_.registry(), studio_.places()); }

Value WorkflowBackend::object_info(std::string_view class_name) {
  Value out = Value::object();
  const workflow::NodeType* type = studio_.registry().find(class_name);
  if (type) out.set(class_name, workflow::object_info(*type, studio_.places()));
  return out;
}

comfy::JobResults WorkflowBackend::run(const RunningJob& job, workflow::JobEvents& events,
                                       const std::atomic<bool>& stop) {
  workflow::JobResult done = studio_.run(job.id, job.prompt, job.outputs, job.extra_data, events, stop);
  return {.end = end_of(done.end), .outputs = std::move(done.outputs), .meta = std::move(done.meta),
          .messages = std::move(done.messages)};
}

}  // namespace hearth::server
