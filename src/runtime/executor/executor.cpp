#include "runtime/executor/executor.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "core/device/cuda.h"

namespace hearth {
namespace {

double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// How far behind the others a lane may be: what it gets first when it comes back. A question is read at once, however
// long the chat was silent, and a lane whose steps come with short pauses loses nothing by them.
constexpr double kCreditS = 0.05;

}  // namespace

// What a Ctx calls between blocks. While a CUDA step is captured a cut closes one graph and opens the next; otherwise
// other work may run here.
class Executor::Cutter final : public CutPoint {
 public:
  Cutter(Executor& executor, const StepRequest& step) : executor_(executor), step_(step) {}

  void cut() override {
    if constexpr (cuda::kBuilt) {
      if (capture_into) {
        capture_into->push_back(cuda::Graph::end_capture(step_.lane.stream()));
        cuda::Graph::begin_capture(step_.lane.stream());
        return;
      }
    }
    executor_.at_cut(step_);
  }

  std::vector<cuda::Graph>* capture_into = nullptr;

 private:
  Executor& executor_;
  const StepRequest& step_;
};

// What the pool asks in the middle of an op.
class Executor::Interlude final : public ThreadPool::Interlude {
 public:
  explicit Interlude(Executor& executor) : executor_(executor), outer_(executor.pool_.set_interlude(this)) {}
  ~Interlude() override { executor_.pool_.set_interlude(outer_); }
  bool is_due() noexcept override { return executor_.is_urgent(); }
  void run() noexcept override { executor_.run_urgent(); }

 private:
  Executor& executor_;
  ThreadPool::Interlude* outer_;
};

// Marks what runs on the owner thread, and charges its lane when it ends.
class Executor::Progress {
 public:
  Progress(Executor& executor, const StepRequest* step)
      : executor_(executor),
        running_{
            .step = step, .outer = executor.running_, .served_s = executor.start_account(step), .start_s = now_s()} {
    executor_.running_ = &running_;
  }
  ~Progress() {
    if (running_.step) running_.step->lane.served_s = executor_.counted_now_s(running_);
    if (running_.outer) running_.outer->nested_s += now_s() - running_.start_s;
    executor_.running_ = running_.outer;
  }
  Progress(const Progress&) = delete;

 private:
  Executor& executor_;
  Running running_;
};

Executor::Executor(Device device, const Caps& caps, int threads, bool maps_files)
    : device_(device), caps_(caps), maps_files_(maps_files), pool_(threads) {
  owner_ = std::thread([this] { own_device(); });
}

Executor::~Executor() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  work_arrived_.notify_all();
  owner_.join();
}

Result<void> Executor::run(const StepRequest& request) {
  Waiting waiting{.step = &request};
  return submit_and_wait(waiting);
}

Result<void> Executor::run_on_pool(FunctionRef<void(ThreadPool&)> work) {
  Waiting waiting{.pool_work = &work};
  return submit_and_wait(waiting);
}

Result<void> Executor::submit_and_wait(Waiting& waiting) {
  std::unique_lock lock(mutex_);
  waiting.arrival = arrivals_++;
  waiting_.push_back(&waiting);
  arrived_.store(static_cast<int>(waiting_.size()), std::memory_order_relaxed);
  work_arrived_.notify_one();
  work_done_.wait(lock, [&] { return waiting.is_done; });
  if (waiting.error) return unexpected(*waiting.error);
  return {};
}

void Executor::own_device() {
  for (;;) {
    Waiting* next = nullptr;
    {
      std::unique_lock lock(mutex_);
      work_arrived_.wait(lock, [&] { return stop_ || !waiting_.empty(); });
      if (stop_) return;
      next = take_next();
    }
    run_waiting(*next);
  }
}

bool Executor::is_active(const Lane& lane) const {
  for (const Running* r = running_; r; r = r->outer) {
    if (r->step && &r->step->lane == &lane) return true;
  }
  return false;
}

double Executor::counted_now_s(const Running& running) const {
  return running.served_s + counted_s(running.work_class(), now_s() - running.start_s - running.nested_s);
}

// Idle time earns little: a lane that comes back shares about evenly from now on. Pool work has no past.
double Executor::start_account(const StepRequest* step) {
  const double at_s = running_ ? counted_now_s(*running_) : virtual_s_;
  const double served_s = step ? std::max(step->lane.served_s, at_s - kCreditS) : at_s;
  virtual_s_ = std::max(virtual_s_, served_s);
  return served_s;
}

// The planned step among those that may run now: in a lane of its own, and inside another only one of a higher class
// that the other's lane is not behind of.
std::optional<std::list<Executor::Waiting*>::iterator> Executor::plan_next() {
  views_.clear();
  places_.clear();
  double now_at_s = virtual_s_;
  if (running_) {
    now_at_s = counted_now_s(*running_);
    views_.push_back({.work_class = running_->work_class(), .lane_served_s = now_at_s});
    places_.push_back(waiting_.end());
  }
  for (auto place = waiting_.begin(); place != waiting_.end(); ++place) {
    const Waiting& w = **place;
    WaitingStep view{.work_class = WorkClass::kBackground, .lane_served_s = now_at_s, .arrival = w.arrival};
    if (w.step) {
      view = {.work_class = w.step->work_class, .lane_served_s = std::max(w.step->lane.served_s, now_at_s - kCreditS),
              .deadline_s = w.step->deadline_s, .arrival = w.arrival};
    }
    const bool may_run = !running_ || (w.step && view.work_class < running_->work_class() && !is_active(w.step->lane));
    if (!may_run) continue;
    views_.push_back(view);
    places_.push_back(place);
  }
  const std::optional<size_t> chosen = plan_slice(views_);
  if (!chosen || places_[*chosen] == waiting_.end()) return std::nullopt;
  return places_[*chosen];
}

