// GET /metrics in Prometheus' text format (0.0.4).
#pragma once
#include <array>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "runtime/request.h"
#include "server/http/http_server.h"

namespace hearth::server {

/// What the HTTP side counts. Thread-safe.
class HttpMetrics {
 public:
  void add(const http::RequestRecord& record);
  std::string render(int open_connections) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, int>, uint64_t> requests_;  // by route and status
  uint64_t sent_bytes_ = 0;
};

/// What the engine counts. Pure.
std::string render_engine_metrics(const EngineStats& stats, const std::vector<ModelSummary>& models);

/// Entries of /proc/self/fd; -1 where there is none.
int count_open_descriptors();

}  // namespace hearth::server
