// Checks shared by the attention family. A refusal names the op, what it got and what it wanted.
#pragma once
#include <string>
#include <string_view>

#include "ops/attention/attention.h"

namespace hearth {

[[noreturn]] void refuse(std::string_view op, const std::string& got, const std::string& wanted);
std::string describe(const Tensor& t);  // "f32 [2, 3]"

/// f32 [rows, heads, head_dim] whose last dimension is contiguous.
void check_heads(std::string_view op, std::string_view operand, const Tensor& t);
/// Contiguous i32 of this shape.
void check_index(std::string_view op, std::string_view operand, const Tensor& t, const Shape& wanted);
/// k and v: two contiguous [pages, kv_heads, page_tokens, head_dim] of one shape and dtype f16, bf16 or f32.
void check_pages(std::string_view op, const KvPages& pages);

}  // namespace hearth
