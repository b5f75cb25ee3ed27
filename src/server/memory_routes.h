// GET /memory, POST /memory/free and POST /memory/reserve.
#pragma once
#include <vector>

#include "server/http/http_server.h"
#include "server/memory_service.h"

namespace hearth::server {

/// `memory` outlives the server. `with_free`: POST /free too, where no picture routes have it.
std::vector<http::Route> memory_routes(MemoryService& memory, bool with_free);

}  // namespace hearth::server
