// The OpenAI routes: bodies through api/openai, work through a LanguageService.
#pragma once
#include <vector>

#include "runtime/request.h"
#include "server/http/http_server.h"

namespace hearth::server {

/// At most `max_queue` generations at once; more get 429 with Retry-After. `service` must outlive the routes.
std::vector<http::Route> openai_routes(LanguageService& service, int max_queue);

}  // namespace hearth::server
