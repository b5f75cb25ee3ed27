// GET /plan: what a model would need here, whether it fits, and how fast it could be at best.
#pragma once
#include <memory>
#include <vector>

#include "planner/report/answer.h"
#include "server/host_pool.h"
#include "server/http/http_server.h"

namespace hearth::server {

/// Answers plans on a thread of its own: measuring a model reads headers of files and runs its code without memory,
/// which takes a moment.
class PlanRoutes {
 public:
  explicit PlanRoutes(planner::Desk desk) : desk_(std::move(desk)) {}
  /// Borrow this; it outlives the HTTP server.
  std::vector<http::Route> routes();

 private:
  const planner::Desk desk_;
  HostPool pool_{1, 32};  // last: it ends before the desk
};

}  // namespace hearth::server
