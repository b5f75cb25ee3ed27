// WorkflowBackend: the workflow engine behind ComfyUI's routes.
#pragma once
#include <functional>

#include "config/config.h"
#include "server/comfy_backend.h"
#include "workflow/studio.h"

namespace hearth::server {

class WorkflowBackend final : public ComfyBackend {
 public:
  /// What the program around it says; called from any thread. Empty: nothing stands in the way, nothing else to free.
  struct Hooks {
    std::function<comfy::SystemFacts()> system;
    std::function<Result<void>()> admit{};
    /// Waits until a job may begin; false when `gives_up` came true or it took too long.
    std::function<bool(const std::function<bool()>& gives_up)> wait_for_room{};
    /// POST /free unload_models: models of other kinds go as well.
    std::function<void()> unload_others{};
  };
  /// `studio` and `config` outlive the backend.
  WorkflowBackend(workflow::Studio& studio, const config::Config& config, Hooks hooks)
      : studio_(studio), config_(config), hooks_(std::move(hooks)) {}

  /// Asked where a request leaves the number of pictures to memory: the bytes that pictures may hold when it begins.
  /// Set before requests come; without it such a request draws as many as it says at most.
  void set_room(std::function<int64_t()> room) { room_ = std::move(room); }

  workflow::Verdict check(Value& prompt, const std::optional<std::vector<std::string>>& targets) override;
  Value object_info() override;
  Value object_info(std::string_view class_name) override;
  comfy::SystemFacts system() override { return hooks_.system(); }
  Result<void> admit() override { return hooks_.admit ? hooks_.admit() : Result<void>(); }
  Value compose(const openai::ImageCall& call, uint64_t seed) override;
  const workflow::Places& places() override { return studio_.places(); }
  comfy::JobResults run(const RunningJob& job, workflow::JobEvents& events, const std::atomic<bool>& stop) override;
  void release(bool models, bool cache) override;

 private:
  std::string choose_checkpoint(const std::string& asked) const;
  const config::Preset& choose_preset(const std::string& asked) const;

  workflow::Studio& studio_;
  const config::Config& config_;
  const Hooks hooks_;
  std::function<int64_t()> room_;
};

}  // namespace hearth::server
