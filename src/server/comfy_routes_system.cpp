// The WebSocket, what nodes there are, the machine, and what is constant.
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "formats/json/json.h"
#include "server/comfy_routes.h"

namespace hearth::server {
namespace {

http::Handler constant(const char* body) {
  return [body](const http::HttpRequest&, Writer writer) { writer->respond(json_reply(std::string(body))); };
}

http::HttpResponse folder_paths(const workflow::Places& places) {
  Value out = Value::object();
  for (const std::string& kind : places.models.kinds()) {
    Value folders = Value::list();
    for (const std::string& folder : places.models.folders(kind)) folders.push(folder);
    out.set(kind, std::move(folders));
  }
  return json_reply(out);
}

// Newest first; hidden files and folders are not shown.
http::HttpResponse list_files(const std::filesystem::path& folder) {
  std::vector<std::pair<int64_t, std::string>> found;
  std::error_code failure;
  for (std::filesystem::directory_iterator entry(folder, failure), end; !failure && entry != end;
       entry.increment(failure)) {
    const std::string name = entry->path().filename().string();
    struct stat state{};
    const bool is_file = ::stat(entry->path().c_str(), &state) == 0 && S_ISREG(state.st_mode);
    if (!is_file || name.starts_with('.')) continue;
    found.emplace_back(-(state.st_mtim.tv_sec * 1'000'000'000 + state.st_mtim.tv_nsec), name);
  }
  std::sort(found.begin(), found.end());
  Value out = Value::list();
  for (auto& [time, name] : found) out.push(std::move(name));
  return json_reply(out);
}

void internal_files(ComfyParts& parts, const http::HttpRequest& request, Writer writer) {
  const std::string* folder = parts.backend.places().folder(request.params.at(0));
  if (!folder) return writer->respond(json_reply(Value::object({{"error", "Invalid directory type"}}), 400));
  answer_from_pool(parts, std::move(writer), [folder = *folder] { return list_files(folder); });
}

Value terminal_size() { return Value::object({{"cols", 80}, {"rows", 24}}); }

void subscribe_logs(ComfyParts& parts, const http::HttpRequest& request, Writer writer) {
  auto body = json_body(request);
  const Value* client = body ? body->find("clientId") : nullptr;
  const Value* enabled = body ? body->find("enabled") : nullptr;
  if (!client || !client->is_string() || !enabled || !enabled->is_bool()) {
    return writer->respond(text_reply(400, "wanted {\"clientId\": text, \"enabled\": true or false}"));
  }
  parts.hub.subscribe_logs(client->as_string(), enabled->as_bool());
  writer->respond(empty_reply());
}

void add_internal_routes(RouteList& routes, ComfyParts& parts) {
  routes.add_single("GET", "/internal/logs", "", [&parts](const http::HttpRequest&, Writer writer) {
    writer->respond(json_reply(Value(parts.logs.text())));
  });
  routes.add_single("GET", "/internal/logs/raw", "", [&parts](const http::HttpRequest&, Writer writer) {
    writer->respond(json_reply(Value::object({{"entries", parts.logs.entries()}, {"size", terminal_size()}})));
  });
  routes.add_single("PATCH", "/internal/logs/subscribe", "", [&parts](const http::HttpRequest& request, Writer writer) {
    subscribe_logs(parts, request, std::move(writer));
  });
  routes.add_single("GET", "/internal/folder_paths", "", [&parts](const http::HttpRequest&, Writer writer) {
    writer->respond(folder_paths(parts.backend.places()));
  });
  routes.add_single("GET", "/internal/files/{type}", "", [&parts](const http::HttpRequest& request, Writer writer) {
    internal_files(parts, request, std::move(writer));
  });
}

}  // namespace

void add_system_routes(RouteList& routes, ComfyParts& parts) {
  routes.add_websocket("/ws", "progress, previews and results as they come",
                       [&parts](const http::HttpRequest& request, std::shared_ptr<websocket::WebSocket> socket) {
                         return parts.hub.admit(request, std::move(socket));
                       });
  routes.add("GET", "/object_info", "every node with its inputs", [&parts](const http::HttpRequest&, Writer writer) {
    answer_from_pool(parts, std::move(writer), [&parts] { return json_reply(parts.backend.object_info()); });
  });
  routes.add("GET", "/object_info/{class}", "one node", [&parts](const http::HttpRequest& request, Writer writer) {
    answer_from_pool(parts, std::move(writer), [&parts, name = request.params.at(0)] {
      return json_reply(parts.backend.object_info(name));
    });
  });
  // Not through the pool, which may be busy: this one answers within 100 ms whatever else goes on.
  routes.add("GET", "/system_stats", "memory and devices", [&parts](const http::HttpRequest&, Writer writer) {
    writer->respond(json_reply(comfy::system_stats(parts.backend.system())));
  });
  routes.add("GET", "/features", "what this server supports", [&parts](const http::HttpRequest&, Writer writer) {
    writer->respond(json_reply(comfy::server_features(parts.max_upload_bytes)));
  });
  routes.add_single("GET", "/hearth/presets", "settings to start from",
                    [&parts](const http::HttpRequest&, Writer writer) { writer->respond(json_reply(parts.presets)); });
  routes.add("GET", "/extensions", "", constant("[]"));
  for (const char* path : {"/node_replacements", "/workflow_templates", "/i18n", "/global_subgraphs"}) {
    routes.add("GET", path, "", constant("{}"));
  }
  add_internal_routes(routes, parts);
}

}  // namespace hearth::server
