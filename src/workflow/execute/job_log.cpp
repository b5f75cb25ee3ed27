#include "workflow/execute/job_log.h"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

namespace hearth::workflow {
namespace {

// progress_state lists every node so far. In graphs of thousands of nodes only the newest, or the frames of one job
// would take gigabytes.
constexpr size_t kLargeGraph = 1000, kShownOfLarge = 50;

int64_t now_ms() {
  auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

Value texts(const std::vector<std::string>& items) {
  Value list = Value::list();
  for (const std::string& item : items) list.push(item);
  return list;
}

std::string_view file_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

constexpr std::string_view kMemoryTip =
    "There was not enough memory for this. A smaller picture, a smaller batch or tiled decoding needs less.";

}  // namespace

std::string exception_type(Code code) {
  switch (code) {
    case Code::kInvalidArgument: return "ValueError";
    case Code::kNotFound: return "FileNotFoundError";
    case Code::kCorruptFile: return "ValueError";
    case Code::kUnsupported: return "NotImplementedError";
    case Code::kNoMemory: return "torch.OutOfMemoryError";
    case Code::kIo: return "OSError";
    case Code::kTimeout: return "TimeoutError";
    default: return "RuntimeError";
  }
}

void JobLog::message(std::string_view type, Value data) {
  data.set("timestamp", now_ms());
  events_.send(type, data);
  result_.messages.push(Value(Value::List{type, std::move(data)}));
}

void JobLog::started() { message("execution_start", Value::object({{"prompt_id", job_.prompt_id}})); }

void JobLog::cached(const std::vector<std::string>& nodes) {
  message("execution_cached", Value::object({{"nodes", texts(nodes)}, {"prompt_id", job_.prompt_id}}));
}

// Only the changed node is written anew; beyond the limit the older half of the nodes goes.
void JobLog::update(const Progress& node) {
  Value state = Value::object({{"value", node.value},
                               {"max", node.max},
                               {"state", node.is_finished ? "finished" : "running"},
                               {"node_id", node.id},
                               {"prompt_id", job_.prompt_id},
                               {"display_node_id", node.id},
                               {"parent_node_id", nullptr},
                               {"real_node_id", node.id}});
  if (progress_state_.is_null()) {
    progress_state_ = Value::object({{"prompt_id", job_.prompt_id}, {"nodes", Value::object()}});
  }
  Value& nodes = *progress_state_.find("nodes");
  if (job_.graph.size() > kLargeGraph && nodes.size() >= kShownOfLarge && !nodes.find(node.id)) {
    Value newest = Value::object();
    for (size_t i = kShownOfLarge / 2; i < nodes.size(); ++i) {
      newest.set(nodes.as_object()[i].first, nodes.as_object()[i].second);
    }
    nodes = std::move(newest);
  }
  nodes.set(node.id, std::move(state));
}

void JobLog::node_started(const std::string& id) {
  update({.id = id});
  events_.send("progress_state", progress_state_);
  events_.send("executing", Value::object({{"node", id}, {"display_node", id}, {"prompt_id", job_.prompt_id}}));
}

void JobLog::node_step(const std::string& id, int64_t done, int64_t total, const EncodedPreview* preview) {
  update({.id = id, .value = done, .max = total});
  Step step;
  step.progress_state = progress_state_;
  step.progress = Value::object({{"value", done}, {"max", total}, {"prompt_id", job_.prompt_id}, {"node", id}});
  PreviewImage image;
  if (preview) {
    image.mime = preview->mime;
    image.bytes = preview->bytes;
    image.metadata = Value::object({{"node_id", id},
                                    {"prompt_id", job_.prompt_id},
                                    {"display_node_id", id},
                                    {"parent_node_id", nullptr},
                                    {"real_node_id", id},
                                    {"image_type", preview->mime}});
    step.preview = &image;
  }
  events_.send_step(step);
}

void JobLog::remember_ui(const std::string& id, const Value& ui) {
  result_.outputs.set(id, ui);
  result_.meta.set(
      id, Value::object({{"node_id", id}, {"display_node", id}, {"parent_node", nullptr}, {"real_node_id", id}}));
}

void JobLog::node_showed(const std::string& id, const Value& ui) {
  remember_ui(id, ui);
  events_.send("executed",
               Value::object({{"node", id}, {"display_node", id}, {"output", ui}, {"prompt_id", job_.prompt_id}}));
}

void JobLog::node_shown_again(const std::string& id, const Value& ui) {
  if (!ui.is_null()) remember_ui(id, ui);
  events_.send("executed",
               Value::object({{"node", id}, {"display_node", id}, {"output", ui}, {"prompt_id", job_.prompt_id}}));
}

void JobLog::node_finished(const std::string& id, bool ran) {
  const Value* node = progress_state_.find("nodes");
  node = node ? node->find(id) : nullptr;
  int64_t max = node ? node->at("max").as_int() : 1;
  update({.id = id, .value = max, .max = max, .is_finished = true});
  events_.send("progress_state", progress_state_);
  if (ran) executed_.push_back(id);
}

Value JobLog::executed_list() const { return texts(executed_); }

void JobLog::succeeded() {
  result_.end = JobResult::End::kSuccess;
  message("execution_success", Value::object({{"prompt_id", job_.prompt_id}}));
}

void JobLog::interrupted(const std::string& id) {
  result_.end = JobResult::End::kInterrupted;
  message("execution_interrupted", Value::object({{"prompt_id", job_.prompt_id},
                                                  {"node_id", id},
                                                  {"node_type", job_.graph.class_of(id)},
                                                  {"executed", executed_list()}}));
}

void JobLog::failed(const std::string& id, const Error& error, Value current_inputs,
                    const std::vector<std::string>& outputs) {
  result_.end = JobResult::End::kError;
  std::string_view tip = error.code() == Code::kNoMemory ? kMemoryTip : "";
  std::string where = fmt::format("{}:{}", file_name(error.where().file_name()), error.where().line());
  Value said = Value::object({{"prompt_id", job_.prompt_id},
                              {"node_id", id},
                              {"node_type", job_.graph.class_of(id)},
                              {"executed", executed_list()},
                              {"exception_message", fmt::format("{}\n{}", error.message(), tip)},
                              {"exception_type", exception_type(error.code())},
                              {"traceback", Value(Value::List{where})},
                              {"current_inputs", std::move(current_inputs)},
                              {"current_outputs", texts(outputs)}});
  if (error.code() == Code::kNoMemory && error.details()) said.set("details", *error.details());
  message("execution_error", std::move(said));
}

}  // namespace hearth::workflow
