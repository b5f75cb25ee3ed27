#include "ops/quant/iq_grids.h"

#include "ops/quant/iq_codebooks.h"

namespace hearth::quant {

std::span<const Point8> iq1_grid() {
  static constexpr auto grid = expand<2048, 8>(kIq1Set, kIq1Levels);
  return grid;
}

std::span<const Point8> iq2_xxs_grid() {
  static constexpr auto grid = expand<256, 8>(kIq2XxsSet, kIq2Levels);
  return grid;
}

std::span<const Point8> iq2_xs_grid() {
  static constexpr auto grid = expand<512, 8>(kIq2XsSet, kIq2Levels);
  return grid;
}

std::span<const Point8> iq2_s_grid() {
  static constexpr auto grid = expand<1024, 8>(kIq2SSet, kIq2Levels);
  return grid;
}

std::span<const Point4> iq3_xxs_grid() {
  static constexpr auto grid = expand<256, 4>(kIq3XxsSet, kIq3XxsLevels);
  return grid;
}

std::span<const Point4> iq3_s_grid() {
  static constexpr auto grid = expand<512, 4>(kIq3SSet, kIq3SLevels);
  return grid;
}

}  // namespace hearth::quant
