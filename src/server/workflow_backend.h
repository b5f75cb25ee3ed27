// WorkflowBackend: the workflow engine behind ComfyUI's routes.
#pragma once
#include <functional>

#include "config/config.h"
#include "server/comfy_backend.h"
#include "workflow/studio.h"

namespace hearth::server {

class WorkflowBackend final : public ComfyBackend {
 public:
  /// `studio` and `config` outlive the backend. `system` tells about the machine and is called from any thread.
  WorkflowBackend(workflow::Studio& studio, const config::Config& config, std::function<comfy::SystemFacts()> system)
      : studio_(studio), config_(config), system_(std::move(system)) {}

  workflow::Verdict check(Value& prompt, const std::optional<std::vector<std::string>>& targets) override;
  Value object_info() override;
  Value object_info(std::string_view class_name) override;
  comfy::SystemFacts system() override { return system_(); }
  Value compose(const openai::ImageCall& call, uint64_t seed) override;
  const workflow::Places& places() override { return studio_.places(); }
  comfy::JobResults run(const RunningJob& job, workflow::JobEvents& events, const std::atomic<bool>& stop) override;
  void release(bool models, bool cache) override { studio_.release(models, cache); }

 private:
  std::string choose_checkpoint(const std::string& asked) const;

  workflow::Studio& studio_;
  const config::Config& config_;
  std::function<comfy::SystemFacts()> system_;
};

}  // namespace hearth::server
