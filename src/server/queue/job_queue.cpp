#include "server/queue/job_queue.h"

#include <chrono>
#include <future>
#include <utility>

#include "core/base/log.h"
#include "formats/json/json.h"
#include "server/clock.h"

namespace hearth::server {
namespace {

constexpr auto kRetryAfter = std::chrono::seconds(2);  // when the database fails under the worker

Value failure_of(const RunningJob& job, std::string_view type, const std::string& message) {
  return Value::object({{"prompt_id", job.id},
                        {"node_id", ""},
                        {"node_type", ""},
                        {"executed", Value::list()},
                        {"exception_message", message + "\n"},
                        {"exception_type", type},
                        {"traceback", Value::list()},
                        {"current_inputs", Value::object()},
                        {"current_outputs", Value::list()},
                        {"timestamp", unix_ms()}});
}

template <class T>
Result<T> attempt(const std::function<T()>& work) {
  try {
    return work();
  } catch (const Error& error) {
    const bool is_refusal = error.code() == Code::kInvalidArgument;
    log::write(is_refusal ? log::Level::kDebug : log::Level::kError, "queue: " + error.message());
    return unexpected(error);
  } catch (const std::exception& error) {
    log::error("queue: {}", error.what());
    return unexpected(Code::kInternal, error.what());
  }
}

Unexpected too_busy() { return unexpected(Code::kBusy, "the queue's disk does not keep up: try again later"); }

}  // namespace

JobQueue::JobQueue(const std::filesystem::path& file, JobRunner& runner, JobListener& listener)
    : runner_(runner), listener_(listener), store_(file, unix_ms()), views_(file) {
  remaining_ = store_.remaining();
}

JobQueue::~JobQueue() { stop(); }

void JobQueue::start() {
  worker_ = std::thread([this] { work(); });
}

void JobQueue::stop() {
  {
    std::lock_guard lock(mutex_);
    is_stopping_ = true;
    stop_job_ = true;
  }
  changed_.notify_all();
  if (worker_.joinable()) worker_.join();
}

// ---- What callers ask for ----

template <class T>
void JobQueue::write(std::function<T(JobStore&)> work, Done<T> done) {
  auto shared = std::make_shared<Done<T>>(std::move(done));
  const bool is_taken = writer_.post([this, work = std::move(work), shared] {
    Result<T> result = attempt<T>([&] {
      T value = work(store_);
      count();
      return value;
    });
    (*shared)(std::move(result));
  });
  if (!is_taken) (*shared)(too_busy());
}

// On the writing thread, inside the work, so that the number is that of this very change.
void JobQueue::count() {
  const int64_t now = store_.remaining();
  if (remaining_.exchange(now) != now) listener_.queue_changed(now);
}

void JobQueue::accept(NewJob job, Value secrets, Done<double> done) {
  const std::string id = job.id;
  if (secrets.size() > 0) {
    std::lock_guard lock(mutex_);
    secrets_[id] = std::move(secrets);
  }
  auto work = [job = std::move(job)](JobStore& store) { return std::move(store.accept(job).value()); };
  write<double>(std::move(work), [this, id, done = std::move(done)](Result<double> number) {
    if (number) {
      std::lock_guard lock(mutex_);
      may_have_work_ = true;
    } else {
      forget_secrets({id}, false);
    }
    changed_.notify_all();
    done(std::move(number));
  });
}

void JobQueue::forget_secrets(const std::vector<std::string>& ids, bool all) {
  std::lock_guard lock(mutex_);
  if (all) secrets_.clear();
  for (const std::string& id : ids) secrets_.erase(id);
}

void JobQueue::remove_waiting(std::vector<std::string> ids, bool all, Done<int64_t> done) {
  forget_secrets(ids, all);
  auto work = [ids = std::move(ids), all](JobStore& store) {
    return all ? store.clear_waiting() : store.remove_waiting(ids);
  };
  write<int64_t>(std::move(work), std::move(done));
}

void JobQueue::remove_history(std::vector<std::string> ids, bool all, Done<int64_t> done) {
  auto work = [ids = std::move(ids), all](JobStore& store) {
    return all ? store.clear_history() : store.remove_history(ids);
  };
  write<int64_t>(std::move(work), std::move(done));
}

bool JobQueue::interrupt(const std::string& id) {
  std::lock_guard lock(mutex_);
  if (running_id_.empty() || (!id.empty() && id != running_id_)) return false;
  was_interrupted_ = true;
  stop_job_ = true;
  return true;
}

void JobQueue::cancel(std::vector<std::string> ids, Done<bool> done) {
  forget_secrets(ids, false);
  // On the writing thread: a job that begins meanwhile is found either waiting or running.
  auto work = [this, ids = std::move(ids)](JobStore& store) {
    bool found = store.remove_waiting(ids) > 0;
    for (const std::string& id : ids) found = interrupt(id) || found;
    return found;
  };
  write<bool>(std::move(work), std::move(done));
}

void JobQueue::release(bool models, bool cache) {
  {
    std::lock_guard lock(mutex_);
    release_models_ = release_models_ || models;
    release_cache_ = release_cache_ || cache;
  }
  changed_.notify_all();
}

void JobQueue::view(std::function<std::string(JobViews&)> read, Done<std::string> done) {
  auto shared = std::make_shared<Done<std::string>>(std::move(done));
  const bool is_taken = reader_.post([this, read = std::move(read), shared] {
    (*shared)(attempt<std::string>([&] { return read(views_); }));
  });
  if (!is_taken) (*shared)(too_busy());
}

// ---- The worker ----

template <class T>
T JobQueue::write_now(std::function<T(JobStore&)> work) {
  std::promise<Result<T>> promise;
  auto future = promise.get_future();
  write<T>(std::move(work), [&promise](Result<T> result) { promise.set_value(std::move(result)); });
  return std::move(future.get().value());
}

void JobQueue::work() {
  while (wait_for_work()) {
    release_if_asked();
    try {
      if (auto job = begin_next()) run_one(*job);
    } catch (const std::exception&) {
      // Logged where it happened. The disk may be full or slow: what waits is tried again.
      std::unique_lock lock(mutex_);
      may_have_work_ = true;
      changed_.wait_for(lock, kRetryAfter, [&] { return is_stopping_; });
    }
  }
}

bool JobQueue::wait_for_work() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return is_stopping_ || may_have_work_ || release_models_ || release_cache_; });
  return !is_stopping_;
}

