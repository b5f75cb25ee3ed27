#include "server/comfy_routes.h"

#include <utility>

#include "core/base/log.h"
#include "formats/json/json.h"

namespace hearth::server {

void RouteList::add_single(const char* method, std::string path, std::string help, http::Handler handler) {
  http::Route route{method, std::move(path), std::move(help), false, std::move(handler)};
  route.max_body_bytes = max_body_bytes_;
  routes_.push_back(std::move(route));
}

void RouteList::add(const char* method, std::string path, std::string help, http::Handler handler) {
  add_single(method, path, std::move(help), handler);
  add_single(method, "/api" + path, "", std::move(handler));
}

void RouteList::add_open(std::string path, http::Handler handler) {
  routes_.push_back({"GET", std::move(path), "", true, std::move(handler)});
}

void RouteList::add_websocket(std::string path, std::string help, websocket::Accept accept) {
  for (const std::string& place : {path, "/api" + path}) {
    http::Route route{"GET", place, place == path ? help : "", false, [](const http::HttpRequest&, Writer writer) {
                        http::HttpResponse out = text_reply(426, "this is a WebSocket: connect with ws://");
                        out.headers.emplace_back("Upgrade", "websocket");
                        writer->respond(std::move(out));
                      }};
    route.websocket = accept;
    routes_.push_back(std::move(route));
  }
}

http::HttpResponse json_reply(std::string body, int status) {
  http::HttpResponse out;
  out.status = status;
  out.body = std::move(body);
  return out;
}

http::HttpResponse json_reply(const Value& body, int status) { return json_reply(json::write(body), status); }

http::HttpResponse text_reply(int status, std::string text) {
  http::HttpResponse out;
  out.status = status;
  out.content_type = "text/plain; charset=utf-8";
  out.body = std::move(text);
  return out;
}

// Some clients parse the answer of a POST that says nothing.
http::HttpResponse empty_reply(int status) {
  return status == 200 ? json_reply(std::string("{}")) : text_reply(status, "");
}

void answer_from_pool(ComfyParts& parts, Writer writer, std::function<http::HttpResponse()> work) {
  const bool is_taken = parts.files.post([writer, work = std::move(work)] {
    try {
      writer->respond(work());
    } catch (const Error& error) {
      log::error("file work failed: {}", error.message());
      writer->respond(http::error_response(api::to_api_error(error)));
    } catch (const std::exception& error) {
      log::error("file work failed: {}", error.what());
      writer->respond(http::error_response(api::http_error(500, "the server failed on this request")));
    }
  });
  if (!is_taken) writer->respond(http::error_response(api::http_error(503, "too much file work waits: try again")));
}

Result<Value> json_body(const http::HttpRequest& request) {
  auto parsed = json::parse(request.body);
  if (!parsed) return parsed;
  if (!parsed->is_object()) return unexpected(Code::kInvalidArgument, "the body must be a JSON object");
  return parsed;
}

}  // namespace hearth::server