Executor::Waiting* Executor::take_next() {
  const auto place = plan_next();
  if (!place) return nullptr;
  Waiting* next = **place;
  waiting_.erase(*place);
  arrived_.store(static_cast<int>(waiting_.size()), std::memory_order_relaxed);
  return next;
}

bool Executor::is_urgent() {
  if (arrived_.load(std::memory_order_relaxed) == 0) return false;
  std::lock_guard lock(mutex_);
  return plan_next().has_value();
}

void Executor::run_urgent() {
  for (;;) {
    Waiting* urgent = nullptr;
    {
      std::lock_guard lock(mutex_);
      if (waiting_.empty()) return;
      urgent = take_next();
    }
    if (!urgent) return;
    steps_at_cuts_.fetch_add(1, std::memory_order_relaxed);
    run_waiting(*urgent);
  }
}

void Executor::run_waiting(Waiting& waiting) {
  try {
    if (waiting.step) {
      run_step(*waiting.step);
    } else {
      run_pool_work(*waiting.pool_work);
    }
  } catch (const Error& e) {
    waiting.error = e;
  } catch (const std::exception& e) {
    waiting.error = Error(Code::kInternal, e.what());
  }
  finish(waiting);
}

void Executor::finish(Waiting& waiting) {
  // Notified under the lock: the waiter may destroy `waiting` as soon as it sees is_done.
  std::lock_guard lock(mutex_);
  waiting.is_done = true;
  work_done_.notify_all();
}

void Executor::run_step(const StepRequest& step) {
  check(step.lane.arena().is_empty(), "a lane's arena is empty when a step begins");
  if (step.is_cancelled()) throw Error(Code::kCancelled, "cancelled before the step began");
  Progress progress(*this, &step);
  Interlude interlude(*this);
  {
    ThreadPool::Hold hold(pool_);
    Cutter cutter(*this, step);
    Ctx c{.device = device_, .caps = caps_, .arena = step.lane.arena(), .pool = &pool_, .stream = step.lane.stream(),
          .observer = step.observer, .cut_point = &cutter};
    if (device_.kind == DeviceKind::kCuda) {
      run_captured(step, c);
    } else {
      step.body(c);
    }
  }
  steps_run_.fetch_add(1, std::memory_order_relaxed);
  check(step.lane.arena().is_empty(), "a lane's arena is empty when a step ends");
}

void Executor::run_pool_work(FunctionRef<void(ThreadPool&)> work) {
  Progress progress(*this, nullptr);
  std::optional<Interlude> interlude;
  if (device_.kind == DeviceKind::kCpu) interlude.emplace(*this);  // on CUDA it fills the device's memory
  work(pool_);
}

// One graph per slice. A capture that fails leaves the stream usable.
std::vector<cuda::Graph> Executor::capture(const StepRequest& step, Ctx& c) {
  std::vector<cuda::Graph> slices;
  if constexpr (cuda::kBuilt) {
    auto& cutter = static_cast<Cutter&>(*c.cut_point);
    cutter.capture_into = &slices;
    cuda::Graph::begin_capture(step.lane.stream());
    try {
      step.body(c);
      slices.push_back(cuda::Graph::end_capture(step.lane.stream()));
    } catch (...) {
      cuda::Graph::abandon_capture(step.lane.stream());
      throw;
    }
    cutter.capture_into = nullptr;
  }
  return slices;
}

// First run of a key eager, second captured and launched, later ones replayed slice by slice.
void Executor::run_captured(const StepRequest& step, Ctx& c) {
  if constexpr (cuda::kBuilt) {
    auto* stream = step.lane.stream();
    StepGraphs& graphs = step.lane.graphs();
    const bool may_capture = step.graph_key && graphs.is_enabled() && !step.observer;
    StepGraphs::Entry* entry = may_capture ? &graphs.entry(*step.graph_key) : nullptr;
    if (!entry || entry->eager_runs == 0) {
      step.body(c);
      cuda::synchronize(device_.index, stream);
      if (entry) ++entry->eager_runs;
      return;
    }
    const bool is_new = entry->slices.empty();
    const int64_t free_before = is_new ? cuda::memory_info(device_.index).free_bytes : 0;
    if (is_new) entry->slices = capture(step, c);
    graphs.count_replay();
    for (size_t i = 0; i < entry->slices.size(); ++i) {
      if (i > 0) at_cut(step);
      entry->slices[i].launch(stream);
    }
    cuda::synchronize(device_.index, stream);
    if (is_new) {
      // The driver takes memory for a graph when it is first launched.
      const int64_t taken = free_before - cuda::memory_info(device_.index).free_bytes;
      graphs.add_driver_bytes(*entry, std::max<int64_t>(taken, 0));
    }
  }
}

void Executor::at_cut(const StepRequest& step) {
  if (step.is_cancelled()) throw Error(Code::kCancelled, "cancelled at a cut");
  if (arrived_.load(std::memory_order_relaxed) > 0) run_urgent();
}

}  // namespace hearth
