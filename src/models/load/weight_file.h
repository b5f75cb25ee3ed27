// Opening one file of weights by what it is: safetensors (or the index of a sharded set), GGUF, or PyTorch's own .ckpt,
// .pt, .pth and .bin, read without executing anything.
#pragma once
#include <string>

#include "formats/tensor_file.h"

namespace hearth {

/// Reads the header. Throws Error naming the path and what was expected there.
TensorFile open_weight_file(const std::string& path);

}  // namespace hearth
