#include "server/workflow_backend.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "workflow/compose.h"

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

std::string WorkflowBackend::choose_checkpoint(const std::string& asked) const {
  const std::vector<std::string> known = studio_.places().models.list("checkpoints");
  const std::string& wanted = asked.empty() ? config_.pictures.default_model : asked;
  for (const std::string& name : known) {
    const bool is_it = name == wanted || std::filesystem::path(name).stem() == wanted;
    if (is_it || (wanted.empty() && known.size() == 1)) return name;
  }
  if (known.empty()) throw Error(Code::kNotFound, "no picture model is installed: put one into the checkpoints folder");
  throw Error(wanted.empty() ? Code::kInvalidArgument : Code::kNotFound,
              fmt::format("{}; there are {}", wanted.empty() ? "which 'model'?" : "model '" + wanted + "' does not exist",
                          fmt::join(known, ", ")));
}

Value WorkflowBackend::compose(const openai::ImageCall& call, uint64_t seed) {
  workflow::PictureOptions o;
  const std::string& wanted = call.preset.empty() ? config_.pictures.default_preset : call.preset;
  const auto preset = std::find_if(config_.presets.begin(), config_.presets.end(),
                                   [&](const config::Preset& p) { return p.name == wanted; });
  if (preset == config_.presets.end()) throw Error(Code::kNotFound, fmt::format("preset '{}' does not exist", wanted));
  o.checkpoint = choose_checkpoint(call.model);
  o.prompt = call.prompt;
  o.negative = call.negative.empty() ? preset->negative.value_or("") : call.negative;
  o.steps = call.steps.value_or(preset->steps.value_or(static_cast<int>(o.steps)));
  o.cfg = call.cfg.value_or(preset->cfg.value_or(o.cfg));
  o.sampler = call.sampler.empty() ? preset->sampler.value_or(o.sampler) : call.sampler;
  o.scheduler = call.scheduler.empty() ? preset->scheduler.value_or(o.scheduler) : call.scheduler;
  o.vae_tile = preset->vae_tile.value_or(0);
  o.batch = call.count;
  o.seed = seed;
  const std::string path = studio_.places().models.resolve("checkpoints", o.checkpoint).value();
  const diffuse::CheckpointParts parts = studio_.engine().load_checkpoint(path, {});
  const diffuse::PictureSize native = parts.model ? studio_.engine().native_size(*parts.model) : diffuse::PictureSize{1024, 1024};
  o.width = call.width.value_or(preset->width.value_or(static_cast<int>(native.width)));
  o.height = call.height.value_or(preset->height.value_or(static_cast<int>(native.height)));
  return workflow::compose_picture(o);
}

comfy::JobResults WorkflowBackend::run(const RunningJob& job, workflow::JobEvents& events,
                                       const std::atomic<bool>& stop) {
  workflow::JobResult done = studio_.run(job.id, job.prompt, job.outputs, job.extra_data, events, stop);
  return {.end = end_of(done.end), .outputs = std::move(done.outputs), .meta = std::move(done.meta),
          .messages = std::move(done.messages)};
}

}  // namespace hearth::server
