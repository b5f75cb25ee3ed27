// Charts as SVG: curves over an axis with a horizontal line for a limit. Light background, readable as it stands; no
// scripts, no outside references.
#pragma once
#include <string>
#include <utility>
#include <vector>

namespace hearth::planner {

struct Curve {
  std::string name;
  std::vector<std::pair<double, double>> points;  // x ascending
};

struct Chart {
  std::string title, x_label, y_label;
  std::vector<Curve> curves;
  double limit = 0;         // drawn as a dashed line; 0: none
  std::string limit_label;
};

/// The charts below each other. Text is escaped; a chart without points shows its axes.
std::string draw(const std::vector<Chart>& charts);

}  // namespace hearth::planner
