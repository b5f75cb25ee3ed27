#include "planner/svg/plot.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

namespace hearth::planner {
namespace {

constexpr double kWidth = 760, kHeight = 380, kLeft = 78, kRight = 190, kTop = 46, kBottom = 58;
constexpr const char* kColours[] = {"#1f5fa8", "#b3541e", "#2e7d4f", "#7a3b8f", "#8a6d00", "#40606b"};

std::string escaped(const std::string& text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '&': out += "&amp;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
  return out;
}

// 1, 2 or 5 times a power of ten, about five to an axis.
double tick_step(double span) {
  const double rough = span / 5, power = std::pow(10, std::floor(std::log10(rough)));
  for (double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough) return factor * power;
  }
  return 10 * power;
}

struct Scale {
  double most_x = 1, most_y = 1, top = 0;
  double x(double value) const { return kLeft + value / most_x * (kWidth - kLeft - kRight); }
  double y(double value) const { return top + kHeight - kBottom - value / most_y * (kHeight - kTop - kBottom); }
};

Scale scale_of(const Chart& chart, double top) {
  Scale scale{.most_x = 0, .most_y = chart.limit, .top = top};
  for (const Curve& curve : chart.curves) {
    for (const auto& [x, y] : curve.points) {
      scale.most_x = std::max(scale.most_x, x);
      scale.most_y = std::max(scale.most_y, y);
    }
  }
  if (scale.most_x <= 0) scale.most_x = 1;
  scale.most_y = scale.most_y > 0 ? scale.most_y * 1.08 : 1;
  return scale;
}

std::string text(double x, double y, const char* anchor, const std::string& words, const char* more = "") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>\n", x, y, anchor, more,
                     escaped(words));
}

std::string axes(const Chart& chart, const Scale& s) {
  std::string out = text(kLeft, s.top + 26, "start", chart.title, " font-size=\"15\" font-weight=\"600\"");
  const double bottom = s.y(0), right = s.x(s.most_x), high = s.y(s.most_y);
  for (double v = 0; v <= s.most_y; v += tick_step(s.most_y)) {
    out += fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"#e2e2e2\"/>\n", kLeft,
                       s.y(v), right, s.y(v));
    out += text(kLeft - 8, s.y(v) + 4, "end", fmt::format("{:g}", v));
  }
  for (double v = 0; v <= s.most_x; v += tick_step(s.most_x)) {
    out += fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"#777\"/>\n", s.x(v),
                       bottom, s.x(v), bottom + 5);
    out += text(s.x(v), bottom + 20, "middle", fmt::format("{:g}", v));
  }
  out += fmt::format("<path d=\"M{:.1f} {:.1f}V{:.1f}H{:.1f}\" fill=\"none\" stroke=\"#777\"/>\n", kLeft, high, bottom,
                     right);
  out += text((kLeft + right) / 2, bottom + 42, "middle", chart.x_label);
  return out + fmt::format("<text transform=\"translate({:.1f} {:.1f}) rotate(-90)\" text-anchor=\"middle\">{}"
                           "</text>\n",
                           20.0, (bottom + high) / 2, escaped(chart.y_label));
}

std::string curves(const Chart& chart, const Scale& s) {
  std::string out;
  for (size_t i = 0; i < chart.curves.size(); ++i) {
    const char* colour = kColours[i % std::size(kColours)];
    std::string points;
    for (const auto& [x, y] : chart.curves[i].points) points += fmt::format("{:.1f},{:.1f} ", s.x(x), s.y(y));
    out += fmt::format("<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2.2\"/>\n", points, colour);
    const double y = s.top + kTop + 10 + 20 * static_cast<double>(i), x = kWidth - kRight + 14;
    out += fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"14\" height=\"4\" fill=\"{}\"/>\n", x, y - 5, colour);
    out += text(x + 20, y, "start", chart.curves[i].name);
  }
  if (chart.limit <= 0) return out;
  out += fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"#c0272d\" "
                     "stroke-width=\"1.6\" stroke-dasharray=\"7 4\"/>\n",
                     kLeft, s.y(chart.limit), s.x(s.most_x), s.y(chart.limit));
  return out + text(s.x(s.most_x) - 4, s.y(chart.limit) + 16, "end", chart.limit_label, " fill=\"#c0272d\"");
}

}  // namespace

std::string draw(const std::vector<Chart>& charts) {
  const double height = kHeight * static_cast<double>(charts.size());
  std::string out = fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:g} {1:g}\" width=\"{0:g}\" "
                                "height=\"{1:g}\" font-family=\"system-ui, sans-serif\" font-size=\"12\" "
                                "fill=\"#222\">\n<rect width=\"{0:g}\" height=\"{1:g}\" fill=\"#fcfcfa\"/>\n",
                                kWidth, height);
  for (size_t i = 0; i < charts.size(); ++i) {
    const Scale scale = scale_of(charts[i], kHeight * static_cast<double>(i));
    out += axes(charts[i], scale) + curves(charts[i], scale);
  }
  return out + "</svg>\n";
}

}  // namespace hearth::planner
