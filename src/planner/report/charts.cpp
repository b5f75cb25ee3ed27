#include "planner/report/charts.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/units.h"

namespace hearth::planner {
namespace {

double gib(int64_t bytes) { return static_cast<double>(bytes) / static_cast<double>(GiB); }

Chart over(const Want& want, const Machine& machine, int64_t Ask::*field, const std::vector<int64_t>& values) {
  Chart chart{.y_label = "GiB", .limit = gib(machine.budget_bytes())};
  chart.limit_label = fmt::format("budget {:.1f} GiB", chart.limit);
  Curve weights{.name = "weights", .points = {}}, arena{.name = "+ arena, batches, words", .points = {}};
  Curve total{.name = "+ state: all of it", .points = {}};
  for (int64_t value : values) {
    Ask ask = want.ask;
    ask.*field = value;
    const Demand d = want.subject->demand(ask);
    const auto x = static_cast<double>(value);
    weights.points.emplace_back(x, gib(d.weights_bytes));
    arena.points.emplace_back(x, gib(d.total_bytes() - d.state_bytes));
    total.points.emplace_back(x, gib(d.total_bytes()));
  }
  chart.curves = {total, arena, weights};
  return chart;
}

std::vector<int64_t> even_steps(int64_t most, int64_t count) {
  std::vector<int64_t> values;
  for (int64_t i = 1; i <= count; ++i) values.push_back(std::max<int64_t>(most * i / count, 1));
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

}  // namespace

std::vector<Chart> charts(const std::vector<Want>& wants, const Machines& machines) {
  std::vector<Chart> out;
  for (const Want& want : wants) {
    const SubjectFacts& facts = want.subject->facts();
    const Machine& machine = machines.of(facts.is_picture);
    const std::string name = fmt::format("{} ({})", facts.name, facts.quant);
    if (facts.is_picture) {
      const int64_t width = want.ask.width > 0 ? want.ask.width : facts.width;
      const int64_t height = want.ask.height > 0 ? want.ask.height : facts.height;
      out.push_back(over(want, machine, &Ask::batch, {1, 2, 3, 4, 6, 8, 12, 16}));
      out.back().title = fmt::format("{}: memory over pictures of {}x{} at once", name, width, height);
      out.back().x_label = "pictures at once";
      continue;
    }
    out.push_back(over(want, machine, &Ask::context, even_steps(facts.own_context, 24)));
    out.back().title = fmt::format("{}: memory over context, {} sequences", name, want.ask.parallel);
    out.back().x_label = "tokens of context";
    out.push_back(over(want, machine, &Ask::parallel, {1, 2, 4, 8, 16, 24, 32}));
    out.back().title = fmt::format("{}: memory over sequences at once", name);
    out.back().x_label = "sequences (state for two whole contexts is shared among them)";
  }
  return out;
}

}  // namespace hearth::planner
