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
                        {"physical_bytes", pool.physical_bytes},
                        {"budget_bytes", pool.budget_bytes},
                        {"reserve_bytes", pool.reserve_bytes},
                        {"leased_bytes", pool.leased_bytes},
                        {"free_bytes", std::max<int64_t>(pool.budget_bytes - pool.leased_bytes, 0)},
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
                        {"pinned", resident.is_pinned}});
}

Value of(const Neighbours::Neighbour& neighbour) {
  return Value::object({{"name", neighbour.name}, {"pid", neighbour.pid}, {"reserved_bytes", neighbour.promised_bytes},
                        {"used_bytes", neighbour.used_bytes}, {"peak_bytes", neighbour.peak_bytes},
                        {"beyond_reservation", neighbour.was_warned}});
}

template <class T>
Value list_of(const std::vector<T>& items) {
  Value list = Value::list();
  for (const T& item : items) list.push(of(item));
  return list;
}

std::string sample(std::string_view name, std::string_view type, std::string_view help, double value) {
  return fmt::format("# HELP {} {}\n# TYPE {} {}\n{} {}\n", name, help, name, type, name, value);
}

}  // namespace

PoolReport report_on(Budget& budget, int64_t physical_bytes, int64_t reserve_bytes) {
  return {.name = budget.pool(), .physical_bytes = physical_bytes, .budget_bytes = budget.limit_bytes(),
          .reserve_bytes = reserve_bytes, .leased_bytes = budget.leased_bytes(), .peak_bytes = budget.peak_bytes(),
          .holders = budget.holdings(), .counts = budget.journal().counts(), .events = budget.journal().entries()};
}

Value to_value(const Report& r) {
  const Value blocks = r.reading.large_block_bytes < 0 ? Value() : Value(r.reading.large_block_bytes);
  return Value::object(
      {{"level", name_of(r.level)},
       {"pools", list_of(r.pools)},
       {"resident", list_of(r.residents)},
       {"neighbours", list_of(r.neighbours)},
       {"floors", Value::object({{"soft_bytes", r.floors.soft_bytes}, {"hard_bytes", r.floors.hard_bytes},
                                 {"panic_bytes", r.floors.panic_bytes}})},
       {"gauges", Value::object({{"available_bytes", r.reading.room_bytes}, {"free_bytes", r.reading.free_bytes},
                                 {"large_block_bytes", blocks}, {"stall_percent", r.reading.stall_percent}})},
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
  std::string out;
  out += sample("hearth_memory_available_bytes", "gauge", "What the machine could still give.",
                static_cast<double>(r.reading.room_bytes));
  out += sample("hearth_memory_soft_floor_bytes", "gauge", "Below it nothing new begins.",
                static_cast<double>(r.floors.soft_bytes));
  out += sample("hearth_memory_hard_floor_bytes", "gauge", "Below it the largest request ends.",
                static_cast<double>(r.floors.hard_bytes));
  out += sample("hearth_memory_panic_floor_bytes", "gauge", "Below it the process ends.",
                static_cast<double>(r.floors.panic_bytes));
  out += sample("hearth_memory_level", "gauge", "0 calm, 1 soft, 2 hard, 3 panic.", static_cast<double>(r.level));
  out += sample("hearth_memory_stall_percent", "gauge", "Of the last 10 s every task waited for memory.",
                r.reading.stall_percent);
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
