#include "planner/catalogue/quant.h"

#include "core/base/check.h"
#include "core/base/error.h"
#include "planner/cost/cost.h"

namespace hearth::planner {
namespace {

// llama.cpp gives the first and the last eighth of the layers, and every third between, more bits.
bool has_more_bits(int64_t layer, int64_t layers) {
  return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
}

DType that_fits(DType scheme, int64_t columns) {
  if (columns % info(scheme).block_elements == 0) return scheme;
  switch (scheme) {
    case DType::kQ4_K: return DType::kQ5_0;
    case DType::kQ5_K: return DType::kQ5_1;
    case DType::kQ6_K: return DType::kQ8_0;
    default: return DType::kF16;
  }
}

}  // namespace

Quant Quant::of(const Value& entry) {
  Quant q;
  q.name = entry.at("name").as_string();
  q.words = entry.at("words").as_string();
  q.bits = entry.at("bits").as_double();
  if (const Value* type = entry.find("matrix")) q.matrix = from_name(type->as_string());
  if (const Value* type = entry.find("better")) q.better = from_name(type->as_string());
  const std::string& math = entry.at("math").as_string();
  for (Math known : {Math::kF32, Math::kF16, Math::kI8, Math::kF8, Math::kF4}) {
    if (planner::name(known) == math) q.math = known;
  }
  return q;
}

DType Quant::scheme(const TensorNeed& tensor, int64_t layers) const {
  check(matrix.has_value(), "a scheme of this build");
  if (tensor.role == Role::kVector || tensor.role == Role::kRouter) return DType::kF32;
  DType scheme = *matrix;
  if (better && tensor.role == Role::kHead) scheme = *better;
  if (better && tensor.role == Role::kValueOrDown && has_more_bits(tensor.layer, layers)) scheme = *better;
  return that_fits(scheme, tensor.shape.back());
}

bool Quant::is_odd(const TensorNeed& tensor) const {
  const bool is_encoded = matrix && tensor.role != Role::kVector && tensor.role != Role::kRouter;
  return is_encoded && tensor.shape.back() % info(*matrix).block_elements != 0;
}

double Quant::bytes(const TensorNeed& tensor, int64_t layers) const {
  if (tensor.role == Role::kVector || tensor.role == Role::kRouter) return 4 * tensor.elements();
  if (!matrix) return tensor.elements() * bits / 8;
  const DTypeInfo& of = info(scheme(tensor, layers));
  return tensor.elements() * of.block_bytes / of.block_elements;
}

}  // namespace hearth::planner
