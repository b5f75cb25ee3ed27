// WorkflowBackend: the workflow engine behind ComfyUI's routes.
#pragma once
#include <functional>

#include "server/comfy_backend.h"
#include "workflow/studio.h"

namespace hearth::server {

class WorkflowBackend final : public ComfyBackend {
 public:
  /// `studio` outlives the backend. `system` tells about the machine and is called from any thread.
  WorkflowBackend(workflow::Studio& studio, std::function<comfy::SystemFacts()> system)
      : studio_(studio), system_(std::move(system)) {}

  workflow::Verdict check(Value& prompt, const std::optional<std::vector<std::string>>& targets) override;
  Value object_info() override;
  Value object_info(std::string_view class_name) override;
  comfy::SystemFacts system() override { return system_(); }
  const workflow::Places& places() override { return studio_.places(); }
  comfy::JobResults run(const RunningJob& job, workflow::JobEvents& events, const std::atomic<bool>& stop) override;
  void release(bool models, bool cache) override { studio_.release(models, cache); }

 private:
  workflow::Studio& studio_;
  std::function<comfy::SystemFacts()> system_;
};

}  // namespace hearth::server
