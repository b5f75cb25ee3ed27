// The files of a frontend that is served from a folder, at the root. They are public: no API key is asked for.
#include <algorithm>
#include <cctype>
#include <utility>

#include "server/comfy_routes.h"
#include "server/files/contained_path.h"
#include "server/files/file_reply.h"
#include "server/files/media_type.h"

namespace hearth::server {
namespace {

http::HttpResponse index(const http::HttpRequest& request, const fs::path& folder) {
  http::HttpResponse out = file_reply(request, folder / "index.html", "text/html; charset=utf-8");
  out.headers.emplace_back("Cache-Control", "no-store, must-revalidate");
  out.headers.emplace_back("Pragma", "no-cache");
  out.headers.emplace_back("Expires", "0");
  return out;
}

struct Absent {
  const char *name, *type, *body;
};

std::string lower_extension(const fs::path& path) {
  std::string out = path.extension().string();
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

http::HttpResponse file(const http::HttpRequest& request, const fs::path& folder) {
  const auto path = contained_path(folder, request.rest);
  const std::string extension = lower_extension(request.rest);
  http::HttpResponse out = path ? file_reply(request, *path, media_type(*path)) : text_reply(404, "");
  if (out.status == 404) out.body = "404: Not Found";
  // A frontend asks for these whether they are there or not, and complains about a 404.
  for (const auto& [name, type, body] : {Absent{"user.css", "text/css", ""},
                                         {"templates/index.json", "application/json", "[]"},
                                         {"templates/index_logo.json", "application/json", "{}"}}) {
    if (out.status == 404 && request.rest == name) out = {.status = 200, .content_type = type, .body = body};
  }
  const bool is_code = extension == ".js" || extension == ".css" || request.rest.ends_with("index.json");
  if (is_code) out.headers.emplace_back("Cache-Control", "no-cache");
  if (is_image_extension(extension)) {
    out.headers.emplace_back("Cache-Control", out.status == 404 ? "public, max-age=3600" : "public, max-age=86400");
  }
  return out;
}

}  // namespace

void add_frontend_routes(RouteList& routes, ComfyParts& parts) {
  using Reply = http::HttpResponse (*)(const http::HttpRequest&, const fs::path&);
  auto pooled = [&parts](Reply reply) {
    return [&parts, reply](const http::HttpRequest& request, Writer writer) {
      answer_from_pool(parts, std::move(writer), [&parts, reply, request] { return reply(request, parts.frontend); });
    };
  };
  routes.add_open("/", pooled(index));
  routes.add_open("/*", pooled(file));
}

}  // namespace hearth::server
