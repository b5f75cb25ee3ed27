#include "server/server.h"

#include <utility>

#include "core/base/log.h"
#include "server/metrics/metrics.h"
#include "server/openai_routes.h"
#include "server/web/page.h"

namespace hearth::server {
namespace {

http::HttpResponse page_response() {
  http::HttpResponse out;
  out.content_type = "text/html; charset=utf-8";
  out.headers = {{"Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; script-src "
                                             "'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'"},
                 {"Cache-Control", "no-cache"}};
  out.body = start_page();
  return out;
}

}  // namespace

struct Server::Parts {
  Parts(LanguageService& service, ServerOptions options);
  void add_own_routes(std::vector<http::Route>& routes);

  LanguageService& service;
  HttpMetrics metrics;
  std::unique_ptr<http::HttpServer> http;
};

Server::Parts::Parts(LanguageService& the_service, ServerOptions options) : service(the_service) {
  std::vector<http::Route> routes = openai_routes(service, options.max_queue);
  add_own_routes(routes);
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
                                 metrics.render(http->open_connections());
                      writer->respond(std::move(out));
                    }});
  routes.push_back({"GET", "/", "a page that says what runs here", true,
                    [](const http::HttpRequest&, Writer writer) { writer->respond(page_response()); }});
}

Server::Server(LanguageService& service, ServerOptions options)
    : parts_(std::make_unique<Parts>(service, std::move(options))) {}

Server::~Server() = default;

Result<void> Server::start() {
  auto started = parts_->http->start();
  if (started) log::info("listening port={}", port());
  return started;
}

int Server::port() const { return parts_->http->port(); }
int Server::open_connections() const { return parts_->http->open_connections(); }
void Server::stop(double grace_s) { parts_->http->stop(grace_s); }

}  // namespace hearth::server
