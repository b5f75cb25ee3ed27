#include "server/server.h"

#include <optional>
#include <utility>

#include "core/base/log.h"
#include "server/memory_routes.h"
#include "server/metrics/metrics.h"
#include "server/openai_routes.h"
#include "server/web/page.h"

namespace hearth::server {
struct Server::Parts {
  Parts(LanguageService& service, ServerOptions options, const ComfyOptions& comfy, MemoryService* memory,
        std::optional<planner::Desk> desk);
  void add_own_routes(std::vector<http::Route>& routes);

  LanguageService& service;
  MemoryService* const memory;
  HttpMetrics metrics;
  std::optional<ComfyService> pictures;
  std::optional<PlanRoutes> plans;
  const bool has_frontend;
  std::unique_ptr<http::HttpServer> http;
};

Server::Parts::Parts(LanguageService& the_service, ServerOptions options, const ComfyOptions& comfy,
                     MemoryService* the_memory, std::optional<planner::Desk> desk)
    : service(the_service), memory(the_memory), has_frontend(comfy.backend && !comfy.frontend.empty()) {
  std::vector<http::Route> routes = openai_routes(service, options.max_queue);
  add_own_routes(routes);
  if (memory) {
    for (http::Route& route : memory_routes(*memory, /*with_free=*/!comfy.backend)) routes.push_back(std::move(route));
    options.hold_body = [this](int64_t bytes) { return memory->hold_body(bytes); };
  }
  if (desk) {
    plans.emplace(*std::move(desk));
    for (http::Route& route : plans->routes()) routes.push_back(std::move(route));
  }
  if (comfy.backend) {
    pictures.emplace(comfy);
    for (http::Route& route : pictures->routes()) routes.push_back(std::move(route));
  }
  http = http::make_http_server(std::move(options), std::move(routes),
                                [this](const http::RequestRecord& record) { metrics.add(record); });
}

void Server::Parts::add_own_routes(std::vector<http::Route>& routes) {
  using Writer = std::shared_ptr<http::ResponseWriter>;
  routes.push_back({"GET", "/health", "says that the server runs", true, [](const http::HttpRequest&, Writer writer) {
                      http::HttpResponse out;
                      out.body = R"({"status":"ok"})";
                      writer->respond(std::move(out));
                    }});
  routes.push_back({"GET", "/metrics", "counters and gauges as Prometheus reads them", false,
                    [this](const http::HttpRequest&, Writer writer) {
                      http::HttpResponse out;
                      out.content_type = "text/plain; version=0.0.4; charset=utf-8";
                      const auto models = service.models();  // first: what is not loaded leases nothing then
                      out.body = render_engine_metrics(service.stats(), models) +
                                 metrics.render(http->open_connections()) +
                                 (memory ? to_metrics(memory->report()) : "");
                      writer->respond(std::move(out));
                    }});
  for (http::Route& route : page_routes(has_frontend)) routes.push_back(std::move(route));
}

Server::Server(LanguageService& service, ServerOptions options, const ComfyOptions& comfy, MemoryService* memory,
               std::optional<planner::Desk> desk)
    : parts_(std::make_unique<Parts>(service, std::move(options), comfy, memory, std::move(desk))) {}

Server::~Server() = default;

Result<void> Server::start() {
  auto started = parts_->http->start();
  if (started && parts_->pictures) parts_->pictures->start();
  if (started) log::info("listening port={}", port());
  return started;
}

int Server::port() const { return parts_->http->port(); }
int Server::open_connections() const { return parts_->http->open_connections(); }

void Server::stop(double grace_s) {
  if (parts_->plans) parts_->plans->stop();
  parts_->http->stop(grace_s);
  if (parts_->pictures) parts_->pictures->stop();
}

}  // namespace hearth::server
