// For tests: folders that go away, a registry of small fake nodes, events written down as text, jobs from JSON.
#pragma once
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/testing/temp_folder.h"
#include "workflow/execute/run_job.h"
#include "workflow/files/picture_store.h"
#include "workflow/graph/validate.h"

namespace hearth::workflow::testing {

/// A folder tree with models, input, output and temp.
class Folders {
 public:
  Folders();
  const std::string& root() const { return root_; }
  Places places() const;
  void write(const std::string& name, const std::string& text) const;

 private:
  hearth::testing::TempFolder folder_;
  const std::string& root_ = folder_.path();
};

/// Each event as one line: "executing 3", "progress 3 1/4", "executed 9 {...}".
class Recorder final : public JobEvents {
 public:
  void send(std::string_view type, const Value& data) override;
  void send_step(const Step& step) override;
  void send_text(std::string_view node_id, std::string_view text) override;
  std::vector<std::string> lines;
  std::vector<std::pair<std::string, Value>> frames;  // but progress_state
  std::function<void(const std::string& line)> on_line;
};

Value parse(std::string_view json);

/// Runs graphs against a registry with a cache that lasts.
class Bench {
 public:
  explicit Bench(Registry registry, int64_t cache_bytes = 1 << 20);
  /// Validates, and runs what is valid. The verdict of the last prompt is in `verdict`.
  JobResult run(std::string_view prompt, const Value& extra_data = Value::object());
  JobResult run_value(Value prompt, const Value& extra_data = Value::object());
  Verdict check(std::string_view prompt, const std::optional<std::vector<std::string>>& targets = std::nullopt);

  Folders folders;
  Places places;
  Registry registry;
  RawAllocator memory{Device{}};  // the cache keeps tensors of it
  Cache cache;
  PictureStore store;
  NodeServices services;
  Recorder events;
  std::atomic<bool> stop{false};
  Verdict verdict;
  Graph graph;
};

/// Fake nodes: Number(value) -> INT, Add(a, b) -> INT, Show(value) output node, List(count) -> INT list, Sum of a list,
/// Fail, Slow (steps, asks for cancellation), Changing (IS_CHANGED), Loud (not idempotent). `calls` counts runs.
Registry fake_registry(std::map<std::string, int>& calls);

}  // namespace hearth::workflow::testing
