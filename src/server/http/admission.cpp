#include "server/http/admission.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "server/http/guard.h"
#include "server/http/wire.h"

namespace hearth::http {
namespace {

HttpResponse refuse(int status, std::string message) {
  return error_response(api::http_error(status, std::move(message)));
}

int64_t count_hosts(const Headers& headers) {
  return std::count_if(headers.begin(), headers.end(),
                       [](const auto& header) { return is_same_name(header.first, "host"); });
}

// "http://host/path" (the form proxies get) names its own host.
void split_absolute_target(std::string_view& target, std::string_view& host) {
  size_t scheme = target.find("://");
  if (target.starts_with('/') || scheme == target.npos) return;
  size_t path = target.find('/', scheme + 3);
  host = target.substr(scheme + 3, path == target.npos ? target.npos : path - scheme - 3);
  target = path == target.npos ? "/" : target.substr(path);
}

std::optional<HttpResponse> refuse_by_guards(const GuardInput& guard, const ServerOptions& options) {
  if (auto refused = refuse_host(guard, options)) return error_response(*refused);
  if (auto refused = refuse_origin(guard, options)) return error_response(*refused);
  bool is_preflight = guard.method == "OPTIONS";  // browsers send it without the key
  if (is_preflight) return std::nullopt;
  if (auto refused = refuse_key(guard, options)) return error_response(*refused);
  return std::nullopt;
}

HttpResponse options_answer(const HttpRequest& request, const std::string& methods, bool is_cors) {
  HttpResponse out;
  out.status = 204;
  out.headers.emplace_back("Allow", methods);
  if (is_cors) {
    out.headers.emplace_back("Access-Control-Allow-Methods", methods);
    std::string_view wanted = find_header(request.headers, "access-control-request-headers");
    out.headers.emplace_back("Access-Control-Allow-Headers", wanted.empty() ? "authorization, content-type" : wanted);
    out.headers.emplace_back("Access-Control-Max-Age", "600");
  }
  return out;
}

HttpResponse no_route(const HttpRequest& request, const Router& router, const std::string& methods) {
  const bool is_comfy = request.path.starts_with("/api/") || request.path.starts_with("/internal/");
  if (methods.empty() && is_comfy) {
    HttpResponse out;
    out.status = 404;
    out.content_type = "text/plain; charset=utf-8";
    out.body = "404: Not Found";
    return out;
  }
  if (methods.empty()) return refuse(404, fmt::format("no such route: {}; there are {}", request.path, router.list()));
  auto response = refuse(405, fmt::format("{} is not possible here, allowed: {}", request.method, methods));
  response.headers.emplace_back("Allow", methods);
  return response;
}

}  // namespace

Admission admit(HttpRequest& request, const Router& router, const ServerOptions& options, bool is_loopback) {
  Admission out;
  int64_t hosts = count_hosts(request.headers);
  if (hosts > 1 || (request.is_http11 && hosts == 0)) {
    out.answer = refuse(400, "HTTP/1.1 wants exactly one Host header");
    return out;
  }
  std::string_view target = request.target, host = find_header(request.headers, "host");
  split_absolute_target(target, host);
  size_t question = target.find('?');
  if (question != target.npos) request.query = target.substr(question + 1);
  const std::string_view raw_path = target.substr(0, question);
  auto path = decode_path(raw_path);
  if (!path) {
    out.answer = refuse(400, "the path has a bad percent escape");
    return out;
  }
  request.path = std::move(*path);

  RouteMatch match = router.match(request.method, raw_path);
  // No browser speaks HTTP/1.0, so a probe without a Host is no rebinding attack.
  bool checks_host = is_loopback && (request.is_http11 || !host.empty());
  bool is_open = match.route && match.route->is_open;
  GuardInput guard{request.method, request.path, host, &request.headers, checks_host, is_open};
  out.answer = refuse_by_guards(guard, options);
  if (out.answer) return out;
  std::string_view origin = find_header(request.headers, "origin");
  if (!origin.empty() && is_allowed_origin(origin, options)) out.cors_origin = origin;

  std::string methods = fmt::format("{}", fmt::join(match.allowed, ", "));
  if (request.path == "*") methods = "GET, HEAD, POST, OPTIONS";
  if (request.method == "OPTIONS" && !methods.empty()) {
    out.answer = options_answer(request, methods, !out.cors_origin.empty());
  } else if (match.route) {
    out.route = match.route;
    request.rest = std::move(match.rest);
    request.params = std::move(match.params);
  } else {
    out.answer = no_route(request, router, methods);
  }
  return out;
}

void add_cors_headers(HttpResponse& response, const std::string& cors_origin) {
  if (cors_origin.empty()) return;
  response.headers.emplace_back("Access-Control-Allow-Origin", cors_origin);
  response.headers.emplace_back("Access-Control-Expose-Headers", "X-Request-Id");
  response.headers.emplace_back("Vary", "Origin");
}

}  // namespace hearth::http
