// Lists of GPU architectures, as PyTorch ("9.0;12.1a") and CMake ("80-virtual;121a-real") write them, and what of them
// a GPU of compute capability 12.1 (a GB10) can load.
#pragma once
#include <string>
#include <string_view>

namespace hearth::doctor {

/// "12.1", "12.1+PTX" or "120" stand in the list: targets without a letter have no FP4 instructions.
bool names_plain_target(std::string_view list);

enum class Loads {
  kNothing,    // neither a cubin for 12.1 nor PTX that the driver can compile for it
  kPtx,        // compiled by the driver at the first start, without the instructions of 12.x
  kCubin,      // code for 12.x
  kUnknown,    // an empty list, or words of another kind
};
/// Of CMake's list: a name without "-real" and "-virtual" holds both a cubin and PTX.
Loads loads_on_121(std::string_view cmake_list);

}  // namespace hearth::doctor
