#include "planner/report/suggest.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/units.h"
#include "planner/cost/cost.h"
#include "planner/fit/fit.h"

namespace hearth::planner {
namespace {

constexpr double kLeastTokensPerSecond = 10;

Machine with_rates(const Machine& machine, const Catalogue& catalogue) {
  if (machine.bandwidth > 0 || machine.caps.target != DeviceKind::kCpu) return machine;
  const Machine usual = catalogue.machine("cpu").value();
  const double share = std::min(static_cast<double>(machine.caps.threads) / std::max(usual.caps.threads, 1), 1.0);
  Machine out = machine;
  for (size_t i = 0; i < out.flops.size(); ++i) out.flops[i] = share * usual.flops[i];
  out.bandwidth = share * usual.bandwidth;
  return out;
}

}  // namespace

std::string Suggestion::words(const Machine& machine) const {
  return fmt::format("{} as {} needs {} of the {} that models may use here; get it with `{}`", title, quant,
                     format_bytes(bytes), format_bytes(machine.budget_bytes()), command);
}

std::optional<Suggestion> best_for(const Machine& machine, int64_t free_bytes, const Catalogue& catalogue) {
  const Machine judged = with_rates(machine, catalogue);
  const int64_t room = free_bytes > 0 ? free_bytes : machine.budget_bytes();
  std::optional<Suggestion> best;
  double most_parameters = 0;
  for (const CatalogueEntry& entry : catalogue.entries()) {
    if (entry.fetch.empty() || entry.is_picture) continue;
    const auto subject = catalogue.rough(entry, entry.best_quant);
    const Demand demand = subject->demand({.context = 8192});
    const int64_t bytes = demand.total_bytes();
    const Bound decode = bound(subject->phases({.context = 2048})[1], judged);
    if (bytes > room || subject->facts().parameters <= most_parameters) continue;
    if (decode.seconds > 0 && decode.per_second() < kLeastTokensPerSecond) continue;
    most_parameters = subject->facts().parameters;
    best = {.name = entry.name, .title = entry.title, .quant = entry.best_quant, .command = entry.fetch,
            .bytes = bytes, .file_bytes = demand.weights_bytes, .tokens_per_second = decode.per_second()};
  }
  return best;
}

int64_t auto_batch(const Subject& subject, Ask ask, int64_t room_bytes, int64_t most) {
  return largest_within(room_bytes, 1, most, [&](int64_t n) {
    ask.batch = n;
    return subject.demand(ask).total_bytes();
  });
}

}  // namespace hearth::planner
