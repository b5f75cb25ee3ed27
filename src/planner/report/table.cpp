#include "planner/report/table.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/units.h"
#include "planner/cost/cost.h"
#include "planner/fit/fit.h"
#include "planner/report/report.h"

namespace hearth::planner {
namespace {

double in_gb(const Value& bytes) { return static_cast<double>(bytes.as_int()) / 1e9; }

// Kept small: one request at a time is what the question "does it fit" is about.
Value row(const Subject& subject, const CatalogueEntry& entry, const Machine& one, int64_t context) {
  const Machine two = one.times(2);
  const SubjectFacts& facts = subject.facts();
  const Ask ask{.context = context, .parallel = 1};
  const Demand demand = subject.demand(ask);
  const int64_t bytes = demand.total_bytes();
  Value out = Value::object();
  out.set("model", entry.title);
  out.set("name", entry.name);
  out.set("quant", facts.quant);
  out.set("estimate", facts.is_estimate);
  out.set("parameters", facts.parameters);
  out.set("weights_bytes", demand.weights_bytes);
  out.set("state_bytes", demand.state_bytes);
  out.set("total_bytes", bytes);
  out.set("left_on_one_bytes", one.budget_bytes() - bytes);
  out.set("left_on_two_bytes", two.budget_bytes() - bytes);
  const std::vector<Phase> phases = subject.phases(ask);
  if (facts.is_picture) {
    double seconds = 0;
    for (const Phase& phase : phases) seconds += bound(phase, one).seconds;
    out.set("seconds_at_least", seconds);
    return out;
  }
  out.set("largest_context", largest_within(one.budget_bytes(), ask.page_tokens, facts.own_context, [&](int64_t n) {
    return subject.demand({.context = n, .parallel = 1}).total_bytes();
  }));
  const Machine& where = bytes > one.budget_bytes() ? two : one;
  out.set("tokens_per_second_at_most", bound(phases[1], where).per_second());
  return out;
}

std::string verdict(const Value& left) {
  const int64_t bytes = left.as_int();
  if (bytes < 0) return fmt::format("no, {:.{}f} too much", -in_gb(left), bytes > -10'000'000'000 ? 1 : 0);
  return bytes < int64_t{10'000'000'000} ? fmt::format("tight, {:.1f} left", in_gb(left))
                                         : fmt::format("yes, {:.0f} left", in_gb(left));
}

}  // namespace

Value table(const Machine& machine, int64_t context, const Catalogue& catalogue) {
  Value out = Value::object();
  out.set("machine", machine.name);
  out.set("words", machine.words);
  out.set("context", context);
  out.set("memory_bytes", machine.memory_bytes);
  out.set("budget_bytes", machine.budget_bytes());
  out.set("two_budget_bytes", machine.times(2).budget_bytes());
  out.set("rates", machine.source);
  Value rows = Value::list();
  for (const CatalogueEntry& entry : catalogue.entries()) {
    if (!entry.is_in_table) continue;
    for (const std::string& quant : catalogue.table_quants(entry.name)) {
      Result<std::shared_ptr<const Subject>> subject = catalogue.subject(entry.name, quant, machine.caps);
      if (!subject && subject.error().code() == Code::kUnsupported) continue;  // pictures have fewer schemes
      rows.push(row(*subject.value(), entry, machine, context));
    }
  }
  out.set("rows", std::move(rows));
  return out;
}

std::string table_text(const Value& table) {
  std::string out = fmt::format(
      "What fits: {}, {}\nModels may use {} of {}; two machines together {}. Sizes in GB (10^9 bytes), with one "
      "request of {} tokens.\n\n",
      table.at("machine").as_string(), table.at("words").as_string(), both_units(table.at("budget_bytes").as_int()),
      both_units(table.at("memory_bytes").as_int()), both_units(table.at("two_budget_bytes").as_int()),
      table.at("context").as_int());
  out += fmt::format("{:<22} {:<8} {:>8} {:>7} {:>8}  {:<20} {:<20} {:>12} {:>12}\n", "MODEL", "QUANT", "WEIGHTS",
                     "STATE", "TOTAL", "ONE", "TWO", "MOST CONTEXT", "AT BEST");
  for (const Value& row : table.at("rows").as_list()) {
    const Value* context = row.find("largest_context");
    std::string best = context ? fmt::format("{:.3g} tok/s", row.at("tokens_per_second_at_most").as_double())
                               : fmt::format("{:.3g} s", row.at("seconds_at_least").as_double());
    if (context && row.at("left_on_one_bytes").as_int() < 0) {
      best = row.at("left_on_two_bytes").as_int() < 0 ? "-" : best + " (2)";
    }
    out += fmt::format("{:<22} {:<8} {:>8.1f} {:>7.2f} {:>8.1f}  {:<20} {:<20} {:>12} {:>12}\n",
                       row.at("model").as_string() + (row.at("estimate").as_bool() ? " *" : ""),
                       row.at("quant").as_string(), in_gb(row.at("weights_bytes")), in_gb(row.at("state_bytes")),
                       in_gb(row.at("total_bytes")), verdict(row.at("left_on_one_bytes")),
                       verdict(row.at("left_on_two_bytes")),
                       !context                 ? "-"
                       : context->as_int() == 0 ? "none"
                                                : std::to_string(context->as_int()),
                       best);
  }
  out += fmt::format("\n* estimate: this build has no code for that architecture yet; bytes follow from its published "
                     "shapes. The others are measured\n  from the real code without weights. AT BEST is a bound: "
                     "counted bytes and work against the highest rates known ({}).\n  (2): two machines as one, work "
                     "split without loss. int4 is 4.16 bits a weight (128 share a scale and a zero point).\n",
                     table.at("rates").as_string());
  return out;
}

}  // namespace hearth::planner
