#include "governor/report.h"

#include <algorithm>

#include <fmt/format.h>

namespace hearth::governor {
namespace {

Value of(const std::vector<Journal::Entry>& entries) {
  Value list = Value::list();
  for (const Journal::Entry& entry : entries) {
    list.push(Value::object({{"time_ms", entry.unix_ms}, {"kind", name_of(entry.kind)}, {"who", entry.who},
                             {"bytes", entry.bytes}, {"why", entry.why}}));
  }
  return list;
}

Value of(const PoolReport& pool) {
  Value leases = Value::list();
  for (const Holding& held : pool.holders) {
    leases.push(Value::object({{"holder", held.holder}, {"bytes", held.bytes}}));
  }
  return Value::object({{"name", pool.name},
                        {"gpu", pool.gpu.empty() ? Value() : Value(pool.gpu)},
                        {"physical_bytes", pool.physical_bytes},
                        {"budget_bytes", pool.budget_bytes},
                        {"reserve_bytes", pool.reserve_bytes},
                        {"leased_bytes", pool.leased_bytes},
                        {"others_bytes", pool.others_bytes},
                        {"free_bytes", pool.free_bytes},
                        {"peak_leased_bytes", pool.peak_bytes},
                        {"leases", std::move(leases)},
                        {"evictions", pool.counts.evictions},
                        {"evicted_bytes", pool.counts.evicted_bytes},
                        {"refusals", pool.counts.refusals},
                        {"events", of(pool.events)}});
}

Value of(const Resident& resident) {
  return Value::object({{"name", resident.name}, {"bytes", resident.bytes}, {"idle_s", resident.idle_s},
                        {"reload_s", resident.reload_s}, {"waiting", resident.waiting}, {"busy", resident.is_busy},
                        {"pinned", resident.is_pinned}, {"unused_bytes", resident.unused_bytes},
                        {"cached_bytes", resident.cached_bytes}});
}

Value of(const Neighbours::Neighbour& neighbour) {
  return Value::object({{"name", neighbour.name}, {"pool", neighbour.pool}, {"pid", neighbour.pid},
                        {"reserved_bytes", neighbour.promised_bytes}, {"used_bytes", neighbour.used_bytes},
                        {"peak_bytes", neighbour.peak_bytes}, {"beyond_reservation", neighbour.was_warned}});
}

template <class T>
Value known(const std::optional<T>& number) {
  return number ? Value(*number) : Value();
}

// Null where the kernel does not say.
Value gauges_of(const Report& r) {
  const Reading& now = r.reading;
  const Value blocks = now.large_block_bytes < 0 ? Value() : Value(now.large_block_bytes);
  Value gauges = Value::object({{"available_bytes", now.room_bytes},
                                {"free_bytes", now.free_bytes},
                                {"large_block_bytes", blocks},
                                {"stall_percent", now.stall_percent < 0 ? Value() : Value(now.stall_percent)},
                                {"cgroup_limit_bytes", known(r.host.cgroup_limit_bytes)},
                                {"cgroup_room_bytes", known(r.host.cgroup_room_bytes)},
                                {"swap_total_bytes", known(r.host.swap_total_bytes)},
                                {"swap_free_bytes", known(r.host.swap_free_bytes)}});
  gauges.set("pages_swapped_in", r.swapping ? Value(r.swapping->pages_swapped_in) : Value());
  gauges.set("pages_swapped_out", r.swapping ? Value(r.swapping->pages_swapped_out) : Value());
  gauges.set("compaction_failures", r.swapping ? Value(r.swapping->compaction_failures) : Value());
  return gauges;
}

template <class T>
Value list_of(const std::vector<T>& items) {
  Value list = Value::list();
  for (const T& item : items) list.push(of(item));
  return list;
}

// A device that does not answer has nothing to give; the rest of the report is true all the same.
int64_t free_bytes_of(const Budget& budget) try {
  return budget.free_bytes();
} catch (const Error&) {
  return 0;
}

std::string sample(std::string_view name, std::string_view type, std::string_view help, double value) {
  return fmt::format("# HELP {} {}\n# TYPE {} {}\n{} {}\n", name, help, name, type, name, value);
}

// One series a pool; the holders' are hearth_lease_bytes.
std::string pool_samples(const std::vector<PoolReport>& pools) {
  struct Series {
    const char *name, *help;
    int64_t PoolReport::* bytes;
  };
  constexpr Series kSeries[] = {
      {"hearth_memory_pool_budget_bytes", "What may be leased of the pool.", &PoolReport::budget_bytes},
      {"hearth_memory_pool_reserve_bytes", "What is left to others.", &PoolReport::reserve_bytes},
      {"hearth_memory_pool_leased_bytes", "What is leased of the pool now.", &PoolReport::leased_bytes},
      {"hearth_memory_pool_peak_leased_bytes", "The most that was leased at once.", &PoolReport::peak_bytes},
      {"hearth_memory_pool_others_bytes", "What is taken of a GPU's own memory without a lease.",
       &PoolReport::others_bytes}};
  std::string out;
  for (const Series& series : kSeries) {
    out += fmt::format("# HELP {} {}\n# TYPE {} gauge\n", series.name, series.help, series.name);
    for (const PoolReport& pool : pools) {
      out += fmt::format("{}{{pool=\"{}\"}} {}\n", series.name, pool.name, pool.*series.bytes);
    }
  }
  return out;
}

}  // namespace

PoolReport report_on(Budget& budget, int64_t physical_bytes, int64_t reserve_bytes) {
  return {.name = budget.pool(), .physical_bytes = physical_bytes, .budget_bytes = budget.limit_bytes(),
          .reserve_bytes = reserve_bytes, .leased_bytes = budget.leased_bytes(), .peak_bytes = budget.peak_bytes(),
          .free_bytes = free_bytes_of(budget), .others_bytes = budget.others_bytes(), .holders = budget.holdings(),
          .counts = budget.journal().counts(), .events = budget.journal().entries()};
}

Value to_value(const Report& r) {
  return Value::object(
      {{"level", name_of(r.level)},
       {"pools", list_of(r.pools)},
       {"resident", list_of(r.residents)},
       {"neighbours", list_of(r.neighbours)},
       {"floors", Value::object({{"soft_bytes", r.floors.soft_bytes}, {"hard_bytes", r.floors.hard_bytes},
                                 {"panic_bytes", r.floors.panic_bytes}})},
       {"gauges", gauges_of(r)},
       {"process", Value::object({{"resident_bytes", r.process.resident_bytes},
                                  {"peak_bytes", r.process.peak_bytes},
                                  {"anonymous_bytes", r.process.anonymous_bytes},
                                  {"leased_bytes", r.host_leased_bytes},
                                  {"unleased_bytes", r.process.anonymous_bytes - r.host_leased_bytes}})},
       {"driver", r.driver.empty() ? Value() : Value(r.driver)},
       {"aborts", r.aborts},
       {"events", of(r.events)}});
}

std::string to_metrics(const Report& r) {
  Journal::Counts counts;
  for (const PoolReport& pool : r.pools) {
    counts.evictions += pool.counts.evictions;
    counts.evicted_bytes += pool.counts.evicted_bytes;
    counts.refusals += pool.counts.refusals;
  }
  std::string out = pool_samples(r.pools);
  out += sample("hearth_memory_available_bytes", "gauge", "What the machine could still give.",
                static_cast<double>(r.reading.room_bytes));
  out += sample("hearth_memory_soft_floor_bytes", "gauge", "Below it nothing new begins.",
                static_cast<double>(r.floors.soft_bytes));
  out += sample("hearth_memory_hard_floor_bytes", "gauge", "Below it the largest request ends.",
                static_cast<double>(r.floors.hard_bytes));
  out += sample("hearth_memory_panic_floor_bytes", "gauge", "Below it the process ends.",
                static_cast<double>(r.floors.panic_bytes));
  out += sample("hearth_memory_level", "gauge", "0 calm, 1 soft, 2 hard, 3 panic.", static_cast<double>(r.level));
  if (r.reading.stall_percent >= 0) {
    out += sample("hearth_memory_stall_percent", "gauge", "Of the last 10 s every task waited for memory.",
                  r.reading.stall_percent);
  }
  if (r.host.swap_free_bytes && r.host.swap_total_bytes) {
    out += sample("hearth_memory_swap_used_bytes", "gauge", "Swap in use on the machine.",
                  static_cast<double>(*r.host.swap_total_bytes - *r.host.swap_free_bytes));
  }
  out += sample("hearth_memory_evictions_total", "counter", "Models, parts and caches that left for room.",
                static_cast<double>(counts.evictions));
  out += sample("hearth_memory_evicted_bytes_total", "counter", "Bytes they gave back.",
                static_cast<double>(counts.evicted_bytes));
  out += sample("hearth_memory_refusals_total", "counter", "Requests refused for want of memory.",
                static_cast<double>(counts.refusals));
  out += sample("hearth_memory_aborts_total", "counter", "Running requests ended for want of memory.",
                static_cast<double>(r.aborts));
  out += sample("hearth_process_anonymous_bytes", "gauge", "Memory of this process that no file backs.",
                static_cast<double>(r.process.anonymous_bytes));
  return out;
}

}  // namespace hearth::governor
