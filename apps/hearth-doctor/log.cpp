// The log of this small program: warnings and errors as lines of standard error, without a library.
#include "core/base/log.h"

#include <iostream>

namespace hearth::log {

void set_level(Level) {}
bool set_level(std::string_view) { return true; }

void write(Level level, std::string_view line) {
  if (level < Level::kWarn) return;
  std::cerr << "hearth-doctor: " << line << '\n';
}

}  // namespace hearth::log
