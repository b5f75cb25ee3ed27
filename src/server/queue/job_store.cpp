#include "server/queue/job_store.h"

#include <utility>

#include <fmt/format.h>

#include "core/base/log.h"
#include "formats/json/json.h"
#include "server/queue/states.h"

namespace hearth::server {
namespace {

constexpr int64_t kVersion = 2;

constexpr const char* kTables = R"sql(
CREATE TABLE jobs (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  state INTEGER NOT NULL,
  status TEXT NOT NULL,               -- the jobs API's word for it
  number REAL NOT NULL,
  counter INTEGER,                    -- set when the number came from the counter
  attempts INTEGER NOT NULL DEFAULT 0,
  created INTEGER NOT NULL,           -- ms since 1970, as all times
  started INTEGER,
  ended INTEGER,
  ended_seq INTEGER,                  -- the order of the history
  client_id TEXT NOT NULL,
  workflow_id TEXT NOT NULL,
  item TEXT NOT NULL,                 -- JSON: the queue item
  rest TEXT,                          -- JSON: the history entry without its prompt
  summary TEXT                        -- JSON: the ended job of the jobs API
);
CREATE INDEX jobs_by_place ON jobs(state, number, id);
CREATE INDEX jobs_by_end ON jobs(ended_seq) WHERE ended_seq IS NOT NULL;
CREATE INDEX jobs_by_creation ON jobs(created);
)sql";

// Since version 2: what running jobs have written or were about to write.
constexpr const char* kFilesTable = R"sql(
CREATE TABLE files (
  id TEXT NOT NULL,
  path TEXT NOT NULL
);
)sql";

FileLock take_lock(const std::filesystem::path& file) {
  make_folders(file.parent_path()).value();
  return std::move(FileLock::take(file.string() + ".lock", "the queue " + file.string()).value());
}

}  // namespace

JobStore::JobStore(const std::filesystem::path& file, int64_t now_ms)
    : lock_(take_lock(file)), database_(file, Database::Mode::kWrite) {
  create_tables();
  recover(now_ms);
}

void JobStore::create_tables() {
  Statement version = database_.prepare("PRAGMA user_version");
  version.step();
  const int64_t found = version.integer(0);
  version.reset();
  if (found > kVersion) {
    throw Error(Code::kUnsupported, fmt::format("the queue's database is of version {}, this program knows {}: use a "
                                                "newer program or another folder", found, kVersion));
  }
  if (found == kVersion) return;
  Transaction transaction(database_);
  if (found < 1) database_.execute(kTables);
  database_.execute(kFilesTable);
  database_.execute(fmt::format("PRAGMA user_version={}", kVersion));
  transaction.commit();
}

void JobStore::recover(int64_t now_ms) {
  std::vector<std::pair<comfy::JobFacts, int>> crashed;
  Statement running = database_.prepare(
      "SELECT id, number, created, started, workflow_id, attempts FROM jobs WHERE state = ?");
  running.bind(1, kRuns);
  while (running.step()) {
    comfy::JobFacts facts{std::string(running.text(0)), running.number(1), running.integer(2), running.maybe_integer(3),
                          now_ms, std::string(running.text(4))};
    crashed.emplace_back(std::move(facts), static_cast<int>(running.integer(5)));
  }
  running.reset();
  for (const auto& [facts, attempts] : crashed) {
    remove_files(facts.id);
    if (attempts < kMaxAttempts) {
      log::warn("job {} was cut off by a crash: it runs again", facts.id);
      database_.prepare("UPDATE jobs SET state = ?, status = 'pending', started = NULL WHERE id = ?")
          .bind(1, kWaits).bind(2, std::string_view(facts.id)).run();
      continue;
    }
    log::error("job {} was cut off by a crash {} times: it is not run again", facts.id, attempts);
    comfy::JobResults results;
    results.messages.push(Value(Value::List{"execution_error", comfy::crash_error(facts.id, attempts, now_ms)}));
    finish(facts, results);
  }
}

// The temporary name is that of write_text().
void JobStore::remove_files(const std::string& id) {
  Statement files = database_.prepare("SELECT path FROM files WHERE id = ?");
  files.bind(1, std::string_view(id));
  while (files.step()) {
    for (const char* suffix : {"", ".new"}) {
      std::error_code problem;
      std::filesystem::remove(std::string(files.text(0)) + suffix, problem);
      if (problem) log::warn("cannot remove {}{}: {}", files.text(0), suffix, problem.message());
    }
  }
  files.reset();
  database_.prepare("DELETE FROM files WHERE id = ?").bind(1, std::string_view(id)).run();
}

void JobStore::note_file(const std::string& id, const std::string& path) {
  database_.prepare("INSERT INTO files (id, path) VALUES (?, ?)")
      .bind(1, std::string_view(id)).bind(2, std::string_view(path)).run();
}

