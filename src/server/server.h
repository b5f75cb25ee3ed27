// The server as an application uses it: HTTP routes of every API over one LanguageService and, when there are any, a
// ComfyBackend for pictures, a MemoryService and a desk for plans.
//   Server server(service, options, comfy);  server.start().value();  ...  server.stop();
// All must outlive the server and every request it still runs. Signals are the application's business.
#pragma once
#include <memory>
#include <optional>

#include "core/base/result.h"
#include "runtime/request.h"
#include "server/comfy_service.h"
#include "server/http/http_server.h"
#include "server/memory_service.h"
#include "server/plan_routes.h"

namespace hearth::server {

using http::ServerOptions;

class Server {
 public:
  /// Throws when `comfy` names a backend whose queue cannot be opened. Without a desk there are no plans.
  Server(LanguageService& service, ServerOptions options, const ComfyOptions& comfy = {},
         MemoryService* memory = nullptr, std::optional<planner::Desk> desk = {});
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Listens; kIo when address and port cannot be had.
  Result<void> start();
  /// The port really listened on (options.port may be 0).
  int port() const;
  int open_connections() const;
  /// New connections are refused at once; running requests may end within `grace_s`, then are cancelled. Returns
  /// within grace_s + 2 seconds and the time to the next cut of a running prompt, which is put back into the queue.
  /// Does not shut the service down.
  void stop(double grace_s = 2.5);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace hearth::server
