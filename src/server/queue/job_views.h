// JobViews: the queue as clients read it, over a connection of its own: a long history is read while jobs are accepted.
// Answers are JSON text put together from what JobStore wrote. One thread; failures are thrown as Error.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "server/queue/database.h"

namespace hearth::server {

/// GET /api/jobs after its parameters were checked.
struct JobsQuery {
  std::vector<std::string> statuses;  // empty: all
  std::string workflow_id;            // "": any
  bool by_duration = false;           // else by creation
  bool ascending = false;
  int64_t offset = 0;
  std::optional<int64_t> limit;
};

class JobViews {
 public:
  /// The file must exist: open after a JobStore has.
  explicit JobViews(const std::filesystem::path& file) : database_(file, Database::Mode::kRead) {}

  /// {"queue_running": [...], "queue_pending": [...]}
  std::string queue();
  /// Oldest first; without an offset the last `max_items`.
  std::string history(std::optional<int64_t> max_items, std::optional<int64_t> offset);
  std::string history_of(const std::string& id);
  std::string jobs(const JobsQuery& query);
  /// "" when there is no such job.
  std::string job(const std::string& id);

 private:
  std::string items(int64_t state);
  Database database_;
};

}  // namespace hearth::server
