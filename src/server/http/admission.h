// What becomes of a request by its header alone: the route that handles it, or the answer it gets instead (a refusal,
// or what OPTIONS asks). Pure; runs before the body is read.
#pragma once
#include <optional>
#include <string>

#include "server/http/http_server.h"
#include "server/http/router.h"

namespace hearth::http {

struct Admission {
  const Route* route = nullptr;          // set when answer is not
  std::optional<HttpResponse> answer;
  std::string cors_origin;               // the allowed origin to name in the answer; empty: none
};

/// Reads method, target and headers of `request`; fills its path, query and rest.
Admission admit(HttpRequest& request, const Router& router, const ServerOptions& options, bool is_loopback);

/// Adds what a browser needs to hand the answer to a page of `cors_origin`.
void add_cors_headers(HttpResponse& response, const std::string& cors_origin);

}  // namespace hearth::http
