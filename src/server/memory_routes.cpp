#include "server/memory_routes.h"

#include <utility>

#include "core/base/log.h"
#include "core/base/units.h"
#include "formats/json/json.h"

namespace hearth::server {
namespace {

using Writer = std::shared_ptr<http::ResponseWriter>;

void answer(const Writer& writer, const Value& body) {
  http::HttpResponse out;
  out.body = json::write(body);
  writer->respond(std::move(out));
}

void refuse(const Writer& writer, const Error& error, std::string_view param = "") {
  writer->respond(http::error_response(api::to_api_error(error, param)));
}

// The body as an object; nothing at all is an empty one.
Result<Value> object_of(const http::HttpRequest& request) {
  if (request.body.empty()) return Value::object();
  Result<Value> body = json::parse(request.body);
  if (!body) return body;
  if (!body->is_object()) return unexpected(Code::kInvalidArgument, "the body must be a JSON object");
  return body;
}

void free_memory(MemoryService& memory, const http::HttpRequest& request, const Writer& writer) {
  const Result<Value> body = object_of(request);
  if (!body) return refuse(writer, body.error());
  const Value* model = body->find("model");
  if (model && !model->is_string()) {
    return refuse(writer, Error(Code::kInvalidArgument, "'model' must be a name"), "model");
  }
  const int64_t freed = memory.free(model ? model->as_string() : "", /*caches=*/!model);
  answer(writer, Value::object({{"freed_bytes", freed}}));
}

// ComfyUI's POST /free.
void free_as_comfy(MemoryService& memory, const http::HttpRequest& request, const Writer& writer) {
  const Result<Value> body = object_of(request);
  if (!body) return refuse(writer, body.error());
  auto is_set = [&](const char* name) {
    const Value* value = body->find(name);
    return value && value->is_bool() && value->as_bool();
  };
  if (is_set("unload_models") || is_set("free_memory")) memory.free("", is_set("free_memory"));
  writer->respond({});
}

bool is_loopback(const std::string& remote) {
  return remote.starts_with("127.") || remote.starts_with("[::1]") || remote.starts_with("::1");
}

// A promise lives as long as its connection: a client that is killed gives it back.
struct Held {
  std::shared_ptr<void> promise;
  Writer writer;
};

void reserve(MemoryService& memory, const http::HttpRequest& request, const Writer& writer) {
  if (!is_loopback(request.remote)) {
    return writer->respond(http::error_response(api::http_error(403, "memory is reserved from this machine only")));
  }
  const Result<Value> body = object_of(request);
  if (!body) return refuse(writer, body.error());
  const Value* bytes = body->find("bytes");
  const Value* name = body->find("name");
  const Value* pid = body->find("pid");
  const Value* pool = body->find("pool");
  if (!bytes || !bytes->is_integer() || bytes->as_int() <= 0) {
    return refuse(writer, Error(Code::kInvalidArgument, "'bytes' must be a whole number above 0"), "bytes");
  }
  if (pool && !pool->is_string()) {
    return refuse(writer, Error(Code::kInvalidArgument, "'pool' must be the name of a pool of GET /memory"), "pool");
  }
  const Borrower who{.name = name && name->is_string() ? name->as_string() : "another program",
                     .pool = pool ? pool->as_string() : "",
                     .pid = pid && pid->is_integer() ? static_cast<int>(pid->as_int()) : 0};
  Result<std::shared_ptr<void>> promise = memory.reserve(bytes->as_int(), who);
  if (!promise) {
    return refuse(writer, promise.error(), promise.error().code() == Code::kInvalidArgument ? "pool" : "");
  }
  log::info("{} reserved {} id={}", who.name, format_bytes(bytes->as_int()), request.id);

  auto held = std::make_shared<Held>(Held{*std::move(promise), writer});
  http::HttpResponse head;
  head.content_type = "application/x-ndjson";
  writer->start_stream(std::move(head));
  writer->write(json::write(Value::object({{"reserved_bytes", bytes->as_int()}})) + "\n");
  writer->on_silence([held] {
    if (held->writer) held->writer->write("\n");
  });
  writer->on_abort([held](http::AbortReason reason) {
    if (reason == http::AbortReason::kTimeout || reason == http::AbortReason::kStopping) held->writer->finish();
    *held = {};
  });
}

}  // namespace

std::vector<http::Route> memory_routes(MemoryService& memory, bool with_free) {
  std::vector<http::Route> routes;
  auto add = [&](const char* method, const char* path, const char* help, auto handle) {
    routes.push_back({method, path, help, false, [&memory, handle](const http::HttpRequest& request, Writer writer) {
                        handle(memory, request, writer);
                      }});
  };
  add("GET", "/memory", "who holds memory, what is left, what happened",
      [](MemoryService& m, const http::HttpRequest&, const Writer& writer) { answer(writer, to_value(m.report())); });
  add("POST", "/memory/free", "unloads idle models, or one", free_memory);
  add("POST", "/memory/reserve", "holds memory for another program while the connection is open", reserve);
  if (with_free) add("POST", "/free", "unloads models, drops cached results", free_as_comfy);
  return routes;
}

}  // namespace hearth::server
