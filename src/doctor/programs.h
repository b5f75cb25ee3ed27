// The rest of the stack: frameworks and engines found on a machine, and whether each can run on sm_121 (a GB10).
#pragma once
#include <string>
#include <vector>

#include "doctor/context.h"

namespace hearth::doctor {

enum class Runs { kYes, kNo, kUnknown };
std::string_view name_of(Runs runs);  // "yes", "no", "unknown"

struct Program {
  std::string name;       // "PyTorch", "vLLM", "llama.cpp", ...
  std::string version;    // "" unknown
  std::string place;      // the folder it was found in
  Runs runs = Runs::kUnknown;
  std::string why;        // what the answer rests on
  std::string lacks;      // "sm_12x" when it was built without code for 12.x, "cuda" when without any
  std::string built_for;  // architectures its build names; "" unknown
  std::string cure;       // a command that brings one that runs; "" none
};

/// PyTorch, Triton, vLLM, SageAttention, ONNX Runtime, TensorRT, ComfyUI and llama.cpp, in usual places and where
/// Options::look_in says.
std::vector<Program> find_programs(const Context& context);

}  // namespace hearth::doctor
