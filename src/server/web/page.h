// Hearth's own page: one HTML file, one script, one style sheet (web/) and an icon, carried inside the program. They
// need no API key, because they show nothing by themselves: the script asks the API, with the key the user gives it.
#pragma once
#include <vector>

#include "server/http/http_server.h"

namespace hearth::server {

/// GET /hearth and its files, /favicon.ico, and / unless `has_frontend`: then / is another frontend's.
/// Answered from memory, with an ETag and a policy that keeps the page from loading or sending anything elsewhere.
std::vector<http::Route> page_routes(bool has_frontend = false);

}  // namespace hearth::server
