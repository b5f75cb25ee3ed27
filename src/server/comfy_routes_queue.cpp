// Prompts, queue, history and the jobs API.
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "api/comfy/prompt.h"
#include "core/base/log.h"
#include "formats/json/json.h"
#include "server/clock.h"
#include "server/comfy_routes.h"
#include "server/uuid.h"

namespace hearth::server {
namespace {

constexpr const char* kStatuses[] = {"pending", "in_progress", "completed", "failed", "cancelled"};

http::HttpResponse failure_reply(const Error& error) { return http::error_response(api::to_api_error(error)); }

// The callback for a change that answers with nothing.
template <class T>
JobQueue::Done<T> answer_empty(Writer writer) {
  return [writer = std::move(writer)](Result<T> result) {
    writer->respond(result ? empty_reply() : failure_reply(result.error()));
  };
}

JobQueue::Done<std::string> answer_text(Writer writer) {
  return [writer = std::move(writer)](Result<std::string> text) {
    writer->respond(text ? json_reply(std::move(*text)) : failure_reply(text.error()));
  };
}

// A prompt that is no graph at all has no verdict.
workflow::Verdict check_prompt(ComfyParts& parts, comfy::PromptCall& call) {
  try {
    return parts.backend.check(call.prompt, call.targets);
  } catch (const Error& error) {
    if (error.code() != Code::kInvalidArgument) throw;
    workflow::Verdict verdict;
    verdict.error = comfy::prompt_refusal({"invalid_prompt", "The prompt is no graph of nodes", error.message()})
                        .at("error");
    return verdict;
  }
}

void post_prompt(ComfyParts& parts, const http::HttpRequest& request, Writer writer) {
  auto parse = comfy::parse_prompt(request.body);
  if (!parse.call) return writer->respond(json_reply(comfy::prompt_refusal(parse.error), 400));
  comfy::PromptCall& call = *parse.call;
  workflow::Verdict verdict = check_prompt(parts, call);
  if (!verdict.is_valid) {
    log::info("prompt refused id={} error={}", request.id, json::write(verdict.error).substr(0, 300));
    return writer->respond(
        json_reply(comfy::prompt_refusal(std::move(verdict.error), std::move(verdict.node_errors)), 400));
  }
  if (const Result<void> may = parts.backend.admit(); !may) return writer->respond(failure_reply(may.error()));
  NewJob job;
  job.id = call.id.value_or(make_uuid());
  job.number = call.number;
  job.front = call.front;
  job.client_id = call.client_id;
  job.workflow_id = comfy::workflow_id_of(call.extra_data);
  job.created_ms = unix_ms();
  call.extra_data.set("create_time", job.created_ms);
  job.item = comfy::item_texts(call.prompt, call.extra_data, verdict.outputs);
  const std::string id = job.id;
  parts.logs.add("got prompt");
  parts.queue.accept(std::move(job), std::move(call.secrets),
                     [writer, id, node_errors = std::move(verdict.node_errors)](Result<double> number) {
                       if (number) return writer->respond(json_reply(comfy::prompt_answer(id, *number, node_errors)));
                       if (number.error().code() != Code::kInvalidArgument) {
                         return writer->respond(failure_reply(number.error()));
                       }
                       const comfy::PromptError taken{"invalid_prompt_id", "prompt_id is in the queue already", id};
                       writer->respond(json_reply(comfy::prompt_refusal(taken), 400));
                     });
}

// {"clear": true} and {"delete": [ids]}, as /queue and /history take them.
struct Removal {
  bool all = false;
  std::vector<std::string> ids;
};

Result<Removal> removal_of(const http::HttpRequest& request) {
  auto body = json_body(request);
  if (!body) return unexpected(body.error());
  Removal out;
  if (const Value* clear = body->find("clear")) out.all = clear->is_bool() && clear->as_bool();
  const Value* ids = body->find("delete");
  if (!ids || ids->is_null()) return out;
  if (!ids->is_list()) return unexpected(Code::kInvalidArgument, "delete must be a list of prompt ids");
  for (const Value& id : ids->as_list()) {
    if (id.is_string()) out.ids.push_back(id.as_string());
  }
  return out;
}

void post_queue(ComfyParts& parts, const http::HttpRequest& request, Writer writer) {
  auto removal = removal_of(request);
  if (!removal) return writer->respond(failure_reply(removal.error()));
  parts.queue.remove_waiting(std::move(removal->ids), removal->all, answer_empty<int64_t>(std::move(writer)));
}

void post_history(ComfyParts& parts, const http::HttpRequest& request, Writer writer) {
  auto removal = removal_of(request);
  if (!removal) return writer->respond(failure_reply(removal.error()));
  parts.queue.remove_history(std::move(removal->ids), removal->all, answer_empty<int64_t>(std::move(writer)));
}

// No body, and a broken one, stand for whichever prompt runs.
void post_interrupt(ComfyParts& parts, const http::HttpRequest& request, Writer writer) {
  std::string id;
  if (auto body = json_body(request)) {
    const Value* given = body->find("prompt_id");
    if (given && given->is_string()) id = given->as_string();
  }
  parts.queue.interrupt(id);
  writer->respond(empty_reply());
}

void post_free(ComfyParts& parts, const http::HttpRequest& request, Writer writer) {
  auto body = json_body(request);
  if (!body) return writer->respond(failure_reply(body.error()));
  auto flag = [&](const char* name) {
    const Value* value = body->find(name);
    return value && value->is_bool() && value->as_bool();
  };
  parts.queue.release(flag("unload_models"), flag("free_memory"));
  writer->respond(empty_reply());
}

// A whole number from the query; an error names the parameter.
Result<std::optional<int64_t>> whole_number(const http::HttpRequest& request, std::string_view name) {
  if (!http::has_query_value(request.query, name)) return std::optional<int64_t>();
  const std::string text = http::query_value(request.query, name);
  int64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size()) {
    return unexpected(Code::kInvalidArgument, fmt::format("{} must be an integer", name));
  }
  return std::optional(value);
}

void get_history(ComfyParts& parts, const http::HttpRequest& request, Writer writer) {
  auto max_items = whole_number(request, "max_items"), offset = whole_number(request, "offset");
  for (const auto& number : {max_items, offset}) {
    if (!number) return writer->respond(failure_reply(number.error()));
  }
  const std::optional<int64_t> from = *offset && **offset >= 0 ? *offset : std::nullopt;
  parts.queue.view([most = *max_items, from](JobViews& views) { return views.history(most, from); },
                   answer_text(std::move(writer)));
}

http::HttpResponse jobs_refusal(const std::string& message) {
  return json_reply(Value::object({{"error", message}}), 400);
}

Result<std::vector<std::string>> statuses_of(const std::string& text) {
  std::vector<std::string> out;
  for (size_t at = 0; at <= text.size() && !text.empty();) {
    const size_t comma = std::min(text.find(',', at), text.size());
    std::string word = text.substr(at, comma - at);
    at = comma + 1;
    while (word.starts_with(' ')) word.erase(0, 1);
    while (word.ends_with(' ')) word.pop_back();
    if (word.empty()) continue;
    bool is_known = false;
    for (const char* known : kStatuses) is_known = is_known || word == known;
    if (!is_known) {
      return unexpected(Code::kInvalidArgument, fmt::format("Invalid status value '{}'. Valid values: pending, "
                                                            "in_progress, completed, failed, cancelled", word));
    }
    out.push_back(std::move(word));
  }
  return out;
}

Result<JobsQuery> jobs_query(const http::HttpRequest& request) {
  JobsQuery out;
  auto statuses = statuses_of(http::query_value(request.query, "status"));
  if (!statuses) return unexpected(statuses.error());
  out.statuses = std::move(*statuses);
  out.workflow_id = http::query_value(request.query, "workflow_id");
  const std::string by = http::query_value(request.query, "sort_by", "created_at");
  const std::string order = http::query_value(request.query, "sort_order", "desc");
  if (by != "created_at" && by != "execution_duration") {
    return unexpected(Code::kInvalidArgument, "sort_by must be 'created_at' or 'execution_duration'");
  }
  if (order != "asc" && order != "desc") {
    return unexpected(Code::kInvalidArgument, "sort_order must be 'asc' or 'desc'");
  }
  out.by_duration = by == "execution_duration";
  out.ascending = order == "asc";
  auto limit = whole_number(request, "limit"), offset = whole_number(request, "offset");
  for (const auto& number : {limit, offset}) {
    if (!number) return unexpected(number.error());
  }
  if (*limit && **limit <= 0) return unexpected(Code::kInvalidArgument, "limit must be a positive integer");
  out.limit = *limit;
  out.offset = std::max<int64_t>(0, offset->value_or(0));
  return out;
}

void get_jobs(ComfyParts& parts, const http::HttpRequest& request, Writer writer) {
  auto query = jobs_query(request);
  if (!query) return writer->respond(jobs_refusal(query.error().message()));
  parts.queue.view([query = std::move(*query)](JobViews& views) { return views.jobs(query); },
                   answer_text(std::move(writer)));
}

void get_job(ComfyParts& parts, const http::HttpRequest& request, Writer writer) {
  parts.queue.view([id = request.params.at(0)](JobViews& views) { return views.job(id); },
                   [writer](Result<std::string> text) {
                     if (!text) return writer->respond(failure_reply(text.error()));
                     if (!text->empty()) return writer->respond(json_reply(std::move(*text)));
                     writer->respond(json_reply(Value::object({{"error", "Job not found"}}), 404));
                   });
}

void cancel(ComfyParts& parts, std::vector<std::string> ids, Writer writer) {
  parts.queue.cancel(std::move(ids), [writer](Result<bool> found) {
    writer->respond(found ? json_reply(Value::object({{"cancelled", *found}})) : failure_reply(found.error()));
  });
}

void post_cancel(ComfyParts& parts, const http::HttpRequest& request, Writer writer) {
  auto body = json_body(request);
  if (!body) return writer->respond(jobs_refusal("the body must be a JSON object: " + body.error().message()));
  const Value* given = body->find("job_ids");
  if (!given || !given->is_list() || given->size() == 0) {
    return writer->respond(jobs_refusal("job_ids must be a list of at least one job id"));
  }
  std::vector<std::string> ids;
  Value invalid = Value::list();
  for (const Value& id : given->as_list()) {
    const bool is_id = id.is_string() && comfy::is_canonical_uuid(id.as_string());
    is_id ? ids.push_back(id.as_string()) : static_cast<void>(invalid.push(id));
  }
  if (invalid.size() > 0) {
    return writer->respond(json_reply(
        Value::object({{"error", "job_ids must be UUIDs"}, {"invalid_ids", std::move(invalid)}}), 400));
  }
  cancel(parts, std::move(ids), std::move(writer));
}

}  // namespace

