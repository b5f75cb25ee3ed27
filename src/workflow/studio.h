// Studio: everything a program needs to run prompts, in one place: nodes, folders, picture files, the cache of node
// outputs and the picture engine behind them. check() and describe() from any thread; run() one prompt at a time.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "governor/budget/budget.h"
#include "runtime/diffuse/picture_engine.h"
#include "workflow/execute/cache.h"
#include "workflow/execute/run_job.h"
#include "workflow/files/picture_store.h"
#include "workflow/files/places.h"
#include "workflow/graph/validate.h"
#include "workflow/picture_work.h"
#include "workflow/registry.h"
#include "workflow/services.h"

namespace hearth::workflow {

struct StudioOptions {
  Places places;
  int64_t cache_bytes = int64_t{512} << 20;
  PreviewMethod preview_method = PreviewMethod::kAuto;
  bool writes_metadata = true;
};

class Studio {
 public:
  /// `engine` outlives the studio.
  Studio(diffuse::PictureEngine& engine, StudioOptions options);

  const Registry& registry() const { return registry_; }
  const Places& places() const { return options_.places; }
  diffuse::PictureEngine& engine() { return engine_; }

  /// Validates `prompt` and writes converted literals back into it.
  Verdict check(Value& prompt, const std::optional<std::vector<std::string>>& targets = std::nullopt) const;
  /// `stop` set by anybody interrupts. Throws only for a prompt that is no graph.
  JobResult run(const std::string& prompt_id, const Value& prompt, const std::vector<std::string>& outputs,
                const Value& extra_data, JobEvents& events, const std::atomic<bool>& stop);
  /// POST /free: idle models, and what the cache keeps of nodes.
  void release(bool models, bool cache);
  /// What the cache keeps of nodes.
  int64_t cached_bytes() const { return cache_.held_bytes(); }

 private:
  diffuse::PictureEngine& engine_;
  StudioOptions options_;
  Registry registry_;
  PictureStore store_;
  Cache cache_;
  std::unique_ptr<PictureWork> work_;
  NodeServices services_;
};

}  // namespace hearth::workflow
