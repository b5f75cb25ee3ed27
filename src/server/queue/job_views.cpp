#include "server/queue/job_views.h"

#include <fmt/format.h>

#include "api/comfy/history.h"
#include "formats/json/json.h"
#include "server/queue/states.h"

namespace hearth::server {
namespace {

void add_entry(std::string& out, const Statement& row) {
  if (out.size() > 1) out += ',';
  out += json::write(Value(row.text(0)));
  out += ':';
  out += comfy::history_entry(row.text(1), row.text(2));
}

// Columns: id, number, created, started, workflow_id, state, summary.
constexpr const char* kJobColumns = "id, number, created, started, workflow_id, state, summary";

std::string job_text(const Statement& row) {
  if (row.integer(5) == kEnded) return std::string(row.text(6));
  const comfy::JobFacts facts{std::string(row.text(0)), row.number(1), row.integer(2), row.maybe_integer(3),
                              std::nullopt, std::string(row.text(4))};
  return json::write(row.integer(5) == kRuns ? comfy::running_job(facts) : comfy::waiting_job(facts));
}

std::string placeholders(size_t count) {
  std::string out;
  for (size_t i = 0; i < count; ++i) out += i ? ",?" : "?";
  return out;
}

// Statuses first, then the workflow.
std::string filter_of(const JobsQuery& query) {
  std::string out = " WHERE 1";
  if (!query.statuses.empty()) out += " AND status IN (" + placeholders(query.statuses.size()) + ")";
  if (!query.workflow_id.empty()) out += " AND workflow_id = ?";
  return out;
}

int bind_filter(Statement& statement, const JobsQuery& query) {
  int index = 0;
  for (const std::string& status : query.statuses) statement.bind(++index, std::string_view(status));
  if (!query.workflow_id.empty()) statement.bind(++index, std::string_view(query.workflow_id));
  return index;
}

}  // namespace

std::string JobViews::items(int64_t state) {
  std::string out = "[";
  Statement rows = database_.prepare("SELECT item FROM jobs WHERE state = ? ORDER BY number, id");
  rows.bind(1, state);
  while (rows.step()) {
    if (out.size() > 1) out += ',';
    out += rows.text(0);
  }
  return out += ']';
}

std::string JobViews::queue() {
  // One snapshot: a job that moves on meanwhile is in exactly one list.
  database_.execute("BEGIN");
  std::string running = items(kRuns), pending = items(kWaits);
  database_.execute("COMMIT");
  return fmt::format(R"({{"queue_running":{},"queue_pending":{}}})", running, pending);
}

std::string JobViews::history(std::optional<int64_t> max_items, std::optional<int64_t> offset) {
  Statement rows = database_.prepare(
      offset ? "SELECT id, item, rest FROM jobs WHERE ended_seq IS NOT NULL ORDER BY ended_seq LIMIT ? OFFSET ?"
             : "SELECT * FROM (SELECT id, item, rest, ended_seq FROM jobs WHERE ended_seq IS NOT NULL"
               " ORDER BY ended_seq DESC LIMIT ?) ORDER BY ended_seq");
  rows.bind(1, max_items.value_or(-1));
  if (offset) rows.bind(2, *offset);
  std::string out = "{";
  while (rows.step()) add_entry(out, rows);
  return out += '}';
}

std::string JobViews::history_of(const std::string& id) {
  Statement row = database_.prepare("SELECT id, item, rest FROM jobs WHERE id = ? AND state = ?");
  std::string out = "{";
  if (row.bind(1, std::string_view(id)).bind(2, kEnded).step()) add_entry(out, row);
  return out += '}';
}

std::string JobViews::jobs(const JobsQuery& query) {
  const std::string filter = filter_of(query);
  Statement count = database_.prepare("SELECT count(*) FROM jobs" + filter);
  bind_filter(count, query);
  count.step();
  const int64_t total = count.integer(0);

  const char* order = query.by_duration ? "ifnull(ended - started, 0)" : "created";
  const char* way = query.ascending ? "ASC" : "DESC";
  Statement rows = database_.prepare(fmt::format("SELECT {} FROM jobs{} ORDER BY {} {}, seq {} LIMIT ? OFFSET ?",
                                                 kJobColumns, filter, order, way, way));
  const int bound = bind_filter(rows, query);
  rows.bind(bound + 1, query.limit.value_or(-1)).bind(bound + 2, query.offset);
  std::string list;
  int64_t shown = 0;
  for (; rows.step(); ++shown) {
    if (shown > 0) list += ',';
    list += job_text(rows);
  }
  return fmt::format(R"({{"jobs":[{}],"pagination":{{"offset":{},"limit":{},"total":{},"has_more":{}}}}})", list,
                     query.offset, query.limit ? fmt::format("{}", *query.limit) : "null", total,
                     query.offset + shown < total);
}

std::string JobViews::job(const std::string& id) {
  Statement row = database_.prepare(fmt::format("SELECT {}, item, rest FROM jobs WHERE id = ?", kJobColumns));
  if (!row.bind(1, std::string_view(id)).step()) return "";
  Value job = json::parse(job_text(row)).value();
  const Value item = json::parse(row.text(7)).value();
  if (row.is_null(8)) return json::write(comfy::job_detail(std::move(job), item, nullptr));
  const Value rest = json::parse(row.text(8)).value();
  return json::write(comfy::job_detail(std::move(job), item, &rest));
}

}  // namespace hearth::server