void add_queue_routes(RouteList& routes, ComfyParts& parts) {
  auto with = [&parts](void (*handle)(ComfyParts&, const http::HttpRequest&, Writer)) {
    return [&parts, handle](const http::HttpRequest& request, Writer writer) {
      handle(parts, request, std::move(writer));
    };
  };
  routes.add("POST", "/prompt", "queues a workflow", with(post_prompt));
  routes.add("GET", "/prompt", "how many prompts wait and run", [&parts](const http::HttpRequest&, Writer writer) {
    const Value info = Value::object({{"queue_remaining", parts.queue.remaining()}});
    writer->respond(json_reply(Value::object({{"exec_info", info}})));
  });
  routes.add("GET", "/queue", "prompts that wait and run", [&parts](const http::HttpRequest&, Writer writer) {
    parts.queue.view([](JobViews& views) { return views.queue(); }, answer_text(std::move(writer)));
  });
  routes.add("POST", "/queue", "removes waiting prompts", with(post_queue));
  routes.add("POST", "/interrupt", "stops the running prompt", with(post_interrupt));
  routes.add("POST", "/free", "unloads models, drops cached results", with(post_free));
  routes.add("GET", "/history", "prompts that have ended", with(get_history));
  routes.add("GET", "/history/{id}", "one of them", [&parts](const http::HttpRequest& request, Writer writer) {
    parts.queue.view([id = request.params.at(0)](JobViews& views) { return views.history_of(id); },
                     answer_text(std::move(writer)));
  });
  routes.add("POST", "/history", "forgets prompts that have ended", with(post_history));
  routes.add_single("GET", "/api/jobs", "all prompts in one list", with(get_jobs));
  routes.add_single("GET", "/api/jobs/{id}", "one prompt with its workflow", with(get_job));
  routes.add_single("POST", "/api/jobs/cancel", "stops or removes prompts", with(post_cancel));
  routes.add_single("POST", "/api/jobs/{id}/cancel", "stops or removes one prompt",
                    [&parts](const http::HttpRequest& request, Writer writer) {
                      cancel(parts, {request.params.at(0)}, std::move(writer));
                    });
}

}  // namespace hearth::server
