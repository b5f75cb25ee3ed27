#include "server/comfy_events.h"

#include <fmt/format.h>

#include "api/comfy/frames.h"

namespace hearth::server {

using websocket::binary_message;
using websocket::text_message;

namespace {

bool asks_for_previews(const Value& extra_data) {
  const Value* method = extra_data.is_object() ? extra_data.find("preview_method") : nullptr;
  if (!method || !method->is_string()) return false;
  const std::string& name = method->as_string();
  return name != "" && name != "default" && name != "none";
}

// PNGs are whole pictures that a node gives to the client instead of a file.
bool is_passing(const workflow::PreviewImage& preview) { return preview.mime == "image/jpeg"; }

}  // namespace

workflow::JobEvents& ComfyEvents::job_begins(const RunningJob& job) {
  client_ = job.client_id;
  asked_for_previews_ = asks_for_previews(job.extra_data);
  begun_ = std::chrono::steady_clock::now();
  return *this;
}

void ComfyEvents::job_ended(const RunningJob& job) {
  const double took_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun_).count();
  logs_.add(fmt::format("Prompt executed in {:.2f} seconds", took_s));
  hub_.set_running("", "");
  hub_.send(client_, text_message(comfy::text_frame(
                         "executing", Value::object({{"node", Value()}, {"prompt_id", job.id}}))));
  client_.clear();
}

void ComfyEvents::send(std::string_view type, const Value& data) {
  if (type == "executing") {
    const Value* node = data.find("node");
    if (node && node->is_string()) hub_.set_running(client_, node->as_string());
  }
  const auto message = text_message(comfy::text_frame(type, data));
  const bool is_for_all = client_.empty() && type == "execution_interrupted";
  is_for_all ? hub_.broadcast(message) : hub_.send(client_, message);
}

void ComfyEvents::send_step(const workflow::Step& step) {
  if (client_.empty()) return;
  const bool takes_metadata = step.preview && hub_.takes_preview_metadata(client_);
  send("progress_state", step.progress_state);
  if (takes_metadata) send_preview(*step.preview, true);
  send("progress", step.progress);
  // Scripts take every binary frame for a finished picture: a client that neither says that it knows previews nor asked
  // for them gets none, as from a ComfyUI started without --preview-method.
  const bool is_plain = step.preview && !takes_metadata && (asked_for_previews_ || !is_passing(*step.preview));
  if (is_plain) send_preview(*step.preview, false);
}

void ComfyEvents::send_preview(const workflow::PreviewImage& preview, bool with_metadata) {
  hub_.send(client_, binary_message(with_metadata ? comfy::described_preview_frame(preview.metadata, preview.bytes)
                                                  : comfy::preview_frame(preview.mime, preview.bytes),
                                    is_passing(preview)));
}

void ComfyEvents::send_text(std::string_view node_id, std::string_view text) {
  hub_.send(client_, binary_message(comfy::node_text_frame(node_id, text), true));
}

}  // namespace hearth::server
