#include "ops/attention/checks.h"

#include <fmt/format.h>

namespace hearth {

void refuse(std::string_view op, const std::string& got, const std::string& wanted) {
  throw Error(Code::kInvalidArgument, fmt::format("{}: got {}, wanted {}", op, got, wanted));
}

std::string describe(const Tensor& t) { return fmt::format("{} {}", name(t.dtype()), t.shape().text()); }

void check_heads(std::string_view op, std::string_view operand, const Tensor& t) {
  if (t.dtype() == DType::kF32 && t.rank() == 3 && t.strides()[2] == 1) return;
  refuse(op, fmt::format("{} {}", operand, describe(t)), "f32 [rows, heads, head_dim] with contiguous heads");
}

void check_index(std::string_view op, std::string_view operand, const Tensor& t, const Shape& wanted) {
  if (t.dtype() == DType::kI32 && t.shape() == wanted && t.is_contiguous()) return;
  refuse(op, fmt::format("{} {}", operand, describe(t)), "contiguous i32 " + wanted.text());
}

void check_pages(std::string_view op, const KvPages& pages) {
  DType type = pages.k.dtype();
  bool known = type == DType::kF16 || type == DType::kBF16 || type == DType::kF32;
  if (!known || pages.v.dtype() != type || pages.k.rank() != 4 || pages.v.shape() != pages.k.shape() ||
      !pages.k.is_contiguous() || !pages.v.is_contiguous()) {
    refuse(op, fmt::format("pages k {} and v {}", describe(pages.k), describe(pages.v)),
           "two contiguous [pages, kv_heads, page_tokens, head_dim] of one dtype: f16, bf16 or f32");
  }
}

}  // namespace hearth
