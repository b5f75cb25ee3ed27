// run_job: executes a validated prompt: only what its outputs need, each node once its inputs are there, with outputs
// of earlier prompts reused from the cache. Blocks until the prompt ends; one prompt at a time by design of the
// protocol, though nothing here is shared between calls but the cache.
#pragma once
#include <atomic>
#include <string>
#include <vector>

#include "workflow/execute/cache.h"
#include "workflow/execute/events.h"
#include "workflow/graph/graph.h"
#include "workflow/services.h"

namespace hearth::workflow {

struct Job {
  std::string prompt_id;
  Graph graph;                       // as validate() left it
  std::vector<std::string> outputs;  // Verdict::outputs
  Value extra_data = Value::object();
};

struct JobResult {
  enum class End { kSuccess, kError, kInterrupted };
  End end = End::kError;
  Value outputs = Value::object();   // of the history entry: node id -> ui
  Value meta = Value::object();      // of the history entry
  Value messages = Value::list();    // [[type, data], ...]: start, cached and the end
};

/// `stop`: set by anybody to interrupt; looked at between nodes and, inside a node, wherever it can end.
JobResult run_job(const Job& job, const Registry& registry, Cache& cache, NodeServices& services, JobEvents& events,
                  const std::atomic<bool>& stop);

/// Nodes whose outputs the cache has at this moment.
std::vector<std::string> cached_nodes(const Graph& graph, const Registry& registry, Cache& cache, const Places& places);

}  // namespace hearth::workflow
