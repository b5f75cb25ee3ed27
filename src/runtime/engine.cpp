#include "runtime/engine.h"

#include <malloc.h>
#include <sys/stat.h>

#include <algorithm>
#include <deque>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/base/log.h"
#include "core/base/nearest.h"
#include "core/base/units.h"
#include "runtime/prepare.h"
#include "runtime/state/elastic_state.h"

namespace hearth {
namespace {

constexpr const char* kStopping = "the server is stopping";
// A mutex is not fair: who waits for one gets it when nobody comes back for it at once.
constexpr std::chrono::milliseconds kBetweenSlices{1};

// What a log line about a request's own work ends with.
std::string for_request(const std::string& id) { return id.empty() ? "" : " id=" + id; }

}  // namespace

// One configured model. `mutex` guards everything but `spec` and `facts`; the prepare thread loads, templates and
// tokenises, so a long load or a long prompt holds up requests for this model only.
struct Engine::Slot {
  ModelSpec spec;
  mutable std::once_flag described;      // guards `facts`
  mutable ModelFacts facts;              // of the files, before anything is loaded; empty when they cannot be read
  mutable std::mutex mutex;
  std::condition_variable arrived;
  std::deque<Job> jobs;
  std::unordered_set<std::string> cancelled_early;  // cancelled before the worker had them
  std::string advised_id;                           // the request whose refusal is being explained; empty: none
  std::stop_source advice{std::nostopstate};        // ends that
  std::shared_ptr<LoadedModel> model;
  std::unique_ptr<ModelWorker> worker;   // made after, destroyed before `model`
  int64_t leaving_bytes = 0;             // of a model that is unloaded but has not given everything back yet
  std::condition_variable left;
  int preparing = 0;
  double keep_alive_s = 0;               // of the spec, or as the last request wished; < 0: pinned
  double reload_s = 0;                   // what the last load took
  bool is_stopping = false;
  bool refuses_late = false;             // the grace of a shutdown is over
  std::thread thread;

  /// A loaded model on its way out: it ends outside the lock, as its worker may still be telling its last client, whose
  /// end may call the engine.
  struct Leaving {
    std::shared_ptr<LoadedModel> model;
    std::unique_ptr<ModelWorker> worker;  // ends first
  };
  Leaving take_out() { return {std::move(model), std::move(worker)}; }  // `mutex` held

