#include "planner/report/table.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "core/base/units.h"
#include "planner/cost/cost.h"
#include "planner/fit/fit.h"
#include "planner/report/report.h"

namespace hearth::planner {
namespace {

// One machine and two of them.
struct Places {
  explicit Places(const Machine& machine) : one(machine), two(machine.times(2)) {}
  const Machine one, two;
};

// What a row is about, before it becomes a Value. Kept small: one request at a time is what the question "does it fit"
// is about.
struct Row {
  Demand demand;
  int64_t left_on_one = 0, left_on_two = 0;
  int64_t largest_context = 0;  // language models, on one machine; 0: none
  double best = 0;              // tokens a second, or seconds a picture, where it fits
};

int64_t largest_context(const Subject& subject, const Machine& machine) {
  const int64_t page_tokens = Ask().page_tokens;
  return largest_within(machine.budget_bytes(), page_tokens, subject.facts().own_context, [&](int64_t n) {
    return subject.demand({.context = n, .parallel = 1}).total_bytes();
  });
}

double best_on(const Subject& subject, const Ask& ask, const Machine& machine) {
  const std::vector<Phase> phases = subject.phases(ask);
  if (!subject.facts().is_picture) return bound(phases[1], machine).per_second();
  double seconds = 0;
  for (const Phase& phase : phases) seconds += bound(phase, machine).seconds;
  return seconds;
}

Row measure(const Subject& subject, int64_t context, const Places& places) {
  const Ask ask{.context = context, .parallel = 1};
  Row row{.demand = subject.demand(ask)};
  row.left_on_one = places.one.budget_bytes() - row.demand.total_bytes();
  row.left_on_two = places.two.budget_bytes() - row.demand.total_bytes();
  if (!subject.facts().is_picture) row.largest_context = largest_context(subject, places.one);
  row.best = best_on(subject, ask, row.left_on_one < 0 ? places.two : places.one);
  return row;
}

Value to_value(const Row& row, const CatalogueEntry& entry, const SubjectFacts& facts) {
  Value out = Value::object({{"model", entry.title}, {"name", entry.name}, {"quant", facts.quant},
                             {"estimate", facts.is_estimate}, {"parameters", facts.parameters},
                             {"weights_bytes", row.demand.weights_bytes}, {"state_bytes", row.demand.state_bytes},
                             {"total_bytes", row.demand.total_bytes()}, {"left_on_one_bytes", row.left_on_one},
                             {"left_on_two_bytes", row.left_on_two}});
  if (!facts.is_picture) out.set("largest_context", row.largest_context);
  out.set(facts.is_picture ? "seconds_at_least" : "tokens_per_second_at_most", row.best);
  return out;
}

Result<std::vector<const CatalogueEntry*>> chosen(const Catalogue& catalogue, const std::vector<std::string>& names) {
  std::vector<const CatalogueEntry*> out;
  for (const std::string& name : names) {
    const auto& all = catalogue.entries();
    const auto found = std::find_if(all.begin(), all.end(), [&](const CatalogueEntry& e) { return e.name == name; });
    if (found == all.end()) return unexpected(unknown_name("model of the catalogue", name, catalogue.model_names()));
    out.push_back(&*found);
  }
  for (const CatalogueEntry& entry : catalogue.entries()) {
    if (names.empty() && entry.is_in_table) out.push_back(&entry);
  }
  return out;
}

double in_gb(const Value& bytes) { return static_cast<double>(bytes.as_int()) / 1e9; }

std::string verdict(const Value& left) {
  const int64_t bytes = left.as_int();
  if (bytes < 0) return fmt::format("no, {:.{}f} too much", -in_gb(left), bytes > -10'000'000'000 ? 1 : 0);
  return bytes < int64_t{10'000'000'000} ? fmt::format("tight, {:.1f} left", in_gb(left))
                                         : fmt::format("yes, {:.0f} left", in_gb(left));
}

std::string context_text(const Value& row) {
  const Value* context = row.find("largest_context");
  if (!context) return "-";
  return context->as_int() == 0 ? "none" : std::to_string(context->as_int());
}

std::string best_text(const Value& row) {
  if (row.at("left_on_two_bytes").as_int() < 0) return "-";
  const Value* tokens = row.find("tokens_per_second_at_most");
  const double best = (tokens ? *tokens : row.at("seconds_at_least")).as_double();
  if (best <= 0) return "not known";
  const bool needs_two = row.at("left_on_one_bytes").as_int() < 0;
  return fmt::format("{:.3g} {}{}", best, tokens ? "tok/s" : "s", needs_two ? " (2)" : "");
}

constexpr const char* kLine = "{:<22} {:<8} {:>8} {:>7} {:>8}  {:<20} {:<20} {:>12} {:>12}\n";

std::string row_text(const Value& row) {
  return fmt::format(kLine, row.at("model").as_string() + (row.at("estimate").as_bool() ? " *" : ""),
                     row.at("quant").as_string(), fmt::format("{:.1f}", in_gb(row.at("weights_bytes"))),
                     fmt::format("{:.2f}", in_gb(row.at("state_bytes"))),
                     fmt::format("{:.1f}", in_gb(row.at("total_bytes"))), verdict(row.at("left_on_one_bytes")),
                     verdict(row.at("left_on_two_bytes")), context_text(row), best_text(row));
}

std::string head_text(const Value& table) {
  return fmt::format(
      "What fits: {}, {}\nModels may use {} of {}; two machines together {}. Sizes in GB (10^9 bytes), with one "
      "request of {} tokens.\n\n",
      table.at("machine").as_string(), table.at("words").as_string(), both_units(table.at("budget_bytes").as_int()),
      both_units(table.at("memory_bytes").as_int()), both_units(table.at("two_budget_bytes").as_int()),
      table.at("context").as_int());
}

std::string foot_text(const Value& table) {
  return fmt::format("\n* estimate: this build has no code for that architecture, or not in that scheme; bytes follow "
                     "from published shapes. The others are\n  measured from the real code without weights. AT BEST is "
                     "a bound: counted bytes and work against the highest rates known ({}).\n  (2): two machines as "
                     "one, work split without loss. int4 is 4.16 bits a weight (128 share a scale and a zero point).\n",
                     table.at("rates").as_string());
}

}  // namespace

Result<Value> table(const Machine& machine, const TableAsk& ask, const Catalogue& catalogue) {
  const Places places(machine);
  const Result<std::vector<const CatalogueEntry*>> entries = chosen(catalogue, ask.models);
  if (!entries) return unexpected(entries.error());
  Value rows = Value::list();
  for (const CatalogueEntry* entry : *entries) {
    for (const std::string& quant : ask.quants.empty() ? catalogue.table_quants(entry->name) : ask.quants) {
      const auto subject = catalogue.subject(entry->name, quant, machine.caps);
      if (!subject) return unexpected(subject.error());
      rows.push(to_value(measure(**subject, ask.context, places), *entry, (*subject)->facts()));
    }
  }
  return Value::object({{"machine", machine.name}, {"words", machine.words}, {"context", ask.context},
                        {"memory_bytes", machine.memory_bytes}, {"budget_bytes", places.one.budget_bytes()},
                        {"two_budget_bytes", places.two.budget_bytes()}, {"rates", machine.source},
                        {"rows", std::move(rows)}});
}

std::string table_text(const Value& table) {
  std::string out = head_text(table) + fmt::format(kLine, "MODEL", "QUANT", "WEIGHTS", "STATE", "TOTAL", "ONE", "TWO",
                                                   "MOST CONTEXT", "AT BEST");
  for (const Value& row : table.at("rows").as_list()) out += row_text(row);
  return out + foot_text(table);
}

}  // namespace hearth::planner