void JobQueue::release_if_asked() {
  std::unique_lock lock(mutex_);
  const bool models = std::exchange(release_models_, false), cache = std::exchange(release_cache_, false);
  lock.unlock();
  if (models || cache) runner_.release(models || cache, cache);
}

std::optional<StoredJob> JobQueue::begin_next() {
  {
    std::lock_guard lock(mutex_);
    may_have_work_ = false;
  }
  return write_now<std::optional<StoredJob>>([this](JobStore& store) {
    auto job = store.begin_next(unix_ms());
    std::lock_guard lock(mutex_);
    running_id_ = job ? job->facts.id : "";
    was_interrupted_ = false;
    stop_job_ = is_stopping_;
    may_have_work_ = may_have_work_ || job;
    return job;
  });
}

RunningJob JobQueue::unpack(const StoredJob& stored) {
  Value item = json::parse(stored.item).value();
  Value::List& parts = item.as_list();
  RunningJob job;
  job.id = stored.facts.id;
  job.number = stored.facts.number;
  job.client_id = stored.client_id;
  job.attempt = stored.attempt;
  job.prompt = std::move(parts.at(2));
  job.extra_data = std::move(parts.at(3));
  for (const Value& node : parts.at(4).as_list()) job.outputs.push_back(node.as_string());
  std::lock_guard lock(mutex_);
  auto secrets = secrets_.extract(job.id);
  if (secrets) job.secrets = std::move(secrets.mapped());
  return job;
}

void JobQueue::run_one(const StoredJob& stored) {
  const RunningJob job = unpack(stored);
  // Running and waiting jobs together did not change, but clients refresh their lists on this.
  listener_.queue_changed(remaining_);
  const comfy::JobResults results = run_safely(job);

  comfy::JobFacts facts = stored.facts;
  facts.ended_ms = unix_ms();
  finish(facts, results);
  listener_.job_ended(job);
}

// What a job made must not be lost to a disk that is full for a moment; when the server stops first, it runs again.
void JobQueue::finish(const comfy::JobFacts& facts, const comfy::JobResults& results) {
  while (true) {
    try {
      write_now<bool>([&](JobStore& store) {
        std::unique_lock lock(mutex_);
        const bool goes_on_later = is_stopping_ && !was_interrupted_ && results.end == comfy::JobEnd::kCancelled;
        running_id_.clear();
        lock.unlock();
        goes_on_later ? store.put_back(facts.id) : store.finish(facts, results);
        return true;
      });
      return;
    } catch (const std::exception&) {
      std::unique_lock lock(mutex_);
      if (changed_.wait_for(lock, kRetryAfter, [&] { return is_stopping_; })) return;
    }
  }
}

// What a job tells goes to its listener, what it writes is noted first.
class JobQueue::Watched final : public workflow::JobEvents {
 public:
  Watched(JobQueue& queue, const RunningJob& job)
      : queue_(queue), job_(job), events_(queue.listener_.job_begins(job)) {}
  void send(std::string_view type, const Value& data) override { events_.send(type, data); }
  void send_step(const workflow::Step& step) override { events_.send_step(step); }
  void send_text(std::string_view node_id, std::string_view text) override { events_.send_text(node_id, text); }
  void will_write(const std::string& path) override {
    queue_.write_now<bool>([&](JobStore& store) {
      store.note_file(job_.id, path);
      return true;
    });
  }

 private:
  JobQueue& queue_;
  const RunningJob& job_;
  workflow::JobEvents& events_;
};

comfy::JobResults JobQueue::run_safely(const RunningJob& job) {
  Watched events(*this, job);
  try {
    return runner_.run(job, events, stop_job_);
  } catch (const std::exception& error) {
    log::error("job {} failed: {}", job.id, error.what());
    const auto* known = dynamic_cast<const Error*>(&error);
    comfy::JobResults results;
    const std::string type = "hearth." + std::string(known ? wire_name(known->code()) : "internal");
    Value data = failure_of(job, type, error.what());
    events.send("execution_error", data);
    results.messages.push(Value(Value::List{"execution_error", std::move(data)}));
    return results;
  }
}

}  // namespace hearth::server
