// Quant: how a model's weights are encoded, tensor by tensor: the byte rules of the schemes people choose from.
#pragma once
#include <optional>
#include <string>

#include "planner/catalogue/lm_tensors.h"
#include "planner/measure/subject.h"

namespace hearth::planner {

struct Quant {
  std::string name;                     // "q4_k_m"
  std::string words;                    // what it is, with its bits a weight
  double bits = 16;                     // of a matrix, scales included
  std::optional<DType> matrix;          // absent: no format of this build; bytes are bits / 8
  std::optional<DType> better;          // of values and down projections in some layers, and of the head (Q4_K_M)
  Math math = Math::kF16;

  static Quant of(const Value& entry);
  /// A matrix whose rows are not whole blocks takes the nearest scheme that fits, as llama.cpp's quantisation does.
  DType scheme(const TensorNeed& tensor, int64_t layers) const;
  double bytes(const TensorNeed& tensor, int64_t layers) const;
  /// Its rows are not whole blocks of the scheme.
  bool is_odd(const TensorNeed& tensor) const;
};

}  // namespace hearth::planner
