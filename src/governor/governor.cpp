#include "governor/governor.h"

#include <unistd.h>

#include <utility>

#include <fmt/format.h>

#include "core/base/log.h"
#include "core/base/units.h"

namespace hearth::governor {
namespace {

constexpr int64_t kSmall = 16 * MiB;  // from here on an allocation is a step of its own
constexpr int kExitOfPanic = 86;

int64_t pool_of(const machine::HostMemory& memory) {
  const int64_t total = memory.total_bytes.value_or(0);
  return std::min(total, memory.cgroup_limit_bytes.value_or(total));
}

int64_t reserve_of(const machine::HostMemory& memory, const HostLimits& limits) {
  return std::max<int64_t>(pool_of(memory) - host_budget_bytes(memory, {.reserve_bytes = limits.reserve_bytes}), 0);
}

}  // namespace

Governor::Governor(GovernorOptions options)
    : options_(std::move(options)), pool_(pool_of(machine::read_host_memory(options_.root))),
      reserve_(reserve_of(machine::read_host_memory(options_.root), options_.limits)),
      floors_(options_.floors.value_or(floors_for(pool_))), guard_(floors_),
      actor_([this](const std::stop_token& stop) { act(stop); }),
      gauge_(std::make_unique<Gauge>(options_.root, options_.has_integrated_gpu,
                                     [this](const Reading& reading) { hear(reading); }, options_.interval)) {}

Governor::~Governor() {
  gauge_.reset();
  actor_.request_stop();
  actor_.join();
}

void Governor::set_relief(Relief* relief) {
  std::lock_guard lock(relief_mutex_);
  relief_ = relief;
}

void Governor::set_promised(std::function<int64_t()> promised) {
  std::lock_guard lock(promised_mutex_);
  promised_ = std::move(promised);
}

Decision Governor::decision() const {
  std::lock_guard lock(mutex_);
  return decision_;
}

int64_t Governor::limit_bytes() const {
  return host_budget_bytes(machine::read_host_memory(options_.root), options_.limits);
}

// Looking thread. Waits for nobody.
void Governor::hear(const Reading& reading) {
  if (!reading.is_known) return;  // no descriptor left to read it with, say
  const Decision decision = guard_.decide(reading);
  if (decision.end_process) {
    log::error("memory: {} available, below the last floor of {}: the process ends so that the host lives on",
               format_bytes(reading.room_bytes), format_bytes(floors_.panic_bytes));
    options_.end_process ? options_.end_process() : ::_exit(kExitOfPanic);
  }
  Level before;
  {
    std::lock_guard lock(mutex_);
    before = std::exchange(decision_, decision).level;
    must_shrink_ |= decision.shrink_caches;
    must_abort_ |= decision.abort_largest;
    if (decision.shrink_caches || decision.abort_largest) wakeup_.notify_one();
    if (decision.may_admit) calm_.notify_all();
  }
  if (before == decision.level) return;
  const std::string numbers = fmt::format("{} available; floors {}, {} and {}", format_bytes(reading.room_bytes),
                                          format_bytes(floors_.soft_bytes), format_bytes(floors_.hard_bytes),
                                          format_bytes(floors_.panic_bytes));
  log::warn("memory: {} after {}: {}", name_of(decision.level), name_of(before), numbers);
  journal_.add(Journal::Kind::kLevel, name_of(decision.level), reading.room_bytes, numbers);
}

void Governor::act(const std::stop_token& stop) {
  for (;;) {
    bool must_abort = false;
    {
      std::unique_lock lock(mutex_);
      if (!wakeup_.wait(lock, stop, [&] { return must_shrink_ || must_abort_; })) return;
      must_shrink_ = false;
      must_abort = std::exchange(must_abort_, false);
    }
    std::lock_guard lock(relief_mutex_);
    if (!relief_) continue;
    try {
      relief_->shrink();
      if (must_abort) relief_->abort_largest(shortage("the request that held most was ended"));
    } catch (const std::exception& e) {
      log::error("memory: giving back failed: {}", e.what());
    }
  }
}

Error Governor::shortage(const char* what) const {
  const Reading now = gauge_->latest();
  const Level level = decision().level;
  const int64_t floor = level >= Level::kHard ? floors_.hard_bytes : floors_.soft_bytes;
  Value details = Value::object({{"reason", "memory_short"},
                                 {"level", name_of(level)},
                                 {"available_bytes", now.room_bytes},
                                 {"floor_bytes", floor},
                                 {"stall_percent", now.stall_percent < 0 ? Value() : Value(now.stall_percent)}});
  return Error(Code::kNoMemory,
               fmt::format("memory is short: {} available on this machine, its {} floor is {}; {}",
                           format_bytes(now.room_bytes), level >= Level::kHard ? "hard" : "soft", format_bytes(floor),
                           what))
      .with(std::make_shared<const Value>(std::move(details)));
}

Result<void> Governor::admit() const {
  if (decision().may_admit) return {};
  return Unexpected(shortage("try again in a few seconds, or close other programs"));
}

bool Governor::wait_for_calm(const std::function<bool()>& gives_up, std::chrono::milliseconds limit) const {
  const auto end = std::chrono::steady_clock::now() + limit;
  std::unique_lock lock(mutex_);
  while (!decision_.may_admit) {
    if (gives_up() || std::chrono::steady_clock::now() >= end) return false;
    calm_.wait_for(lock, Gauge::kInterval);
  }
  return true;
}

Result<void> Governor::may_take(int64_t bytes) const {
  const bool is_large = bytes >= kSmall;
  Reading reading = is_large ? gauge_->look() : gauge_->latest();
  Floors floors = floors_;
  if (!is_large) floors.soft_bytes = floors.hard_bytes;
  {
    std::lock_guard lock(promised_mutex_);
    if (promised_) reading.room_bytes = std::max<int64_t>(reading.room_bytes - promised_(), 0);
  }
  return may_grow(bytes, reading, floors, options_.needs_blocks && is_large);
}

}  // namespace hearth::governor
