// JobEvents: what a running prompt tells, in the order of ComfyUI's protocol. `type` and `data` are text frames as they
// go on the wire; the listener adds nothing and only decides who gets them. Called on the thread of run_job, or on the
// engine's while run_job waits for it: never from two threads at once.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/value.h"

namespace hearth::workflow {

/// An encoded picture for a binary frame, and what a type 4 frame says beside it.
struct PreviewImage {
  std::string mime;  // image/jpeg or image/png
  std::string bytes;
  Value metadata;    // {node_id, prompt_id, display_node_id, parent_node_id, real_node_id, image_type}
};

/// One step of a node. Sent as: progress_state, `preview` as type 4 where the client takes it, progress, `preview` as
/// type 1 to the others.
struct Step {
  Value progress_state;  // data of the text frame
  Value progress;        // data of the text frame
  const PreviewImage* preview = nullptr;
};

class JobEvents {
 public:
  virtual ~JobEvents() = default;
  /// execution_start, execution_cached, executing, executed, progress_state, execution_success, execution_error,
  /// execution_interrupted. For no owner, only execution_interrupted is for everybody.
  virtual void send(std::string_view type, const Value& data) = 0;
  virtual void send_step(const Step& step) = 0;
  /// Text to show on a node (binary type 3).
  virtual void send_text(std::string_view node_id, std::string_view text) {}
  /// A file of this path is about to be written: if the job does not come to its end, and runs again, it is not the
  /// job's any more. The file is written after this returns, and not at all where it throws.
  virtual void will_write(const std::string& path) {}
};

}  // namespace hearth::workflow
