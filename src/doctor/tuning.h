// Settings of the host that guides like to change: what they are now, and what speaks for and against each.
#pragma once
#include <string>
#include <vector>

#include "doctor/context.h"

namespace hearth::doctor {

struct Setting {
  std::string name;       // "GPU clocks"
  std::string now;        // as read; "unknown" when it could not be
  std::string in_favour, against;
  std::string advice;
};

std::vector<Setting> read_settings(const Context& context);

}  // namespace hearth::doctor