Result<double> JobStore::accept(const NewJob& job) {
  Transaction transaction(database_);
  Statement same = database_.prepare("SELECT state FROM jobs WHERE id = ?");
  if (same.bind(1, std::string_view(job.id)).step() && same.integer(0) != kEnded) {
    return unexpected(Code::kInvalidArgument, fmt::format("prompt_id {} is in the queue already", job.id));
  }
  same.reset();
  database_.prepare("DELETE FROM jobs WHERE id = ?").bind(1, std::string_view(job.id)).run();
  int64_t counter = 0;
  if (!job.number) {
    Statement last = database_.prepare("SELECT max(counter) FROM jobs");
    if (last.step() && !last.is_null(0)) counter = last.integer(0) + 1;
  }
  const double number = job.number.value_or(static_cast<double>(job.front ? -counter : counter));
  Statement insert = database_.prepare(
      "INSERT INTO jobs (id, state, status, number, counter, created, client_id, workflow_id, item)"
      " VALUES (?, ?, 'pending', ?, ?, ?, ?, ?, ?)");
  insert.bind(1, std::string_view(job.id)).bind(2, kWaits).bind(3, number).bind(5, job.created_ms);
  job.number ? insert.bind_null(4) : insert.bind(4, counter);
  insert.bind(6, std::string_view(job.client_id)).bind(7, std::string_view(job.workflow_id));
  insert.bind(8, std::string_view(comfy::queue_item(number, job.id, job.item))).run();
  transaction.commit();
  return number;
}

std::optional<StoredJob> JobStore::begin_next(int64_t now_ms) {
  Transaction transaction(database_);
  Statement next = database_.prepare(
      "SELECT id, number, created, workflow_id, client_id, item, attempts FROM jobs WHERE state = ?"
      " ORDER BY number, id LIMIT 1");
  if (!next.bind(1, kWaits).step()) return std::nullopt;
  StoredJob job;
  job.facts = {std::string(next.text(0)), next.number(1), next.integer(2), now_ms, std::nullopt,
               std::string(next.text(3))};
  job.client_id = next.text(4);
  job.item = next.text(5);
  job.attempt = static_cast<int>(next.integer(6)) + 1;
  next.reset();
  database_.prepare("UPDATE jobs SET state = ?, status = 'in_progress', started = ?, attempts = ? WHERE id = ?")
      .bind(1, kRuns).bind(2, now_ms).bind(3, int64_t{job.attempt}).bind(4, std::string_view(job.facts.id)).run();
  transaction.commit();
  return job;
}

void JobStore::finish(const comfy::JobFacts& facts, const comfy::JobResults& results) {
  const std::string rest = json::write(comfy::history_rest(results));
  const std::string summary = json::write(comfy::ended_job(facts, results));
  Transaction transaction(database_);
  database_
      .prepare("UPDATE jobs SET state = ?, status = ?, ended = ?, rest = ?, summary = ?,"
               " ended_seq = 1 + ifnull((SELECT max(ended_seq) FROM jobs), 0) WHERE id = ?")
      .bind(1, kEnded).bind(2, comfy::status_name(results.end)).bind(3, facts.ended_ms.value_or(0))
      .bind(4, std::string_view(rest)).bind(5, std::string_view(summary)).bind(6, std::string_view(facts.id)).run();
  database_.prepare("DELETE FROM files WHERE id = ?").bind(1, std::string_view(facts.id)).run();
  database_
      .prepare("DELETE FROM jobs WHERE ended_seq IS NOT NULL AND ended_seq <= (SELECT ended_seq FROM jobs"
               " WHERE ended_seq IS NOT NULL ORDER BY ended_seq DESC LIMIT 1 OFFSET ?)")
      .bind(1, kMaxHistory).run();
  transaction.commit();
}

void JobStore::put_back(const std::string& id) {
  remove_files(id);
  database_
      .prepare("UPDATE jobs SET state = ?, status = 'pending', started = NULL, attempts = attempts - 1 WHERE id = ?")
      .bind(1, kWaits).bind(2, std::string_view(id)).run();
}

int64_t JobStore::remove(int64_t state, const std::vector<std::string>& ids) {
  Transaction transaction(database_);
  Statement one = database_.prepare("DELETE FROM jobs WHERE state = ? AND id = ?");
  int64_t removed = 0;
  for (const std::string& id : ids) {
    removed += one.reset().bind(1, state).bind(2, std::string_view(id)).run();
  }
  transaction.commit();
  return removed;
}

int64_t JobStore::remove_waiting(const std::vector<std::string>& ids) { return remove(kWaits, ids); }
int64_t JobStore::remove_history(const std::vector<std::string>& ids) { return remove(kEnded, ids); }

int64_t JobStore::clear(int64_t state) {
  return database_.prepare("DELETE FROM jobs WHERE state = ?").bind(1, state).run();
}
int64_t JobStore::clear_waiting() { return clear(kWaits); }
int64_t JobStore::clear_history() { return clear(kEnded); }

int64_t JobStore::remaining() {
  Statement count = database_.prepare("SELECT count(*) FROM jobs WHERE state < ?");
  count.bind(1, kEnded).step();
  return count.integer(0);
}

}  // namespace hearth::server
