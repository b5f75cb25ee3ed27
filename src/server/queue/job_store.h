// JobStore: the durable state of the queue: jobs wait, run, end. Each call is one transaction, on disk when it returns.
// One thread. Failures are thrown as Error (see database.h).
//
// A job that runs when the process dies is found running at the next open: it waits again in its old place, unless
// that was its second time; then it ends with a reason, so that a job that kills the server cannot do so for ever. What
// files it had written by then are removed: nobody was told of them, and when it runs again it writes its own.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "api/comfy/history.h"
#include "core/base/files.h"
#include "core/base/result.h"
#include "server/queue/database.h"

namespace hearth::server {

inline constexpr int kMaxAttempts = 2;
inline constexpr int64_t kMaxHistory = 10'000;

/// A validated prompt on its way into the queue.
struct NewJob {
  std::string id;
  std::optional<double> number;  // absent: the counter's
  bool front = false;
  std::string client_id, workflow_id;
  int64_t created_ms = 0;
  comfy::ItemTexts item;
};

/// The next job to run, as stored.
struct StoredJob {
  comfy::JobFacts facts;
  std::string client_id, item;
  int attempt = 1;
};

class JobStore {
 public:
  /// Takes the file for this process; kBusy when another one has it. `now_ms` is when crashed jobs ended.
  JobStore(const std::filesystem::path& file, int64_t now_ms);

  /// Its number in the queue; kInvalidArgument when a job of that id waits or runs. One of that id that has ended is
  /// replaced.
  Result<double> accept(const NewJob& job);
  /// The waiting job with the smallest (number, id) begins to run; nothing when none waits.
  std::optional<StoredJob> begin_next(int64_t now_ms);
  /// A running job is about to write that file.
  void note_file(const std::string& id, const std::string& path);
  /// Running -> history, and the oldest entries beyond kMaxHistory go.
  void finish(const comfy::JobFacts& facts, const comfy::JobResults& results);
  /// Running -> waiting, as if it had not begun, and without its files: the server stops.
  void put_back(const std::string& id);

  /// How many were there.
  int64_t remove_waiting(const std::vector<std::string>& ids);
  int64_t clear_waiting();
  int64_t remove_history(const std::vector<std::string>& ids);
  int64_t clear_history();

  int64_t remaining();  // waiting and running

 private:
  void create_tables();
  void recover(int64_t now_ms);
  void remove_files(const std::string& id);
  int64_t remove(int64_t state, const std::vector<std::string>& ids);
  int64_t clear(int64_t state);

  FileLock lock_;
  Database database_;
};

}  // namespace hearth::server
