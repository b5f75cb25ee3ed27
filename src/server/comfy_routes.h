// The routes of ComfyUI's API, one add function for each family, and what they share. Every route exists as /x and as
// /api/x, unless it says otherwise.
#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/comfy_backend.h"
#include "server/files/uploads.h"
#include "server/files/user_files.h"
#include "server/host_pool.h"
#include "server/http/http_server.h"
#include "server/log_ring.h"
#include "server/queue/job_queue.h"
#include "server/websocket/client_hub.h"

namespace hearth::server {

using Writer = std::shared_ptr<http::ResponseWriter>;

/// What the routes work with; borrowed, and outlives the HTTP server.
struct ComfyParts {
  ComfyBackend& backend;
  JobQueue& queue;
  ClientHub& hub;
  LogRing& logs;
  Uploads& uploads;
  UserFiles& user;
  HostPool& files;
  int64_t max_upload_bytes = 0;
  std::filesystem::path frontend;  // "": none is served
  std::string presets;             // JSON list
};

class RouteList {
 public:
  explicit RouteList(int64_t max_body_bytes) : max_body_bytes_(max_body_bytes) {}
  /// At `path` and at /api + `path`.
  void add(const char* method, std::string path, std::string help, http::Handler handler);
  /// At `path` alone.
  void add_single(const char* method, std::string path, std::string help, http::Handler handler);
  /// GET without an API key.
  void add_open(std::string path, http::Handler handler);
  void add_websocket(std::string path, std::string help, websocket::Accept accept);
  std::vector<http::Route> take() { return std::move(routes_); }

 private:
  const int64_t max_body_bytes_;
  std::vector<http::Route> routes_;
};

void add_queue_routes(RouteList& routes, ComfyParts& parts);     // /prompt /queue /history /interrupt /free, jobs
void add_file_routes(RouteList& routes, ComfyParts& parts);      // /view /upload /view_metadata
void add_model_routes(RouteList& routes, ComfyParts& parts);     // /models /experiment/models /embeddings
void add_system_routes(RouteList& routes, ComfyParts& parts);    // /ws /object_info /system_stats and what is constant
void add_user_routes(RouteList& routes, ComfyParts& parts);      // /users /settings /userdata
class JobWaiters;
void add_image_routes(RouteList& routes, ComfyParts& parts, JobWaiters& waiters);  // /v1/images/generations
void add_frontend_routes(RouteList& routes, ComfyParts& parts);  // static files; last, it takes any path

http::HttpResponse json_reply(std::string body, int status = 200);
http::HttpResponse json_reply(const Value& body, int status = 200);
http::HttpResponse text_reply(int status, std::string text);
http::HttpResponse empty_reply(int status = 200);

/// Runs `work` on the host pool and answers with what it gives; what it throws becomes a 500.
void answer_from_pool(ComfyParts& parts, Writer writer, std::function<http::HttpResponse()> work);

/// The body as a JSON object, whatever its Content-Type says.
Result<Value> json_body(const http::HttpRequest& request);

}  // namespace hearth::server
