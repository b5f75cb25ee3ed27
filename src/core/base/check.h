// check(condition, "what should have held"): always on. A failure is our own bug: it throws Error::bug, the worker
// fails that request and the process lives on.
#pragma once
#include <source_location>
#include <string>
#include <string_view>

#include "core/base/error.h"

namespace hearth {

[[noreturn]] void check_failed(std::string_view claim, std::source_location where);

inline void check(bool condition, std::string_view claim,
                  std::source_location where = std::source_location::current()) {
  if (!condition) [[unlikely]] check_failed(claim, where);
}

}  // namespace hearth
