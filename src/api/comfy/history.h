// A job as /queue, /history and the jobs API show it. What a job stores is written once, when it is accepted and when
// it ends, as JSON text; answers are put together from these texts, so that ten thousand entries are never parsed
// again. Pure functions.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/value.h"

namespace hearth::comfy {

/// The parts of a queue item as JSON text; written before its number is known.
struct ItemTexts {
  std::string prompt, extra_data, outputs;  // outputs: the list of node ids to execute
};
ItemTexts item_texts(const Value& prompt, const Value& extra_data, const std::vector<std::string>& outputs);
/// [number, prompt_id, prompt, extra_data, outputs_to_execute]: the item of /queue and of a history entry.
std::string queue_item(double number, std::string_view id, const ItemTexts& texts);

enum class JobEnd { kCompleted, kFailed, kCancelled };
std::string_view status_name(JobEnd end);  // "completed", "failed", "cancelled"

/// What a job left behind.
struct JobResults {
  JobEnd end = JobEnd::kFailed;
  Value outputs = Value::object();   // node id -> UI output
  Value meta = Value::object();
  Value messages = Value::list();    // [[event, data], ...]
};

/// {"outputs", "status", "meta"}: a history entry without its "prompt".
Value history_rest(const JobResults& results);
/// {"prompt": item, ...rest}, from the texts of both.
std::string history_entry(std::string_view item, std::string_view rest);

/// What the jobs API says of every job.
struct JobFacts {
  std::string id;
  double number = 0;
  int64_t created_ms = 0;
  std::optional<int64_t> started_ms, ended_ms;
  std::string workflow_id;  // "" when the prompt has none
};
Value waiting_job(const JobFacts& facts);
Value running_job(const JobFacts& facts);
Value ended_job(const JobFacts& facts, const JobResults& results);
/// GET /api/jobs/{id}: the job with its workflow, and outputs and status once it has ended (`rest` of the history).
Value job_detail(Value job, const Value& item, const Value* rest);

/// extra_pnginfo.workflow.id of extra_data; "" when there is none.
std::string workflow_id_of(const Value& extra_data);

/// Why a job that crashed the server twice ended: the execution_error of its history.
Value crash_error(std::string_view prompt_id, int attempts, int64_t now_ms);

}  // namespace hearth::comfy
