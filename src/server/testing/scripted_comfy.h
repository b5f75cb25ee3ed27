// A ComfyBackend without models, for tests of everything above the workflow engine. It knows the classes of ComfyUI's
// default workflow and a few that misbehave; nodes run in the order of the prompt and report as the engine does.
//
//   KSampler   sends `steps` steps, each with a preview        SaveImage  writes a small PNG with its metadata
//   Wait       until it is interrupted                          Fail       ends with execution_error
//   Throw      throws                                           Crash      aborts the process
//
// check() knows missing classes, prompts without outputs, and the range of KSampler's seed and steps.
#pragma once
#include <atomic>
#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

#include "server/comfy_backend.h"

namespace hearth::server {

class ScriptedComfy final : public ComfyBackend {
 public:
  /// models/, input/, output/ and temp/ below `root` are made.
  explicit ScriptedComfy(const std::filesystem::path& root);

  comfy::JobResults run(const RunningJob& job, workflow::JobEvents& events, const std::atomic<bool>& stop) override;
  void release(bool models, bool cache) override;
  workflow::Verdict check(Value& prompt, const std::optional<std::vector<std::string>>& targets) override;
  Value object_info() override;
  Value object_info(std::string_view class_name) override;
  comfy::SystemFacts system() override;
  const workflow::Places& places() override { return places_; }

  std::vector<std::string> released() const;  // "models", "models+cache", ...

 private:
  workflow::Places places_;
  mutable std::mutex mutex_;
  std::vector<std::string> released_;
};

}  // namespace hearth::server
