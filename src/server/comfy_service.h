// ComfyService: everything behind ComfyUI's API but the sockets: the durable queue and its worker, the clients, files
// and settings, and the routes over them.
#pragma once
#include <filesystem>
#include <vector>

#include "server/comfy_events.h"
#include "server/comfy_routes.h"
#include "server/job_waiters.h"

namespace hearth::server {

struct ComfyOptions {
  ComfyBackend* backend = nullptr;    // borrowed; must outlive the service
  std::filesystem::path database;     // queue and history; made when absent
  std::filesystem::path user_folder;  // settings and files of the frontend
  std::filesystem::path frontend;     // a built frontend to serve at /; "": none
  int64_t max_upload_bytes = int64_t{100} << 20;
  Value presets = Value::list();      // GET /hearth/presets: what the page offers
};

class ComfyService {
 public:
  /// Opens the queue (throws kBusy when another server has it) and empties the temp folder.
  explicit ComfyService(const ComfyOptions& options);
  /// After the HTTP server has gone.
  ~ComfyService();
  ComfyService(const ComfyService&) = delete;

  /// Borrow the service.
  std::vector<http::Route> routes();
  void start() { queue_.start(); }
  void stop() { queue_.stop(); }

 private:
  void empty_temp() const;

  ComfyBackend& backend_;
  ClientHub hub_;
  LogRing logs_;
  ComfyEvents events_;
  JobWaiters waiters_{events_};
  UserFiles user_;
  Uploads uploads_;
  JobQueue queue_;
  HostPool files_{2, 1000};
  ComfyParts parts_;
};

}  // namespace hearth::server
