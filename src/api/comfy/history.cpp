#include "api/comfy/history.h"

#include <utility>

#include <fmt/format.h>

#include "api/comfy/prompt.h"
#include "formats/json/json.h"

namespace hearth::comfy {
namespace {

constexpr size_t kMaxShownText = 1024;

const Value* message_data(const Value& messages, std::string_view event) {
  for (const Value& message : messages.as_list()) {
    if (!message.is_list() || message.size() != 2) continue;
    const Value& name = message.as_list()[0];
    if (name.is_string() && name.as_string() == event) return &message.as_list()[1];
  }
  return nullptr;
}

Value base_job(const JobFacts& facts, std::string_view status) {
  Value job = Value::object({{"id", facts.id},
                             {"status", status},
                             {"priority", number_value(facts.number)},
                             {"create_time", facts.created_ms}});
  if (facts.started_ms) job.set("execution_start_time", *facts.started_ms);
  if (facts.ended_ms) job.set("execution_end_time", *facts.ended_ms);
  if (!facts.workflow_id.empty()) job.set("workflow_id", facts.workflow_id);
  return job;
}

// The frontend drops the whole list when one of these is missing.
Value complete_error(const Value& data) {
  Value out = data.is_object() ? data : Value::object();
  for (const char* name : {"node_id", "node_type", "exception_message", "exception_type"}) {
    const Value* value = out.find(name);
    if (!value || !value->is_string()) out.set(name, "");
  }
  const Value* traceback = out.find("traceback");
  if (!traceback || !traceback->is_list()) out.set("traceback", Value::list());
  return out;
}

bool is_previewable(std::string_view media) {
  return media == "images" || media == "video" || media == "gifs" || media == "audio" || media == "3d";
}

// Counts what a job made and picks the item that stands for it: the first saved one, else the first shown one.
struct OutputSummary {
  int64_t count = 0, previewable = 0;
  std::optional<Value> saved, shown, text;

  void add(const std::string& node, const std::string& media, const Value& item) {
    if (media == "text" && item.is_string()) return add_text(node, item.as_string());
    if (!item.is_object()) return;
    ++count;
    if (!is_previewable(media)) return;
    ++previewable;
    Value preview = item;
    preview.set("nodeId", node);
    preview.set("mediaType", media);
    const Value* type = item.find("type");
    const bool is_saved = type && type->is_string() && type->as_string() == "output";
    std::optional<Value>& place = is_saved ? saved : shown;
    if (!place) place = std::move(preview);
  }
  void add_text(const std::string& node, const std::string& content) {
    ++count;
    if (text) return;
    text = Value::object({{"content", content.substr(0, kMaxShownText)}, {"nodeId", node}, {"mediaType", "text"}});
    if (content.size() > kMaxShownText) text->set("truncated", true);
  }
  std::optional<Value> preview() const { return saved ? saved : shown ? shown : text; }
};

OutputSummary summarize(const Value& outputs) {
  OutputSummary out;
  for (const auto& [node, shown] : outputs.as_object()) {
    if (!shown.is_object()) continue;
    for (const auto& [media, items] : shown.as_object()) {
      if (media == "animated") continue;
      if (items.is_list()) {
        for (const Value& item : items.as_list()) out.add(node, media, item);
      } else {
        out.add(node, media, items);
      }
    }
  }
  return out;
}

}  // namespace

ItemTexts item_texts(const Value& prompt, const Value& extra_data, const std::vector<std::string>& outputs) {
  Value names = Value::list();
  for (const std::string& name : outputs) names.push(name);
  return {json::write(prompt), json::write(extra_data), json::write(names)};
}

std::string queue_item(double number, std::string_view id, const ItemTexts& texts) {
  return fmt::format("[{},{},{},{},{}]", json::write(number_value(number)), json::write(Value(id)), texts.prompt,
                     texts.extra_data, texts.outputs);
}

std::string_view status_name(JobEnd end) {
  switch (end) {
    case JobEnd::kCompleted: return "completed";
    case JobEnd::kFailed: return "failed";
    case JobEnd::kCancelled: return "cancelled";
  }
  return "failed";
}

Value history_rest(const JobResults& results) {
  const bool is_success = results.end == JobEnd::kCompleted;
  return Value::object({{"outputs", results.outputs},
                        {"status", Value::object({{"status_str", is_success ? "success" : "error"},
                                                  {"completed", is_success},
                                                  {"messages", results.messages}})},
                        {"meta", results.meta}});
}

std::string history_entry(std::string_view item, std::string_view rest) {
  return fmt::format("{{\"prompt\":{},{}", item, rest.substr(1));
}

Value waiting_job(const JobFacts& facts) {
  Value job = base_job(facts, "pending");
  job.set("outputs_count", 0);
  return job;
}

Value running_job(const JobFacts& facts) {
  Value job = base_job(facts, "in_progress");
  job.set("outputs_count", 0);
  return job;
}

Value ended_job(const JobFacts& facts, const JobResults& results) {
  Value job = base_job(facts, status_name(results.end));
  if (const Value* error = message_data(results.messages, "execution_error")) {
    job.set("execution_error", complete_error(*error));
  }
  const OutputSummary summary = summarize(results.outputs);
  job.set("outputs_count", summary.count);
  job.set("previewable_outputs_count", summary.previewable);
  if (auto preview = summary.preview()) job.set("preview_output", std::move(*preview));
  return job;
}

Value job_detail(Value job, const Value& item, const Value* rest) {
  if (rest) {
    job.set("outputs", rest->at("outputs"));
    job.set("execution_status", rest->at("status"));
  }
  const Value::List& parts = item.as_list();
  job.set("workflow", Value::object({{"prompt", parts.at(2)}, {"extra_data", parts.at(3)}}));
  return job;
}

std::string workflow_id_of(const Value& extra_data) {
  const Value* at = &extra_data;
  for (const char* name : {"extra_pnginfo", "workflow", "id"}) {
    at = at->find(name);
    if (!at) return "";
  }
  return at->is_string() ? at->as_string() : "";
}

Value crash_error(std::string_view prompt_id, int attempts, int64_t now_ms) {
  return Value::object(
      {{"prompt_id", prompt_id},
       {"node_id", ""},
       {"node_type", ""},
       {"executed", Value::list()},
       {"exception_message", fmt::format("The server stopped without warning {} times while it ran this prompt, so it "
                                         "is not run again. Queue it anew to try once more.\n", attempts)},
       {"exception_type", "hearth.InterruptedByCrash"},
       {"traceback", Value::list()},
       {"current_inputs", Value::object()},
       {"current_outputs", Value::list()},
       {"timestamp", now_ms}});
}

}  // namespace hearth::comfy
