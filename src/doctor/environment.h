// Which environment variables a stack needs on this machine, why, and for which versions: the answer to tuning lists
// that are copied from guide to guide.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/base/value.h"
#include "doctor/context.h"

namespace hearth::doctor {

enum class Need { kSet, kUnset, kNotNeeded };

struct EnvironmentLine {
  Need need;
  std::string name, value;
  std::string when;  // versions or occasions it holds for
  std::string why;
};

struct EnvironmentAdvice {
  std::string stack;
  std::vector<std::string> found;  // versions the answer rests on
  std::vector<EnvironmentLine> lines;
  std::vector<std::string> notes;  // what is a flag and no variable
};

/// pytorch, triton, vllm, comfyui, build.
const std::vector<std::string>& environment_stacks();
/// kInvalidArgument naming the stacks for another word.
Result<EnvironmentAdvice> environment_for(const Context& context, std::string_view stack);

/// Lines a shell can read: export, unset, and comments.
std::string as_shell(const EnvironmentAdvice& advice);
Value as_value(const EnvironmentAdvice& advice);

}  // namespace hearth::doctor
