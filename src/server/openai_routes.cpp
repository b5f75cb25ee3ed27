#include "server/openai_routes.h"

#include <memory>
#include <utility>

#include <fmt/format.h>

#include "api/common/error.h"
#include "api/openai/models.h"
#include "api/openai/request.h"
#include "formats/json/json.h"
#include "server/generation.h"
#include "server/unknown_fields.h"

namespace hearth::server {
namespace {

using Writer = std::shared_ptr<http::ResponseWriter>;

struct Shared {
  Shared(LanguageService& the_service, int max_queue)
      : service(the_service), slots(std::make_shared<Slots>(max_queue)) {}
  LanguageService& service;
  std::shared_ptr<Slots> slots;
  UnknownFields unknown;
};

void generate(Shared& shared, openai::Endpoint endpoint, const http::HttpRequest& request, Writer writer) {
  api::ParseNotes notes;
  auto call = openai::parse_body(endpoint, request.body, notes);
  shared.unknown.note(request.id, notes.unknown_fields);
  if (!call) return writer->respond(http::error_response(api::to_api_error(call.error(), notes.param)));
  auto slot = Slots::take(shared.slots);
  if (!slot) {
    Error busy(Code::kBusy, "too many requests wait already: try again later");
    return writer->respond(http::error_response(api::to_api_error(busy)));
  }
  auto generation = std::make_shared<Generation>(shared.service, *call, writer, std::move(slot), request.id);
  generation->start(std::move(call->generate));
}

void respond_json(const Writer& writer, const Value& body) {
  http::HttpResponse out;
  out.body = json::write(body);
  writer->respond(std::move(out));
}

void one_model(LanguageService& service, const http::HttpRequest& request, const Writer& writer) {
  auto models = service.models();
  if (auto body = openai::model_body(models, request.rest)) return respond_json(writer, *body);
  std::string there;
  for (const ModelSummary& model : models) there += (there.empty() ? "" : ", ") + model.name;
  Error missing(Code::kNotFound, fmt::format("model '{}' does not exist; this server has: {}", request.rest,
                                             there.empty() ? "no models" : there));
  writer->respond(http::error_response(api::to_api_error(missing, "model")));
}

}  // namespace

std::vector<http::Route> openai_routes(LanguageService& service, int max_queue) {
  auto shared = std::make_shared<Shared>(service, max_queue);
  return {
      {"POST", "/v1/chat/completions", "chat, plain or streamed", false,
       [shared](const http::HttpRequest& request, Writer writer) {
         generate(*shared, openai::Endpoint::kChat, request, std::move(writer));
       }},
      {"POST", "/v1/completions", "continues a text, plain or streamed", false,
       [shared](const http::HttpRequest& request, Writer writer) {
         generate(*shared, openai::Endpoint::kCompletion, request, std::move(writer));
       }},
      {"GET", "/v1/models", "the models", false,
       [shared](const http::HttpRequest&, Writer writer) {
         respond_json(writer, openai::models_body(shared->service.models()));
       }},
      {"GET", "/v1/models/*", "one model", false,
       [shared](const http::HttpRequest& request, Writer writer) { one_model(shared->service, request, writer); }},
  };
}

}  // namespace hearth::server
