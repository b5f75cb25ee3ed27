// From the values of a pickle to a table of tensors: which dictionary is the model's, what its tensors are called,
// where their bytes lie.
#pragma once
#include <string>

#include "formats/pickle/machine.h"
#include "formats/pickle/pickle.h"

namespace hearth::pickle {

TensorFile contents(const Program& program, const FindStorage& find, const std::string& name);

}  // namespace hearth::pickle
