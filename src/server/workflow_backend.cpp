#include "server/workflow_backend.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "server/picture_batch.h"
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
  const std::string& wanted = asked.empty() ? config_.pictures.default_model : asked;
  if (wanted.empty()) return studio_.places().default_checkpoint().value();
  const std::vector<std::string> known = studio_.places().models.list("checkpoints");
  for (const std::string& name : known) {
    if (name == wanted || std::filesystem::path(name).stem() == wanted) return name;
  }
  throw Error(Code::kNotFound, fmt::format("model '{}' does not exist; there are {}", wanted, fmt::join(known, ", ")));
}

const config::Preset& WorkflowBackend::choose_preset(const std::string& asked) const {
  const std::string& wanted = asked.empty() ? config_.pictures.default_preset : asked;
  std::vector<std::string> known;
  for (const config::Preset& preset : config_.presets) {
    if (preset.name == wanted) return preset;
    known.push_back(preset.name);
  }
  throw Error(Code::kInvalidArgument,
              fmt::format("preset '{}' does not exist; there are {}", wanted, fmt::join(known, ", ")));
}

Value WorkflowBackend::compose(const openai::ImageCall& call, uint64_t seed) {
  workflow::PictureOptions o;
  const config::Preset* preset = &choose_preset(call.preset);
  o.checkpoint = choose_checkpoint(call.model);
  o.prompt = call.prompt;
  o.negative = call.negative.empty() ? preset->negative.value_or("") : call.negative;
  o.steps = call.steps.value_or(preset->steps.value_or(static_cast<int>(o.steps)));
  o.cfg = call.cfg.value_or(preset->cfg.value_or(o.cfg));
  o.sampler = call.sampler.empty() ? preset->sampler.value_or(o.sampler) : call.sampler;
  o.scheduler = call.scheduler.empty() ? preset->scheduler.value_or(o.scheduler) : call.scheduler;
  o.precision = preset->precision.value_or("");
  o.attention = preset->attention.value_or("");
  o.vae_tiling = preset->vae_tiling.value_or("");
  if (preset->vae_slicing && *preset->vae_slicing != config_.pictures.vae_slicing) {
    o.vae_slicing = *preset->vae_slicing ? "on" : "off";
  }
  o.vae_tile = preset->vae_tile.value_or(config_.pictures.vae_tile);
  o.batch = call.count();
  o.seed = seed;
  const std::string path = studio_.places().models.resolve("checkpoints", o.checkpoint).value();
  const diffuse::CheckpointParts parts = studio_.engine().load_checkpoint(path, {});
  const diffuse::PictureSize native =
      parts.model ? studio_.engine().native_size(*parts.model) : diffuse::PictureSize{1024, 1024};
  o.width = call.width.value_or(preset->width.value_or(static_cast<int>(native.width)));
  o.height = call.height.value_or(preset->height.value_or(static_cast<int>(native.height)));
  if (call.is_auto_count && room_) o.batch = pictures_at_once(o, path, config_.pictures, room_(), call.count());
  return workflow::compose_picture(o);
}

comfy::JobResults WorkflowBackend::run(const RunningJob& job, workflow::JobEvents& events,
                                       const std::atomic<bool>& stop) {
  // What waited in the queue begins when memory is there again; after a while it is told why it cannot.
  if (hooks_.wait_for_room && !hooks_.wait_for_room([&] { return stop.load(); }) && !stop) admit().value();
  workflow::JobResult done = studio_.run(job.id, job.prompt, job.outputs, job.extra_data, events, stop);
  return {.end = end_of(done.end), .outputs = std::move(done.outputs), .meta = std::move(done.meta),
          .messages = std::move(done.messages)};
}

void WorkflowBackend::release(bool models, bool cache) {
  studio_.release(models, cache);
  if (models && hooks_.unload_others) hooks_.unload_others();
}

}  // namespace hearth::server
