// GET /plan: what a model would need here, whether it fits, and how fast it could be at best.
#pragma once
#include <atomic>
#include <memory>
#include <stop_token>
#include <vector>

#include "planner/report/answer.h"
#include "server/host_pool.h"
#include "server/http/http_server.h"

namespace hearth::server {

/// Answers plans on a thread of its own: measuring a model reads headers of files and runs its code without memory,
/// which takes a moment. One is made while few wait; others are asked to come again. A plan whose client has gone ends.
class PlanRoutes {
 public:
  static constexpr int kMost = 4;  // the one under way included

  explicit PlanRoutes(planner::Desk desk) : desk_(std::move(desk)) {}
  /// Borrow this; it outlives the HTTP server.
  std::vector<http::Route> routes();
  /// Ends the plan under way and those that wait; no other begins. Any thread.
  void stop() { stop_.request_stop(); }

 private:
  struct Asked;
  void take(const http::HttpRequest& request, std::shared_ptr<http::ResponseWriter> writer);
  void make(Asked& asked);

  const planner::Desk desk_;
  std::stop_source stop_;
  std::atomic<int> wanted_{0};  // whose clients wait
  HostPool pool_{1, 64};        // those without a client among them; last: it ends before the desk
};

}  // namespace hearth::server
