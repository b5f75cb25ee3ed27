// Settings and files of the frontend's user. There is one user; the Comfy-User header is ignored.
#include <utility>

#include "core/base/files.h"
#include "formats/json/json.h"
#include "server/comfy_routes.h"
#include "server/files/contained_path.h"
#include "server/files/file_reply.h"
#include "server/files/media_type.h"

namespace hearth::server {
namespace {

bool query_flag(const http::HttpRequest& request, std::string_view name, bool fallback) {
  return http::query_value(request.query, name, fallback ? "true" : "false") != "false";
}

bool is_said(const http::HttpRequest& request, std::string_view name) {
  return http::query_value(request.query, name) == "true";
}

http::HttpResponse failure(const Error& error) { return text_reply(500, error.message()); }

// ---- Settings ----

http::HttpResponse get_setting(ComfyParts& parts, const http::HttpRequest& request) {
  const Value settings = parts.user.settings();
  const Value* value = settings.find(request.params.at(0));
  return json_reply(value ? *value : Value());
}

http::HttpResponse post_settings(ComfyParts& parts, const http::HttpRequest& request) {
  auto body = json_body(request);
  if (!body) return text_reply(400, body.error().message());
  auto merged = parts.user.merge_settings(*body);
  return merged ? empty_reply() : failure(merged.error());
}

http::HttpResponse post_setting(ComfyParts& parts, const http::HttpRequest& request) {
  auto body = json::parse(request.body);
  if (!body) return text_reply(400, body.error().message());
  auto merged = parts.user.merge_settings(Value::object({{request.params.at(0), std::move(*body)}}));
  return merged ? empty_reply() : failure(merged.error());
}

// ---- Files ----

Value split_path(const std::string& name) {
  Value out = Value::list();
  out.push(name);
  for (const fs::path& part : fs::path(name)) out.push(part.string());
  return out;
}

http::HttpResponse list_userdata(ComfyParts& parts, const http::HttpRequest& request) {
  const std::string name = http::query_value(request.query, "dir");
  if (name.empty()) return text_reply(400, "Directory not provided");
  const auto folder = contained_path(parts.user.root(), name);
  if (!folder) return text_reply(403, "Invalid directory");
  if (!fs::is_directory(*folder)) return text_reply(404, "Directory not found");
  const bool has_info = is_said(request, "full_info"), is_split = is_said(request, "split");
  Value out = Value::list();
  for (const std::string& file : parts.user.list(*folder, is_said(request, "recurse"))) {
    out.push(has_info ? UserFiles::info(*folder / file, file) : is_split ? split_path(file) : Value(file));
  }
  return json_reply(out);
}

http::HttpResponse list_userdata_v2(ComfyParts& parts, const http::HttpRequest& request) {
  const std::string name = http::query_value(request.query, "path");
  const auto folder = contained_path(parts.user.root(), name);
  if (!folder) return text_reply(403, "Invalid path");
  if (name.empty() && !fs::exists(*folder)) return json_reply(Value::list());
  if (!fs::exists(*folder)) return text_reply(404, "Directory not found");
  if (!fs::is_directory(*folder)) return text_reply(400, "The path is no directory");
  return json_reply(parts.user.tree(*folder));
}

http::HttpResponse get_userdata(ComfyParts& parts, const http::HttpRequest& request) {
  const auto path = parts.user.path(request.params.at(0));
  if (!path) return text_reply(403, "");
  const bool is_style = parts.user.relative(*path) == "user.css";
  const char* type = is_style ? "text/css; charset=utf-8" : "application/octet-stream";
  http::HttpResponse out = file_reply(request, *path, type);
  if (is_style && out.status == 404) return {.status = 200, .content_type = type, .body = ""};  // a page asks always
  if (!is_style && out.status < 400) {
    out.headers.emplace_back("Content-Disposition", content_disposition("attachment", path->filename().string()));
  }
  return out;
}

http::HttpResponse described(ComfyParts& parts, const http::HttpRequest& request, const fs::path& path) {
  const std::string shown = parts.user.relative(path);
  return json_reply(is_said(request, "full_info") ? UserFiles::info(path, shown) : Value(shown));
}

http::HttpResponse post_userdata(ComfyParts& parts, const http::HttpRequest& request) {
  const auto path = parts.user.path(request.params.at(0));
  if (!path) return text_reply(403, "the name leads outside of the user's folder");
  if (!is_plain_name(path->filename().string()) || fs::is_directory(*path)) {
    return text_reply(400, "this is no name for a file");
  }
  auto written = parts.user.write(*path, request.body, query_flag(request, "overwrite", true));
  if (!written) return failure(written.error());
  return *written ? described(parts, request, *path) : text_reply(409, "File already exists");
}

http::HttpResponse delete_userdata(ComfyParts& parts, const http::HttpRequest& request) {
  const auto path = parts.user.path(request.params.at(0));
  if (!path) return text_reply(403, "");
  if (!fs::is_regular_file(*path)) return text_reply(404, "");
  std::error_code problem;
  fs::remove(*path, problem);
  return problem ? text_reply(500, problem.message()) : text_reply(204, "");
}

http::HttpResponse move_userdata(ComfyParts& parts, const http::HttpRequest& request) {
  const auto from = parts.user.path(request.params.at(0)), to = parts.user.path(request.params.at(1));
  if (!from || !to) return text_reply(403, "");
  if (!fs::is_regular_file(*from)) return text_reply(404, "");
  if (!is_plain_name(to->filename().string()) || fs::is_directory(*to)) {
    return text_reply(400, "this is no name for a file");
  }
  auto moved = parts.user.move(*from, *to, query_flag(request, "overwrite", true));
  if (!moved) return failure(moved.error());
  return *moved ? described(parts, request, *to) : text_reply(409, "File already exists");
}

}  // namespace

void add_user_routes(RouteList& routes, ComfyParts& parts) {
  auto pooled = [&parts](http::HttpResponse (*handle)(ComfyParts&, const http::HttpRequest&)) {
    return [&parts, handle](const http::HttpRequest& request, Writer writer) {
      answer_from_pool(parts, std::move(writer), [&parts, handle, request] { return handle(parts, request); });
    };
  };
  routes.add("GET", "/users", "", [](const http::HttpRequest&, Writer writer) {
    writer->respond(json_reply(Value::object({{"storage", "server"}, {"migrated", true}})));
  });
  routes.add("POST", "/users", "", [](const http::HttpRequest&, Writer writer) {
    writer->respond(json_reply(Value::object({{"error", "This server has one user."}}), 400));
  });
  routes.add("GET", "/settings", "the frontend's settings", [&parts](const http::HttpRequest&, Writer writer) {
    answer_from_pool(parts, std::move(writer), [&parts] { return json_reply(parts.user.settings()); });
  });
  routes.add("GET", "/settings/{id}", "", pooled(get_setting));
  routes.add("POST", "/settings", "", pooled(post_settings));
  routes.add("POST", "/settings/{id}", "", pooled(post_setting));
  routes.add("GET", "/userdata", "the frontend's files, such as workflows", pooled(list_userdata));
  routes.add("GET", "/v2/userdata", "", pooled(list_userdata_v2));
  routes.add("GET", "/userdata/{file}", "", pooled(get_userdata));
  routes.add("POST", "/userdata/{file}", "", pooled(post_userdata));
  routes.add("DELETE", "/userdata/{file}", "", pooled(delete_userdata));
  routes.add("POST", "/userdata/{file}/move/{dest}", "", pooled(move_userdata));
}

}  // namespace hearth::server
