// What stands behind ComfyUI's routes: the workflow engine, as the server needs it.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/comfy/system.h"
#include "api/openai/images.h"
#include "server/queue/job_runner.h"
#include "workflow/files/places.h"
#include "workflow/graph/validate.h"

namespace hearth::server {

/// run() and release() are called on the queue's worker thread, the rest from several threads at once. All but run()
/// answer while a job runs, system() within a few milliseconds.
class ComfyBackend : public JobRunner {
 public:
  /// Validates `prompt` (an object) and writes converted literals back into it.
  virtual workflow::Verdict check(Value& prompt, const std::optional<std::vector<std::string>>& targets) = 0;
  virtual Value object_info() = 0;
  /// {class: info}, or an empty object for a class that is not there.
  virtual Value object_info(std::string_view class_name) = 0;
  virtual comfy::SystemFacts system() = 0;
  /// May a job be taken now? Its refusal is what the client gets.
  virtual Result<void> admit() { return {}; }
  /// The prompt graph of POST /v1/images/generations. Throws Error: an unknown model or preset, no model at all.
  virtual Value compose(const openai::ImageCall& call, uint64_t seed) {
    throw Error(Code::kUnsupported, "this server draws no pictures from words alone");
  }
  /// Lives as long as the backend.
  virtual const workflow::Places& places() = 0;
};

}  // namespace hearth::server
