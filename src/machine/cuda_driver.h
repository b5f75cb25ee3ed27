// The NVIDIA driver's own library, opened at run time: what it states of each GPU without a context being created.
#pragma once
#include <optional>
#include <string>
#include <vector>

namespace hearth::machine {

/// 13000 for CUDA 13.0; nothing without a driver.
std::optional<int> cuda_driver_version();
/// See gpu.h.
std::vector<std::string> cuda_attribute_texts();

}  // namespace hearth::machine
