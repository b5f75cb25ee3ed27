#include "server/web/page.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

// The files of web/, put into the program by hearth_embed() in src/CMakeLists.txt.
namespace hearth::embedded {
std::string_view page_html();
std::string_view page_script();
std::string_view page_style();
}  // namespace hearth::embedded

namespace hearth::server {
namespace {

// Everything comes from this server; pictures may also be blobs made from what the WebSocket brought.
constexpr const char* kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self' ws: wss:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

constexpr std::string_view kIcon =
    "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 16 16\"><path fill=\"#d9601a\" "
    "d=\"M8 0c1 3 5 5 5 10a5 5 0 0 1-10 0c0-2 1-3 2-4 0 1 1 2 1 2 1-2 0-5 2-8z\"/></svg>";

std::string tag_of(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325ULL;  // FNV-1a: the tag tells versions apart, it proves nothing
  for (unsigned char byte : text) hash = (hash ^ byte) * 0x100000001b3ULL;
  return fmt::format("\"{:016x}\"", hash);
}

bool has_tag(std::string_view list, std::string_view tag) { return list == "*" || list.find(tag) != list.npos; }

http::Route file_route(const char* path, const char* help, const char* type, std::string_view text) {
  auto answer = [type, text, tag = tag_of(text)](const http::HttpRequest& request,
                                                 const std::shared_ptr<http::ResponseWriter>& writer) {
    http::HttpResponse out;
    out.content_type = type;
    // no-cache: asked for each time, sent only when another version of the program has another file.
    out.headers = {{"Content-Security-Policy", kPolicy}, {"Cache-Control", "no-cache"}, {"ETag", tag},
                   {"X-Content-Type-Options", "nosniff"}, {"Referrer-Policy", "no-referrer"}};
    if (has_tag(http::find_header(request.headers, "if-none-match"), tag)) {
      out.status = 304;
    } else {
      out.body = text;
    }
    writer->respond(std::move(out));
  };
  return {"GET", path, help, true, std::move(answer)};
}

}  // namespace

std::vector<http::Route> page_routes(bool has_frontend) {
  constexpr const char* kHtml = "text/html; charset=utf-8";
  std::vector<http::Route> routes;
  if (!has_frontend) routes.push_back(file_route("/", "the page", kHtml, embedded::page_html()));
  routes.push_back(file_route("/hearth", "the page, also beside another frontend", kHtml, embedded::page_html()));
  routes.push_back(file_route("/hearth/app.js", "", "text/javascript; charset=utf-8", embedded::page_script()));
  routes.push_back(file_route("/hearth/style.css", "", "text/css; charset=utf-8", embedded::page_style()));
  routes.push_back(file_route("/favicon.ico", "", "image/svg+xml", kIcon));
  return routes;
}

}  // namespace hearth::server
