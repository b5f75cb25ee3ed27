// What the benchmarks report of repeated runs.
#pragma once
#include <algorithm>
#include <vector>

#include "core/base/value.h"

namespace hearth::app {

/// The middle of the values, the upper one of two; there must be one.
inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

inline Value list_of(const std::vector<double>& values) {
  Value list = Value::list();
  for (double value : values) list.push(value);
  return list;
}

}  // namespace hearth::app
