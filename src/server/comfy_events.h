// ComfyEvents: the course of the running prompt as frames to its owner, in the order of ComfyUI's protocol.
#pragma once
#include <chrono>
#include <string>

#include "server/log_ring.h"
#include "server/queue/job_queue.h"
#include "server/websocket/client_hub.h"

namespace hearth::server {

/// Borrows both for its life. Called as JobListener and JobEvents say.
class ComfyEvents final : public JobListener, public workflow::JobEvents {
 public:
  ComfyEvents(ClientHub& hub, LogRing& logs) : hub_(hub), logs_(logs) {}

  void queue_changed(int64_t remaining) override { hub_.set_remaining(remaining); }
  workflow::JobEvents& job_begins(const RunningJob& job) override;
  void job_ended(const RunningJob& job) override;

  void send(std::string_view type, const Value& data) override;
  void send_step(const workflow::Step& step) override;
  void send_text(std::string_view node_id, std::string_view text) override;

 private:
  void send_preview(const workflow::PreviewImage& preview, bool with_metadata);

  ClientHub& hub_;
  LogRing& logs_;
  // Of the running job; worker thread.
  std::string client_;
  bool asked_for_previews_ = false;
  std::chrono::steady_clock::time_point begun_;
};

}  // namespace hearth::server
