#include "memory_keeper.h"

#include <malloc.h>

#include <algorithm>
#include <limits>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "core/base/log.h"
#include "core/base/units.h"
#include "machine/gpu.h"
#include "machine/memory.h"

namespace hearth::app {

using governor::Journal;

namespace {

// Holders of what a picture's job takes beside its models.
constexpr std::string_view kWorkOfPictures[] = {"latents", "pictures", "previews", "conditioning"};

}  // namespace

MemoryKeeper::MemoryKeeper(Host& host, Engine& engine, PictureHost* pictures)
    : host_(host), engine_(engine), pictures_(pictures),
      driver_(machine::read_nvidia_driver().kernel_version.value_or("")),
      neighbours_(machine::Root(), host.gpu()) {
  host_.evictor().add(engine_);
  engine_.set_evictor(host_.evictor());
  if (pictures_) {
    const bool has_own_pool = &pictures_->memory().budget() != &host_.memory().budget();
    if (has_own_pool) {
      picture_evictor_ = std::make_unique<governor::Evictor>(pictures_->memory().budget());
      pictures_->memory().budget().set_idle([e = picture_evictor_.get()] { return e->idle(); });
    }
    governor::Evictor& evictor = has_own_pool ? *picture_evictor_ : host_.evictor();
    evictor.add(pictures_->engine().resider());
    pictures_->engine().set_evictor(evictor);
  }
  host_.governor().set_promised([this] { return promised(); });
  if (governor::DeviceAccount* account = host_.device_account()) {
    account->set_promised([this, pool = account->budget().pool()] {
      look_at_neighbours();
      return neighbours_.promise(pool);
    });
  }
  host_.governor().set_relief(this);
}

MemoryKeeper::~MemoryKeeper() {
  host_.governor().set_relief(nullptr);
  host_.governor().set_promised({});
  if (host_.device_account()) host_.device_account()->set_promised({});
  host_.evictor().remove(engine_);
  if (pictures_ && !picture_evictor_) host_.evictor().remove(pictures_->engine().resider());
  if (picture_evictor_) pictures_->memory().budget().set_idle({});
}

governor::Budget& MemoryKeeper::host_budget() {
  return host_.host_memory().budget();
}

// Of the pool in the machine's own memory; null where nothing of ours lies there.
governor::Evictor* MemoryKeeper::host_evictor() {
  if (picture_evictor_) return picture_evictor_.get();
  return host_.is_host_pool() ? &host_.evictor() : nullptr;
}

// What costs least first, then one idle model or part a call: the governor looks again before the next.
void MemoryKeeper::shrink() {
  if (pictures_) {
    pictures_->studio().release(/*models=*/false, /*cache=*/true);
    pictures_->engine().resider().give_spare();
  }
  governor::Evictor* evictor = host_evictor();
  const bool is_grave = host_.governor().decision().level >= governor::Level::kHard;
  const bool was_spare = evictor && evictor->shrink(std::numeric_limits<int64_t>::max()) > 0;
  if (evictor && (is_grave || !was_spare)) {
    evictor->evict_one("the machine is short of memory", /*even_pinned=*/is_grave);
  }
  ::malloc_trim(0);
}

bool MemoryKeeper::abort_largest(const Error& why) {
  const int64_t words = host_.is_host_pool() ? engine_.largest_request_bytes() : 0;
  const int64_t picture = pictures_ ? pictures_->engine().running_bytes() : 0;
  if (words == 0 && picture == 0) return false;
  const bool is_picture = picture >= words;
  const bool is_ended = is_picture ? pictures_->engine().abort(why) : engine_.abort_largest(why);
  if (is_ended) {
    const char* who = is_picture ? "the running picture" : "the largest request for words";
    log::warn("memory: {} was ended; it held {}", who, format_bytes(std::max(words, picture)));
    host_.governor().journal().add(Journal::Kind::kAbort, who, std::max(words, picture), why.message());
  }
  return is_ended;
}

governor::Report MemoryKeeper::report() {
  look_at_neighbours();
  governor::Governor& watch = host_.governor();
  governor::Report out;
  if (governor::DeviceAccount* account = host_.device_account()) {
    out.pools.push_back(governor::report_on(account->budget(), account->total_bytes(), account->reserve_bytes()));
    out.pools.back().gpu = host_.gpu();
  }
  out.pools.push_back(governor::report_on(host_budget(), watch.pool_bytes(), watch.reserve_bytes()));
  if (host_.is_host_pool()) out.pools.back().gpu = host_.gpu();
  out.residents = engine_.residents();
  if (pictures_) {
    for (governor::Resident& part : pictures_->engine().resider().residents()) out.residents.push_back(std::move(part));
  }
  out.neighbours = neighbours_.list();
  out.level = watch.decision().level;
  out.floors = watch.floors();
  out.reading = watch.reading();
  out.host = watch.host_memory();
  out.swapping = watch.swapping();
  out.events = watch.journal().entries();
  out.aborts = watch.journal().counts().aborts;
  out.process = machine::read_process_memory();
  out.host_leased_bytes = host_budget().leased_bytes();
  for (const governor::Neighbours::Neighbour& neighbour : out.neighbours) {
    if (neighbour.pool == host_budget().pool()) out.host_leased_bytes -= neighbour.promised_bytes;
  }
  out.driver = driver_;
  return out;
}

int64_t MemoryKeeper::free(const std::string& model, bool caches) {
  auto leased = [&] {
    const int64_t host = host_.is_host_pool() ? 0 : host_budget().leased_bytes();
    return host_.memory().budget().leased_bytes() + host;
  };
  const int64_t before = leased();
  if (!model.empty()) {
    engine_.unload(model);
  } else {
    for (const governor::Resident& resident : engine_.residents()) {
      if (engine_.unload(resident.name)) {
        host_.memory().budget().journal().add(Journal::Kind::kEviction, resident.name, resident.bytes, "asked to");
      }
    }
    if (pictures_) pictures_->studio().release(/*models=*/true, caches);
    if (caches) engine_.shrink(std::numeric_limits<int64_t>::max(), /*with_cached=*/true);
  }
  ::malloc_trim(0);
  return std::max<int64_t>(before - leased(), 0);
}

Result<std::shared_ptr<void>> MemoryKeeper::reserve(int64_t bytes, const server::Borrower& who) {
  const Result<Pool> pool = pool_named(who.pool);
  if (!pool) return Unexpected(pool.error());
  Result<governor::Lease> held = lease(*pool, bytes, "reserved for " + who.name);
  if (!held) return Unexpected(held.error());
  return neighbours_.add(*std::move(held), pool->budget.pool(), pool->kind, who.name, who.pid);
}

Result<std::shared_ptr<void>> MemoryKeeper::hold_body(int64_t bytes) {
  Result<governor::Lease> held = lease(host_pool(), bytes, "requests");
  if (!held) return Unexpected(held.error());
  return std::shared_ptr<void>(std::make_shared<governor::Lease>(*std::move(held)));
}

MemoryKeeper::Pool MemoryKeeper::host_pool() {
  const bool is_shared = host_.choice().caps.is_integrated;
  return {host_budget(), host_evictor(), is_shared ? governor::PoolKind::kShared : governor::PoolKind::kHost};
}

Result<MemoryKeeper::Pool> MemoryKeeper::pool_named(const std::string& name) {
  governor::Budget& models = host_.memory().budget();
  const bool is_for_models = name.empty() || name == models.pool();
  if (is_for_models && !host_.is_host_pool()) return Pool{models, &host_.evictor(), governor::PoolKind::kDevice};
  if (is_for_models || name == host_budget().pool()) return host_pool();
  const std::string other = host_.is_host_pool() ? "" : " or " + host_budget().pool();
  return unexpected(Code::kInvalidArgument,
                    fmt::format("there is no pool '{}' here; expected {}{}", name, models.pool(), other));
}

// Idle models leave for it.
Result<governor::Lease> MemoryKeeper::lease(const Pool& pool, int64_t bytes, const std::string& holder) {
  const bool is_machines = pool.kind != governor::PoolKind::kDevice;
  for (;;) {
    look_at_neighbours();
    Result<governor::Lease> lease = pool.budget.take(bytes, holder);
    const Result<void> may = lease && is_machines ? host_.governor().may_take(bytes) : Result<void>();
    if (lease && may) return lease;
    Error refusal = lease ? may.error() : lease.error();
    if (lease) {
      lease = governor::Lease();  // what is refused is not held
      refusal = governor::to_error(pool.budget.refusal(bytes, holder).because(may.error()));
    }
    if (pool.evictor && pool.evictor->make_room(bytes, "", holder)) continue;
    pool.budget.journal().refused(refusal);
    return Unexpected(refusal);
  }
}

planner::Room MemoryKeeper::room(bool for_pictures) {
  const bool is_host = for_pictures || host_.is_host_pool();
  const governor::Budget& budget = for_pictures ? host_budget() : host_.memory().budget();
  int64_t free = budget.headroom_bytes();
  const governor::Governor& watch = host_.governor();
  if (const governor::Reading reading = watch.reading(); is_host && reading.is_known) {
    free = std::min(free, reading.room_bytes - promised() - watch.floors().soft_bytes);
  }
  const int64_t leaving = for_pictures ? leaving_for_pictures() : leaving_for_words();
  // What is short by now, what leaves makes up for first.
  return {.free_bytes = std::max<int64_t>(free, 0),
          .idle_bytes = std::max<int64_t>(leaving + std::min<int64_t>(free, 0), 0)};
}

int64_t MemoryKeeper::leaving_for_words() {
  int64_t bytes = pictures_ && host_.is_host_pool() ? pictures_->engine().spare_bytes() : 0;
  for (const governor::Holding& idle : host_.evictor().idle()) bytes += idle.bytes;
  return bytes;
}

int64_t MemoryKeeper::leaving_for_pictures() {
  int64_t bytes = 0;
  if (host_.is_host_pool()) {
    const std::vector<governor::Resident> models = engine_.residents();
    for (size_t i : governor::leaving_order(models)) bytes += models[i].bytes;
    bytes += governor::spare_of_staying(models);
  }
  if (!pictures_) return bytes;
  // A job's latents and pixels go with it, but for what the cache keeps.
  int64_t working = -pictures_->studio().cached_bytes();
  for (const governor::Holding& held : host_budget().holdings()) {
    const bool is_work = std::find(std::begin(kWorkOfPictures), std::end(kWorkOfPictures), held.holder) !=
                         std::end(kWorkOfPictures);
    if (is_work) working += held.bytes;
  }
  return bytes + pictures_->engine().held_bytes() + std::max<int64_t>(working, 0);
}

// At most once in half a second: growth asks for every piece it takes.
void MemoryKeeper::look_at_neighbours() {
  const auto now = std::chrono::steady_clock::now();
  std::lock_guard lock(look_mutex_);
  if (now - looked_at_ <= std::chrono::milliseconds(500)) return;
  looked_at_ = now;
  neighbours_.look();
}

// Of the machine's memory, what is leased and not taken yet.
int64_t MemoryKeeper::promised() {
  look_at_neighbours();
  return neighbours_.promise(host_budget().pool()).left_bytes() + host_budget().untouched_bytes();
}

}  // namespace hearth::app