  /// What the loaded model holds now; `mutex` held.
  int64_t held_bytes() const { return model->held_bytes() - (worker ? worker->away_bytes() : 0); }
};

Engine::Engine(EngineOptions options, governor::LeasedAllocator& memory)
    : options_(std::move(options)), memory_(memory),
      executor_(options_.device, options_.caps, options_.threads, options_.maps_files), own_evictor_(memory.budget()) {
  own_evictor_.add(*this);
  for (const ModelSpec& spec : options_.models) {
    slots_.push_back(std::make_unique<Slot>());
    slots_.back()->spec = spec;
    slots_.back()->keep_alive_s = spec.keep_alive_s;
  }
  for (auto& slot : slots_) slot->thread = std::thread([this, s = slot.get()] { prepare_loop(*s); });
  housekeeper_ = std::thread([this] { housekeeping(); });
}

Engine::~Engine() {
  shutdown(0);
  for (auto& slot : slots_) {
    {
      std::lock_guard lock(slot->mutex);
      slot->is_stopping = true;
    }
    slot->arrived.notify_all();
    slot->thread.join();
    Slot::Leaving leaving;              // ends after the lock
    std::lock_guard lock(slot->mutex);  // other models' workers look at this one until they end
    leaving = slot->take_out();
  }
}

Engine::Slot* Engine::find_slot(const std::string& name) const {
  const std::string& wanted = name.empty() ? options_.default_model : name;
  if (wanted.empty() && slots_.size() == 1) return slots_.front().get();
  for (const auto& slot : slots_) {
    if (slot->spec.answers_to(wanted)) return slot.get();
  }
  return nullptr;
}

std::string Engine::known_names() const {
  std::vector<std::string> names;
  for (const auto& slot : slots_) names.push_back(slot->spec.load.name);
  return names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "));
}

Error Engine::no_such_model(const std::string& name) const {
  const std::string there = slots_.empty() ? "no models; get one with `hearth pull` and restart" : known_names();
  if (!name.empty()) {
    return Error(Code::kNotFound, fmt::format("model '{}' does not exist; this server has: {}", name, there));
  }
  if (slots_.empty()) return Error(Code::kNotFound, fmt::format("this server has {}", there));
  if (options_.default_model.empty()) {
    return Error(Code::kInvalidArgument, fmt::format("the request names no model and llm.default_model is not set; "
                                                     "this server has: {}", known_names()));
  }
  return Error(Code::kNotFound, fmt::format("llm.default_model '{}' does not exist; this server has: {}",
                                            options_.default_model, known_names()));
}

// Requests of a model, in whatever stage.
int64_t Engine::load_of(const Slot& slot) const {
  std::lock_guard lock(slot.mutex);
  return static_cast<int64_t>(slot.jobs.size()) + slot.preparing + (slot.worker ? slot.worker->load() : 0);
}

bool Engine::must_wait(const Slot& slot) const { return load_of(slot) >= slot.spec.load.parallel; }

int64_t Engine::waiting_requests() const {
  int64_t waiting = 0;
  for (const auto& slot : slots_) waiting += std::max<int64_t>(load_of(*slot) - slot->spec.load.parallel, 0);
  return waiting;
}

void Engine::refuse(Job& job, const Error& error) {
  ++stats_.failed;
  memory_.budget().journal().refused(error);
  job.sink(Failed{error});
}

void Engine::submit(GenerateRequest request, GenerateSink sink) {
  ++stats_.requests;
  Job job{std::move(request), std::move(sink), steady_s()};
  Slot* slot = find_slot(job.request.model);
  if (!slot) return refuse(job, no_such_model(job.request.model));
  if (must_wait(*slot) && waiting_requests() >= options_.max_queue) {
    return refuse(job, Error(Code::kBusy, fmt::format("{} requests are waiting, the limit; try again later",
                                                      options_.max_queue)));
  }
  if (options_.admit) {
    if (Result<void> may = options_.admit(); !may) return refuse(job, may.error());
  }
  {
    std::lock_guard lock(slot->mutex);
    if (!slot->is_stopping) {
      slot->keep_alive_s = job.request.keep_alive_s.value_or(slot->spec.keep_alive_s);
      slot->jobs.push_back(std::move(job));
      slot->arrived.notify_one();
      return;
    }
  }
  refuse(job, Error(Code::kBusy, kStopping));
}

void Engine::cancel(const std::string& id) {
  for (auto& slot : slots_) {
    Job dropped;  // its sink goes after the lock: whatever that sets free may call the engine
    std::lock_guard lock(slot->mutex);
    auto waiting = std::find_if(slot->jobs.begin(), slot->jobs.end(),
                                [&](const Job& job) { return job.request.id == id; });
    if (waiting != slot->jobs.end()) {
      dropped = std::move(*waiting);
      slot->jobs.erase(waiting);
      ++stats_.cancelled;
      return;
    }
    if (slot->preparing > 0) slot->cancelled_early.insert(id);
    if (!id.empty() && slot->advised_id == id) slot->advice.request_stop();
    if (slot->worker) slot->worker->cancel(id);
  }
}

void Engine::prepare_loop(Slot& slot) {
  for (;;) {
    Job job;
    std::deque<Job> left;
    bool is_over = false;
    {
      std::unique_lock lock(slot.mutex);
      slot.arrived.wait(lock, [&] { return slot.is_stopping || !slot.jobs.empty(); });
      is_over = slot.is_stopping;
      if (is_over) {
        left.swap(slot.jobs);
      } else {
        job = std::move(slot.jobs.front());
        slot.jobs.pop_front();
        slot.preparing = 1;
      }
    }
    for (Job& refused : left) refuse(refused, Error(Code::kCancelled, kStopping));
    if (is_over) return;
    serve(slot, std::move(job));
    std::lock_guard lock(slot.mutex);
    slot.preparing = 0;
    slot.cancelled_early.clear();
  }
}

void Engine::serve(Slot& slot, Job job) {
  try {
    if (options_.admit) options_.admit().value();  // it may have waited while memory became short
    // The model is not held on to: once the books say that the request is over it may be unloaded.
    Result<PreparedRequest> prepared = prepare(slot, *ensure_loaded(slot, job.request.id), job);
    if (!prepared) return refuse_unless_cancelled(slot, job, prepared.error());
    std::lock_guard lock(slot.mutex);
    if (slot.cancelled_early.count(job.request.id)) {
      ++stats_.cancelled;
      return;
    }
    // A preload meanwhile may have put a fresh worker in the place of a broken one.
    check(slot.worker != nullptr, "a model with a request in preparation is not unloaded");
    if (slot.refuses_late) throw Error(Code::kCancelled, kStopping);
    slot.worker->submit(std::move(*prepared));
    slot.preparing = 0;  // under the same lock: nobody counts the request twice
  } catch (const Error& e) {
    refuse_unless_cancelled(slot, job, e);
  } catch (const std::exception& e) {
    refuse_unless_cancelled(slot, job, Error(Code::kInternal, e.what()));
  }
}

void Engine::refuse_unless_cancelled(Slot& slot, Job& job, const Error& error) {
  {
    std::lock_guard lock(slot.mutex);
    if (slot.cancelled_early.count(job.request.id)) {
      ++stats_.cancelled;
      return;
    }
    slot.preparing = 0;  // the request is out of the books when its client hears of it
  }
  refuse(job, error);
}

Result<PreparedRequest> Engine::prepare(const Slot& slot, LoadedModel& model, const Job& job) const {
  auto is_cancelled = [&] {
    std::lock_guard lock(slot.mutex);
    return slot.refuses_late || slot.cancelled_early.count(job.request.id) > 0;
  };
  Result<PreparedRequest> out = prepare_request(job.request, model, slot.spec.defaults, is_cancelled);
  if (!out) return out;
  out->submitted_s = job.submitted_s;
  out->sink = job.sink;
  return out;
}

std::shared_ptr<LoadedModel> Engine::ensure_loaded(Slot& slot, const std::string& request_id) try {
  {
    std::shared_ptr<LoadedModel> model;  // these go after the lock, as in unload_if_idle
    std::unique_ptr<ModelWorker> worker;
    std::lock_guard lock(slot.mutex);
    if (slot.worker && slot.worker->is_broken() && slot.worker->is_idle()) {
      log::warn("{}: reloading after a failure{}", slot.spec.load.name, for_request(request_id));
      worker = std::move(slot.worker);
      model = std::move(slot.model);
    }
    if (slot.model) return slot.model;
  }
  std::lock_guard one_at_a_time(load_mutex_);
  {
    std::lock_guard lock(slot.mutex);
    if (slot.model) return slot.model;
  }
  std::shared_ptr<LoadedModel> model = load(slot, request_id);
  std::lock_guard lock(slot.mutex);
  slot.model = model;
  slot.worker = std::make_unique<ModelWorker>(*model, stats_, worker_memory(slot, *model));
  return model;
} catch (const Error& e) {  // every lock is open again
  if (e.code() == Code::kNoMemory && options_.advise) throw advised(slot, e, request_id);
  throw;
}

Error Engine::advised(Slot& slot, const Error& refusal, const std::string& request_id) {
  std::stop_source ends;
  const std::stop_callback at_shutdown(loads_.get_token(), [&] { ends.request_stop(); });
  {
    std::lock_guard lock(slot.mutex);
    if (slot.cancelled_early.count(request_id)) return refusal;
    if (!request_id.empty()) {  // a preload may ask at the same time: nobody cancels that one alone
      slot.advised_id = request_id;
      slot.advice = ends;
    }
  }
  Error told = options_.advise(refusal, slot.spec.load, ends.get_token());
  if (request_id.empty()) return told;
  std::lock_guard lock(slot.mutex);
  slot.advised_id.clear();
  return told;
}

WorkerMemory Engine::worker_memory(const Slot& slot, LoadedModel& model) {
  if (!ElasticState::can_shrink(model.state(), memory_.device())) return {};
  return {.backing = std::make_unique<ElasticState>(memory_, model.state()),
          .make_room = [this, name = slot.spec.load.name](int64_t bytes) {
            return evictor_->make_room(bytes, name, name + " needs its pages again");
          },
          .refused = [this](const Error& refusal) { memory_.budget().journal().refused(refusal); }};
}

ModelMemory Engine::model_memory() const {
  if (!options_.host_memory) return memory_;
  return {memory_, *options_.host_memory, options_.is_one_pool};
}

std::shared_ptr<LoadedModel> Engine::load(Slot& slot, const std::string& request_id) try {
  if (loads_.stop_requested()) throw Error(Code::kCancelled, kStopping);
  const LoadOptions& options = slot.spec.load;
  log::info("loading {} from {}{}", options.name, options.path, for_request(request_id));
  const double start = steady_s();
  std::shared_ptr<LoadedModel> model = LoadedModel::load(
      options, executor_, model_memory(),
      [&](int64_t bytes) { return evictor_->make_room(bytes, options.name, options.name + " needs room"); },
      LoadReport(options.name), loads_.get_token());
  ::malloc_trim(0);  // what reading its metadata left behind
  {
    std::lock_guard lock(slot.mutex);
    slot.reload_s = steady_s() - start;
  }
  const ModelSizes& sizes = model->sizes();
  log::info("loaded {} in {}: weights {}, state {}, arena {}, context {}{}", options.name,
            format_duration(steady_s() - start), format_bytes(sizes.weights_bytes), format_bytes(sizes.state_bytes),
            format_bytes(sizes.arena_bytes), model->context(), for_request(request_id));
  return model;
} catch (const Error& e) {
  if (e.code() != Code::kCancelled) throw;
  log::info("loading {}: given up", slot.spec.load.name);
  throw Error(Code::kCancelled, kStopping);  // what a client is to hear
}

std::vector<governor::Resident> Engine::residents() const {
  std::vector<governor::Resident> out;
  for (const auto& slot : slots_) {
    std::lock_guard lock(slot->mutex);
    if (!slot->worker || !slot->model) continue;
    const Scheduler::Spare spare = slot->worker->spare();
    out.push_back({.name = slot->spec.load.name, .bytes = slot->held_bytes(),
                   .idle_s = steady_s() - slot->worker->last_used_s(), .reload_s = slot->reload_s,
                   .waiting = static_cast<int64_t>(slot->jobs.size()) + slot->preparing,
                   .is_busy = !slot->worker->is_idle(), .is_pinned = slot->keep_alive_s < 0,
                   .unused_bytes = spare.unused_bytes, .cached_bytes = spare.cached_bytes});
  }
  return out;
}

// A model whose last request ends can leave; one of several gives back its share of the state, of which those that wait
// have none.
Engine::Slot* Engine::largest_running(int64_t& bytes) const {
  Slot* largest = nullptr;
  bytes = 0;
  for (const auto& slot : slots_) {
    std::lock_guard lock(slot->mutex);
    const int64_t load = slot->worker ? slot->worker->load() : 0;
    if (load == 0) continue;
    const int64_t running = std::clamp<int64_t>(slot->worker->pages().running, 1, load);
    const int64_t state = slot->model->sizes().state_bytes - slot->worker->away_bytes();
    const int64_t held = load == 1 ? slot->held_bytes() : state / running;
    if (held <= bytes) continue;
    bytes = held;
    largest = slot.get();
  }
  return largest;
}

int64_t Engine::largest_request_bytes() const {
  int64_t bytes = 0;
  largest_running(bytes);
  return bytes;
}

bool Engine::abort_largest(const Error& why) {
  int64_t bytes = 0;
  Slot* slot = largest_running(bytes);
  if (!slot) return false;
  std::lock_guard lock(slot->mutex);
  return slot->worker && slot->worker->abort_largest(why);
}

bool Engine::unload_if_idle(Slot& slot) {
  int64_t bytes = 0;
  {
    Slot::Leaving leaving;  // ends after the lock
    std::lock_guard lock(slot.mutex);
    bool is_idle = slot.worker && slot.worker->is_idle() && slot.jobs.empty() && slot.preparing == 0;
    if (!is_idle) return false;
    bytes = slot.held_bytes();
    leaving = slot.take_out();
    slot.leaving_bytes += bytes;
  }
  ::malloc_trim(0);  // a vocabulary is hundreds of thousands of small pieces
  std::lock_guard lock(slot.mutex);
  slot.leaving_bytes -= bytes;
  slot.left.notify_all();
  log::info("unloaded {}", slot.spec.load.name);
  return true;
}

// True when there was a model on its way out; it has left now.
bool Engine::wait_for_leaving() {
  bool did_wait = false;
  for (auto& slot : slots_) {
    std::unique_lock lock(slot->mutex);
    did_wait |= slot->leaving_bytes > 0;
    slot->left.wait(lock, [&] { return slot->leaving_bytes == 0; });
  }
  return did_wait;
}

// In slices: requests for the model, and its steps, wait for one at most.
int64_t Engine::shrink(Slot& slot, int64_t bytes, bool with_cached) {
  int64_t given = 0;
  for (;;) {
    const int64_t wanted = std::min(bytes - given, Scheduler::kMostShrinkBytes);
    int64_t slice = 0;
    {
      std::lock_guard lock(slot.mutex);
      if (slot.worker) slice = slot.worker->shrink(wanted, with_cached);
    }
    given += slice;
    if (slice < wanted || given >= bytes) return given;
    std::this_thread::sleep_for(kBetweenSlices);
  }
}

int64_t Engine::shrink(int64_t bytes, bool with_cached, const std::string& but) {
  int64_t all = 0;
  for (const auto& slot : slots_) {
    if (slot->spec.load.name == but || all >= bytes) continue;
    const int64_t given = shrink(*slot, bytes - all, with_cached);
    if (given == 0) continue;
    all += given;
    const std::string who = "spare pages of " + slot->spec.load.name;
    log::info("{} left memory: {}", who, format_bytes(given));
    memory_.budget().journal().add(governor::Journal::Kind::kEviction, who, given,
                                   with_cached ? "unused ones, and beginnings kept for reuse" : "unused");
  }
  return all;
}

bool Engine::unload(const std::string& name) {
  Slot* slot = find_slot(name);
  return slot && unload_if_idle(*slot);
}

Result<void> Engine::preload(const std::string& name) {
  Slot* slot = find_slot(name);
  if (!slot) return unexpected(no_such_model(name));
  try {
    ensure_loaded(*slot, {});
    return {};
  } catch (const Error& e) {
    return unexpected(e);
  } catch (const std::exception& e) {
    return unexpected(Code::kInternal, e.what());
  }
}

void Engine::housekeeping() {
  for (const auto& slot : slots_) describe(*slot);
  std::unique_lock lock(stop_mutex_);
  while (!stop_signal_.wait_for(lock, std::chrono::seconds(1), [&] { return is_stopping_; })) {
    for (auto& slot : slots_) {
      double idle_s = 0;
      {
        std::lock_guard slot_lock(slot->mutex);
        if (!slot->worker || slot->keep_alive_s < 0) continue;
        idle_s = steady_s() - slot->worker->last_used_s() - slot->keep_alive_s;
      }
      if (idle_s <= 0) continue;
      const int64_t bytes = memory_.budget().leased_bytes();
      if (!unload_if_idle(*slot)) continue;
      memory_.budget().journal().add(governor::Journal::Kind::kEviction, slot->spec.load.name,
                                     std::max<int64_t>(bytes - memory_.budget().leased_bytes(), 0), "its time was up");
    }
  }
}

const ModelFacts& Engine::describe(const Slot& slot) const {
  std::call_once(slot.described, [&] {
    try {
      slot.facts = read_model_facts(slot.spec.load);
    } catch (const std::exception& e) {
      log::warn("model {} cannot be used as it is: {}", slot.spec.load.name, e.what());
    }
  });
  return slot.facts;
}

std::vector<ModelSummary> Engine::models() const {
  std::vector<ModelSummary> out;
  for (const auto& slot : slots_) {
    const ModelSpec& spec = slot->spec;
    ModelSummary summary{.name = spec.load.name, .aliases = spec.aliases, .path = spec.load.path, .architecture = {},
                         .context_tokens = 0};
    const ModelFacts& facts = describe(*slot);
    summary.architecture = facts.architecture;
    summary.context_tokens = facts.context;
    struct stat file {};
    if (::stat(spec.load.path.c_str(), &file) == 0) summary.created = file.st_mtime;
    std::lock_guard lock(slot->mutex);
    summary.resident_bytes = slot->leaving_bytes;
    summary.is_loaded = slot->leaving_bytes > 0;
    if (slot->model) {
      summary.is_loaded = true;
      summary.architecture = slot->model->architecture();
      summary.context_tokens = slot->model->context();
      summary.resident_bytes += slot->held_bytes();
    }
    out.push_back(std::move(summary));
  }
  return out;
}

EngineStats Engine::stats() const {
  EngineStats out;
  stats_.read(out);
  for (const auto& slot : slots_) {
    std::lock_guard lock(slot->mutex);
    out.waiting += static_cast<int64_t>(slot->jobs.size()) + slot->preparing;
    if (!slot->worker) continue;
    ModelWorker::Pages pages = slot->worker->pages();
    out.pages_total += pages.total;
    out.pages_used += pages.used;
    out.pages_cached += pages.cached;
    out.running += pages.running;
    out.waiting += pages.waiting;
  }
  governor::Budget& budget = memory_.budget();
  out.budget_bytes = budget.limit_bytes();
  out.leased_bytes = budget.leased_bytes();
  for (const governor::Holding& held : budget.holdings()) {
    out.leases.push_back({budget.pool(), held.holder, held.bytes});
  }
  return out;
}

void Engine::shutdown(double grace_s) {
  {
    std::lock_guard lock(stop_mutex_);
    if (std::exchange(is_stopping_, true)) return;
  }
  stop_signal_.notify_all();
  housekeeper_.join();
  for (auto& slot : slots_) {
    std::lock_guard lock(slot->mutex);
    slot->is_stopping = true;
    slot->arrived.notify_all();
  }
  const double end = steady_s() + grace_s;
  auto is_busy = [&] {
    return std::any_of(slots_.begin(), slots_.end(), [](const auto& slot) {
      std::lock_guard lock(slot->mutex);
      return slot->preparing > 0 || (slot->worker && !slot->worker->is_idle());
    });
  };
  while (steady_s() < end && is_busy()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  cancel_loads();
  for (auto& slot : slots_) {
    std::lock_guard lock(slot->mutex);
    slot->refuses_late = true;
    if (slot->worker) slot->worker->cancel_all();
  }
}

}  // namespace hearth
